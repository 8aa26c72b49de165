"""What normalisation layers share: mean and variance over some indices, in f32 for half precision.

mean[k] = mean[o](x[k, o])
variance[k] = mean[o]((x[k, o] - mean[k])^2)
y[k, o] = (x[k, o] - mean[k]) / √(variance[k] + ε) weight + bias
"""

from typing import Any

import phistar as ph
from phistar.errors import DTypeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import expect

HALF = (DType.F16, DType.BF16)

Indices = tuple[Index, ...]
Subscripts = tuple[Any, ...]


def moments(x: Tensor, at: Subscripts, kept: Indices, over: Indices) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance of x[at] over some of its indices, for each of the others."""
    mean, variance = Tensor("mean"), Tensor("variance")
    mean[kept] = ph.mean[over](wide(x[at]))
    variance[kept] = ph.mean[over]((wide(x[at]) - mean[kept]) ** 2)
    return mean, variance


def normal(x: Any, mean: Any, variance: Any, eps: float) -> Any:
    """(x - mean) / √(variance + ε)."""
    return (wide(x) - wide(mean)) / ph.sqrt(wide(variance) + eps)


def affine(n: Any, weight: Tensor | None, bias: Tensor | None, at: Subscripts) -> Any:
    """n weight[at] + bias[at], as far as there are weight and bias."""
    if weight is not None:
        n = n * wide(weight[at])
    return n if bias is None else n + wide(bias[at])


def wide(e: Any) -> Any:
    """An element of half precision in f32, others as they are."""
    return ph.cast(e, "f32") if e.target.dtype in HALF else e


def narrow(e: Any, x: Tensor) -> Any:
    """A result in the type of x."""
    return ph.cast(e, x.dtype) if x.dtype in HALF else e


def number(layer: Any, what: str, value: Any) -> float:
    """A number from 0 on; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UsageError(
            f"{what} of {type(layer).__name__} must be a number from 0 on, not {value!r}"
        )
    return float(value)


def expect_floats(x: Any, layer: Any, least: int, most: int | None = None) -> tuple[int, ...]:
    """The shape of a layer's argument, as `expect` finds it; DTypeError for whole numbers."""
    shape = expect(x, layer, least, most)
    if not x.dtype.is_float:
        raise DTypeError(f"{type(layer).__name__} takes floating numbers, not {x.dtype.value}")
    return shape
