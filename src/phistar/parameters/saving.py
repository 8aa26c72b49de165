"""`ph.save` and `ph.load`: a model's parameters and states in a file, by name and shape."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.writing import write_atomically
from phistar.errors import DTypeError, ModelError, WeightsError
from phistar.ir.dtypes import as_dtype
from phistar.language.models import Model, aliases, check_model
from phistar.language.tensors import Parameter
from phistar.parameters.folders import FILE, PathLike, target, write
from phistar.parameters.formats import stored, values
from phistar.parameters.matching import Report, Wanted, match
from phistar.parameters.names import Axes, Names, Transpose, renamed, selected, transposition
from phistar.parameters.stored import Array, Contents, Stored


def save(
    model: Model,
    path: PathLike,
    *,
    max_shard_size: int | str | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Write every parameter and state, in the safetensors format, by dotted name.

    path: a file, or a folder (one that exists, or a name that ends in /), which then holds
    model.safetensors, as Hugging Face has it. max_shard_size ("5GB"): several files and an index if
    one would be larger. config: what config.json of the folder shall say. What was there before
    stays until the new is whole. Raises ModelError if a parameter has no value yet, WeightsError if
    a file cannot be written.
    """
    check_model(model)
    arrays = {name: value_to_save(name, t) for name, t in model.named_tensors().items()}
    file = target(path)
    if config is not None:
        write_config(file, config)
    write(file, arrays, max_shard_size=max_shard_size, metadata={"format": "pt"})


def value_to_save(name: str, tensor: Parameter) -> Array:
    if tensor.data is None and tensor.definition.shape is None:
        raise ModelError(f"{name} has no value to save: no equation has used it yet")
    return tensor.value if tensor.data is None else tensor.data


def write_config(file: Path, config: Mapping[str, Any]) -> None:
    """Write config.json beside a folder's weights."""
    if file.name != FILE:
        raise WeightsError(f"config goes into a folder, and {file} is a file: end its name with /")
    try:
        text = json.dumps(dict(config), indent=2)
        write_atomically(file.with_name("config.json"), [f"{text}\n".encode()])
    except OSError as error:
        raise WeightsError(f"{file.parent} cannot be written: {error.strerror}") from None
    except (TypeError, ValueError) as error:
        raise WeightsError(f"config cannot be written as JSON: {error}") from None


def load(
    model: Model,
    path: PathLike,
    *,
    strict: bool = True,
    names: Names = None,
    transpose: Transpose = None,
    partial: str | Iterable[str] | None = None,
) -> Report:
    """Give the model the values of a file, by name and shape; returns what matched and what not.

    path: safetensors, PyTorch's .pth or .pt, Keras's .h5 or .keras, .npz, .npy, or a folder or an
    index of such. names: from the file's names to the model's: a dict, a list of (regular
    expression, replacement), or a function; None leaves a name out. transpose: patterns of the
    model's names whose axes the file has backwards, or a dict with the order of their axes.
    partial: patterns of the model's names; all others stay as they are. strict: everything asked
    for must match, both ways; else what matches is taken. A parameter whose shape is not known yet
    takes the one in the file.

    Nothing is changed if an error is raised: WeightsError if the file is damaged, something does
    not match, or nothing does; DTypeError if a type does not fit; UsageError for a pattern or a
    name that is not there.
    """
    check_model(model)
    report, new = fitted(model, stored(path), os.fspath(path), strict, names, transpose, partial)
    tensors = model.named_tensors()
    for name, array in new.items():
        tensors[name].value = array
    return report


def fitted(
    model: Model,
    contents: Contents,
    path: str,
    strict: bool,
    names: Names,
    transpose: Transpose,
    partial: str | Iterable[str] | None,
) -> tuple[Report, dict[str, Array]]:
    """What fits, and the values to take."""
    tensors = model.named_tensors()
    new_names = renamed(contents, names)
    found, theirs = unshared(model, {new: contents[old] for old, new in new_names.items()})
    wanted = list(tensors) if partial is None else selected(tensors, partial, "partial's pattern")
    asked = {n: s for n, s in found.items() if partial is None or n in wanted}
    axes = transposition(asked, {n: len(s.shape) for n, s in asked.items()}, transpose)
    shapes = {n: transposed_shape(s.shape, axes.get(n)) for n, s in asked.items()}
    report = match({name: sizes_of(tensors[name]) for name in wanted}, shapes)
    report = replace(
        report,
        renamed={
            old: new for old, new in new_names.items() if old != new and new in report.matched
        },
        left_out=tuple(old for old in contents if new_names.get(old) not in {*asked, *theirs}),
    )
    if not report.matched or (strict and not report.complete):
        what = "nothing in" if not report.matched else "not everything in"
        raise WeightsError(f"{what} {path} fits {type(model).__name__}: {report}")
    return report, {
        name: fitting(name, tensors[name], read(path, asked[name], axes.get(name)))
        for name in report.matched
    }


def unshared(model: Model, found: dict[str, Stored]) -> tuple[dict[str, Stored], dict[str, str]]:
    """A tensor that a model has by several names has its first, whichever the file calls it.

    Raises WeightsError if the file has two of its names with different values.
    """
    second = {name: first for name, first in aliases(model).items() if name in found}
    kept = {name: s for name, s in found.items() if name not in second}
    for name, first in second.items():
        if first in kept and not same(kept[first], found[name]):
            raise WeightsError(f"{name} is {first} in the model, but another array in the file")
        kept.setdefault(first, found[name])
    return kept, second


def same(a: Stored, b: Stored) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.read().tobytes() == b.read().tobytes()


def sizes_of(tensor: Parameter) -> Wanted | None:
    sizes = tensor.definition.sizes
    return None if sizes is None else tuple(sizes)


def transposed_shape(shape: tuple[int, ...], axes: Axes | None) -> tuple[int, ...]:
    return shape if axes is None else tuple(shape[n] for n in axes)


def read(path: str, entry: Stored, axes: Axes | None) -> Array:
    """The values of an array in a file, its axes in the model's order."""
    array = values(path, entry)
    return array if axes is None else np.transpose(array, axes)


def fitting(name: str, tensor: Parameter, array: Array) -> Array:
    """The array in the tensor's type; floats may become other floats, nothing else changes."""
    wanted, found = tensor.dtype, as_dtype(array.dtype)
    if wanted is not found and not (wanted.is_float and found.is_float):
        raise DTypeError(f"{name} is {wanted.value}, but the file holds {found.value}")
    return array.astype(wanted.numpy, copy=False)
