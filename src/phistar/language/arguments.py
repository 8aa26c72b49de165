"""The arguments of a call, sorted into models, tensors and everything else.

Arrays become input tensors named as the function names its parameters; what is not an array or a
model is part of the program's key.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.ir.dtypes import DEFAULT_FLOAT, as_dtype
from phistar.ir.program import Kind
from phistar.language import scope
from phistar.language.closed import tensor_of
from phistar.language.expression import Expr, Index
from phistar.language.models import Model, submodels
from phistar.language.tensors import Definition, Parameter, Tensor, as_array

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


@dataclass
class Bound:
    """A call's arguments, sorted into models, tensors and everything else."""

    arguments: dict[str, Any]  # as the function gets them
    tensors: dict[str, Tensor] = field(default_factory=dict)  # by name
    models: dict[str, Model] = field(default_factory=dict)
    key: tuple[Any, ...] = ()
    symbolic: bool = False  # some argument belongs to a trace that is running
    values: dict[str, Array] = field(default_factory=dict)  # of the tensors, where given
    batch: int = 0  # under vmap, the length of the axis that was taken off
    outer: dict[Definition, Definition] = field(
        default_factory=dict
    )  # under vmap, whose axis it was

    @property
    def floating(self) -> list[Tensor]:
        return [t for t in self.tensors.values() if t.dtype.is_float]


def bind(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Bound:
    """Sort the arguments of f(*args, **kwargs); arrays become inputs named as f names them."""
    signature = call_signature(f)
    try:
        call = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(f"{function_name(f)}: {error}") from None
    bound = Bound(dict(call.arguments))
    # Python floats have no type of their own: they take that of the arrays beside them.
    numbers = {n: v for n, v in call.arguments.items() if type(v) is float}
    for name, value in call.arguments.items():
        if name not in numbers:
            bound.arguments[name] = take(value, name, bound)
    common = {t.dtype for t in bound.floating} | {
        t.dtype for m in bound.models.values() for t in m.named_tensors().values()
    }
    dtype = common.pop() if len(common) == 1 else DEFAULT_FLOAT
    for name, value in numbers.items():
        bound.arguments[name] = take(np.asarray(value, dtype.numpy), name, bound)
    bound.tensors = {
        n: bound.tensors[n] for n in sorted(bound.tensors, key=position_in(call.arguments))
    }
    return bound


def position_in(names: Mapping[str, Any]) -> Callable[[str], int]:
    """The order of arguments; `x.0` stands where x stands."""
    order = {name: n for n, name in enumerate(names)}
    return lambda name: order[name.partition(".")[0]]


def call_signature(f: Function) -> inspect.Signature:
    return inspect.signature(f.__call__ if isinstance(f, Model) else f)


def take(value: Any, name: str, bound: Bound) -> Any:
    """One argument as the function gets it; notes it in `bound`."""
    if isinstance(value, Model):
        bound.models[name] = value
        state = tuple((id(m), m.training) for m in submodels(value))
        frozen = tuple(id(p) for p in value.parameters.values() if not p.trainable)
        bound.key += ((name, "model", state, frozen),)
        return value
    if isinstance(value, Expr) and not isinstance(value, Index):
        value = tensor_of(value)
    if isinstance(value, Tensor) and (
        value.data is None or isinstance(value, Parameter) or scope.current_trace() is not None
    ):
        bound.symbolic = True
        bound.tensors[name] = value
        return value
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, tuple | dict) or (isinstance(value, list) and holds_arrays(value)):
        return take_nested(value, name, bound)
    if isinstance(value, float | np.ndarray | np.generic | list):
        array = as_array(value)
        bound.key += ((name, array.shape, array.dtype.name),)
        made = Tensor(name, Kind.INPUT, list(array.shape), as_dtype(array.dtype))
        bound.values[name] = array
        bound.tensors[name] = made
        return made
    bound.key += ((name, value if isinstance(value, int | str | None) else id(value)),)
    return value


def holds_arrays(values: list[Any]) -> bool:
    return any(isinstance(v, np.ndarray | Tensor | Expr | Model | dict | tuple) for v in values)


def take_nested(value: Any, name: str, bound: Bound) -> Any:
    if isinstance(value, dict):
        return {k: take(v, f"{name}.{k}", bound) for k, v in value.items()}
    return type(value)(take(v, f"{name}.{n}", bound) for n, v in enumerate(value))


def title(f: Any) -> str:
    """How messages name a function or a model."""
    return getattr(f, "__name__", None) or type(f).__name__


def function_name(f: Function) -> str:
    name = title(f)
    return name if name.isidentifier() else "function"
