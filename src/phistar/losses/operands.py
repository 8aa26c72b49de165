"""What losses take and give: tensors with axes, indices for them, and one number at the end.

mean: L = mean[b, ...](l[b, ...])    sum: L = sum[b, ...](l[b, ...])    none: L[b, ...] = l[b, ...]
"""

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Expr, Index
from phistar.language.functions import where
from phistar.language.reductions import mean, sum
from phistar.language.tensors import Tensor, as_array, tensor

REDUCTIONS = ("mean", "sum", "none")
LETTERS = "b" + "".join(c for c in string.ascii_lowercase if c not in "bcly")

Indices = tuple[Index, ...]


def operand(value: Any, name: str, like: Tensor | None = None) -> Tensor:
    """An argument as a tensor: one, an expression whose open indices are its axes, numbers.

    Floating numbers that are no tensor yet take the type of `like`. Raises DTypeError for what
    holds no numbers.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Expr):
        made = Tensor(name)
        made[value.open] = value
        return made
    array = as_array(value)
    if like is not None and array.dtype.kind == "f":
        array = np.asarray(value, like.dtype.numpy)
    return tensor(array, name)


def floats(value: Any, name: str, like: Tensor | None = None) -> Tensor:
    """An argument that must hold floating numbers; DTypeError otherwise."""
    made = operand(value, name, like)
    if not made.dtype.is_float:
        raise DTypeError(f"{name} must hold floating numbers, not {made.dtype.value}")
    return made


def wholes(value: Any, name: str) -> Tensor:
    """An argument that must hold whole numbers; DTypeError otherwise."""
    made = operand(value, name)
    if made.dtype.is_float or made.dtype is DType.BOOL:
        raise DTypeError(f"{name} must hold whole numbers, not {made.dtype.value}")
    return made


def axes(n: int, skip: str = "") -> Indices:
    """New indices, one for each of n axes: b first."""
    letters = [c for c in LETTERS if c not in skip]
    return tuple(Index(letters[k] if k < len(letters) else f"i{k}") for k in range(n))


def axis_of(axis: int, rank: int, what: str) -> int:
    """An axis counted from the front; UsageError if the tensor does not have it."""
    if isinstance(axis, bool) or not isinstance(axis, int) or not -rank <= axis < rank:
        raise UsageError(f"{what} has {rank} axes: there is no axis {axis!r}")
    return axis % rank


def same_shape(a: Tensor, b: Tensor, names: str) -> None:
    """ShapeError if they differ: nothing is broadcast."""
    if a.shape != b.shape:
        raise ShapeError(f"{names} must have one shape, not {a.shape} and {b.shape}")


def expect_shape(made: Tensor, shape: tuple[int, ...], what: str) -> None:
    """ShapeError if a tensor does not have that shape."""
    if made.shape != shape:
        raise ShapeError(f"{what} must have shape {shape}, not {made.shape}")


def expect_rank(made: Tensor, least: int, what: str) -> None:
    """ShapeError if a tensor has fewer axes."""
    if len(made.shape) < least:
        raise ShapeError(f"{what} must have at least {least} axes, not shape {made.shape}")


def number(name: str, value: Any, low: float, high: float = float("inf")) -> float:
    """A number in [low, high]; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        limits = f"at least {low}" if high == float("inf") else f"from {low} to {high}"
        raise UsageError(f"{name} must be a number {limits}, not {value!r}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A number above 0; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise UsageError(f"{name} must be a number above 0, not {value!r}")
    return float(value)


def reduced(e: Expr, kept: Sequence[Index], reduction: str) -> Tensor:
    """The loss of each example as one number, or as it is: its mean, its sum, or with its axes."""
    check(reduction)
    n, L = tuple(kept), Tensor("loss")
    if reduction == "none":
        L[n] = e
    elif n:
        L[()] = {"mean": mean, "sum": sum}[reduction][n](e)
    else:
        L[()] = e
    return L


def weighted(e: Expr, weight: Expr, kept: Sequence[Index], reduction: str) -> Tensor:
    """Like `reduced`, for losses that carry their weight already: the mean is over the weights.

    mean: L = sum[n](e[n]) / sum[n](w[n]), and 0 if all weights are 0.
    """
    check(reduction)
    if reduction != "mean":
        return reduced(e, kept, reduction)
    n, L, total = tuple(kept), Tensor("loss"), Tensor("total")
    total[()] = sum[n](weight) if n else weight
    some = total[()] > 0
    L[()] = (sum[n](e) if n else e) * where(some, 1 / where(some, total[()], 1), 0)
    return L


def check(reduction: str) -> None:
    """UsageError for a reduction that is none of the three."""
    if reduction not in REDUCTIONS:
        raise UsageError(f'reduction is "mean", "sum" or "none", not {reduction!r}')
