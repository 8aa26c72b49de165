"""Rows of different lengths in one tensor: how many of a row's steps are real; the rest is padding.

    n[b] = counts[lengths[b]]           counts[u] = u,  u = 0 .. T
    r[b, t, ...] = x[b, t, ...]  where t < n[b],  else 0

The gather holds every length to 0 .. T when the program runs.
"""

from typing import Any

import phistar as ph
from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.tensors import Tensor

Indices = tuple[Index, ...]


def real_steps(layer: Any, lengths: Any, shape: tuple[int, ...], longest: int) -> Tensor:
    """How many steps of each row are real: a tensor n[b] of the batch's shape.

    UsageError if lengths is no tensor, DTypeError if it does not hold whole numbers, ShapeError if
    it has not one for each row; a length outside 0 .. longest is an IndexRangeError when
    it is read.
    """
    name = type(layer).__name__
    if not isinstance(lengths, Tensor):
        raise UsageError(
            f"lengths of {name} is a tensor of whole numbers, not {type(lengths).__name__}: "
            "ph.tensor(lengths) makes one"
        )
    if lengths.dtype.is_float or lengths.dtype is DType.BOOL:
        raise DTypeError(f"lengths of {name} are whole numbers, not {lengths.dtype.value}")
    if lengths.shape != shape:
        raise ShapeError(
            f"lengths of {name} has shape {lengths.shape}, but the rows have shape {shape}: "
            "one whole number a row"
        )
    b, u = batch(shape), Index("u", longest + 1)
    counts, n = Tensor("counts"), Tensor("n")
    counts[u] = u
    n[b] = counts[lengths[b]]
    return n


def without_padding(x: Tensor, n: Tensor, b: Indices, rest: Indices) -> Tensor:
    """x with zeros in its padded steps: what stands there, even NaN, influences nothing."""
    t, r = ph.index("t"), Tensor("r")
    r[*b, t, *rest] = ph.where(t < n[b], x[*b, t, *rest], 0.0)
    return r


def batch(shape: tuple[int, ...]) -> Indices:
    """Indices for the axes of a batch, with their sizes: b if there is one, else b1, b2, ..."""
    if len(shape) == 1:
        return (Index("b", shape[0]),)
    return tuple(Index(f"b{m}", size) for m, size in enumerate(shape, 1))
