"""Losses, metrics and models are called with the data's columns, by name.

A function is traced on *symbols*: one input tensor for each column of a batch. It gets the columns
its parameters name; columns that it does not ask for are left out.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from phistar.data.dataset import BatchSpec, Dataset
from phistar.errors import DataError
from phistar.ir.program import Kind
from phistar.language.arguments import Bound
from phistar.language.arguments import title as title
from phistar.language.models import Model
from phistar.language.models import check_model as check_model
from phistar.language.tensors import Tensor
from phistar.language.traced import Program, trace_bound

Function = Callable[..., Any]
Symbols = Mapping[str, Tensor]


def symbols_of(spec: BatchSpec) -> dict[str, Tensor]:
    """An input tensor for each column of a batch."""
    return {
        name: Tensor(name, Kind.INPUT, [spec.size, *column.shape], column.dtype)
        for name, column in spec.columns.items()
    }


def trace_symbols(f: Function, model: Model, symbols: Symbols) -> Program:
    """The program of f(), which has been given the model and the symbols already."""
    return trace_bound(f, Bound({}, dict(symbols), {"model": model}))


def asked_by(f: Function, columns: Mapping[str, Any], given: int = 1) -> dict[str, Any]:
    """The columns that f's parameters name, after the first `given` parameters (the model).

    Raises DataError if f needs a column that the data does not have.
    """
    signature = inspect.signature(f)
    parameters = list(signature.parameters.values())[given:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(columns)
    named = [p for p in parameters if p.kind is not p.VAR_POSITIONAL]
    needed = [p.name for p in named if p.default is p.empty]
    if missing := [name for name in needed if name not in columns]:
        raise DataError(
            f"{title(f)}{signature} asks for the column {', '.join(map(repr, missing))}, "
            f"but the data has {', '.join(columns)}"
        )
    return {p.name: columns[p.name] for p in named if p.name in columns}


def call_model(model: Model, columns: Mapping[str, Any]) -> Any:
    """model(x, ...) with the columns that its `__call__` names."""
    return model(**asked_by(model, columns, given=0))


@contextmanager
def mode(model: Model, training: bool) -> Iterator[None]:
    """model.training is `training` inside, and what it was before afterwards."""
    before = model.training
    model.training = training
    try:
        yield
    finally:
        model.training = before


def columns_of_model(model: Model) -> list[str]:
    """The names of the columns that a model's `__call__` asks for."""
    return list(inspect.signature(model.__call__).parameters)


def as_dataset(data: Any, names: list[str] | None = None) -> Dataset:
    """A data set from what the user gave: one, columns by name, or the one array asked for."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Mapping):
        return Dataset(**data)
    if names and isinstance(data, np.ndarray | list):
        return Dataset(**{names[0]: data})
    raise DataError(
        f"data wants a data set, ph.data.Dataset(x=..., label=...), not {type(data).__name__}"
    )
