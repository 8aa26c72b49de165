"""`ph.save` and `ph.load`: a model's parameters and states in a safetensors file, by name."""

import os
from typing import Any

import numpy as np

from phistar.errors import DTypeError, ModelError, WeightsError
from phistar.ir.dtypes import as_dtype
from phistar.language.models import Model
from phistar.language.tensors import Parameter
from phistar.training.columns import check_model
from phistar.training.weights import Report, load_arrays, match, save_arrays

Path = str | os.PathLike[str]


def save(model: Model, path: Path) -> None:
    """Write every parameter and state; the file is replaced only when the new one is whole.

    Raises ModelError if one has no value yet, WeightsError if the file cannot be written.
    """
    check_model(model)
    arrays: dict[str, Any] = {}
    for name, tensor in model.named_tensors().items():
        if tensor.data is None and tensor.definition.shape is not None:
            arrays[name] = tensor.value  # its initial value: the shape is declared
        elif tensor.data is None:
            raise ModelError(f"{name} has no value to save: no equation has used it yet")
        else:
            arrays[name] = tensor.data
    save_arrays(path, arrays)


def load(model: Model, path: Path, *, strict: bool = True) -> Report:
    """Give the model the values of a file, by name and shape; returns what matched and what not.

    A parameter whose shape is not known yet takes the shape it has in the file. strict: everything
    must match, both ways; else what matches is taken. Nothing is changed if an error is raised:
    WeightsError if something does not match, or nothing does.
    """
    check_model(model)
    arrays = load_arrays(path)
    tensors = model.named_tensors()
    shapes = {name: t.definition.shape for name, t in tensors.items()}
    report = match(shapes, {name: a.shape for name, a in arrays.items()})
    if not report.matched or (strict and not report.complete):
        what = "nothing in" if not report.matched else "not everything in"
        raise WeightsError(f"{what} {os.fspath(path)} fits {type(model).__name__}: {report}")
    values = {name: fitting(name, tensors[name], arrays[name]) for name in report.matched}
    for name, array in values.items():
        tensors[name].value = array
    return report


def fitting(name: str, tensor: Parameter, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in the tensor's type; floats may become other floats, nothing else changes."""
    wanted, found = tensor.dtype, as_dtype(array.dtype)
    if wanted is not found and not (wanted.is_float and found.is_float):
        raise DTypeError(f"{name} is {wanted.value}, but the file holds {found.value}")
    return array.astype(wanted.numpy)
