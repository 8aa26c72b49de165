"""Normalisation of each example by itself, over features or groups of channels.

    layer     y[..., i] = (x[..., i] - mean[...]) / √(variance[...] + ε) w[i] + a[i]
    RMS       y[..., i] = x[..., i] / √(mean[i](x[..., i]²) + ε) w[i]
    group     n[b, (g, k), p] = (x[b, (g, k), p] - mean[b, g]) / √(variance[b, g] + ε)
              y[b, c, p] = n[b, c, p] w[c] + a[c]
    response  y[b, c, p] = x[b, c, p] / (k + α/n Σ_r x[b, c + r - n // 2, p]²)^β,  r < n

Over the minibatch: running.py.
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.moments import HALF, affine, expect_floats, moments, narrow, normal, number, wide
from phistar.nn.shapes import expect_size, leading, whole

b, c = ph.indices("b c")

Shape = int | tuple[int, ...] | list[int]

# Over the last axes -------------------------------------------------------------------------------


class LayerNorm(ph.Model):
    """The last axes with mean 0 and variance 1, scaled and shifted (Ba et al. 2016).

    x (..., *normalized_shape) -> the same shape. elementwise_affine: whether there are weight and
    bias, of normalized_shape, 1 and 0 at the start; bias: whether there is a bias. Raises
    UsageError for a shape that is none, ShapeError for a tensor that does not end in it.
    """

    def __init__(
        self,
        normalized_shape: Shape,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: Any = "f32",
    ) -> None:
        self.normalized_shape = shape_of(self, normalized_shape)
        self.eps = number(self, "eps", eps)
        sizes, shift = self.normalized_shape, elementwise_affine and bias
        self.weight = ph.param(*sizes, init=1, dtype=dtype) if elementwise_affine else None
        self.bias = ph.param(*sizes, init=0, dtype=dtype) if shift else None

    def __call__(self, x: Any) -> Any:
        b, i = last_axes(self, x)
        mean, variance = moments(x, (*b, *i), b, i)
        y, n = Tensor("y"), normal(x[*b, *i], mean[b], variance[b], self.eps)
        y[*b, *i] = narrow(affine(n, self.weight, self.bias, i), x)
        return y


class RMSNorm(ph.Model):
    """The last axes with mean square 1, scaled (Zhang and Sennrich 2019).

    x (..., *normalized_shape) -> the same shape. eps: None is the machine epsilon of x's type (of
    f32 for half precision). elementwise_affine: whether there is a weight, of normalized_shape, 1
    at the start. Raises UsageError for a shape that is none, ShapeError for a tensor that does not
    end in it.
    """

    def __init__(
        self,
        normalized_shape: Shape,
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: Any = "f32",
    ) -> None:
        self.normalized_shape = shape_of(self, normalized_shape)
        self.eps = None if eps is None else number(self, "eps", eps)
        sizes = self.normalized_shape
        self.weight = ph.param(*sizes, init=1, dtype=dtype) if elementwise_affine else None

    def __call__(self, x: Any) -> Any:
        b, i = last_axes(self, x)
        eps = epsilon(x) if self.eps is None else self.eps
        square, y = Tensor("square"), Tensor("y")
        square[b] = ph.mean[i](wide(x[*b, *i]) ** 2)
        n = wide(x[*b, *i]) / ph.sqrt(square[b] + eps)
        y[*b, *i] = narrow(affine(n, self.weight, None, i), x)
        return y


def shape_of(layer: Any, shape: Any) -> tuple[int, ...]:
    """The sizes of the last axes, one or more; UsageError for what is none."""
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if not sizes:
        raise UsageError(f"normalized_shape of {type(layer).__name__} must have an axis or more")
    return tuple(whole(layer, "normalized_shape", n) for n in sizes)


def last_axes(layer: Any, x: Any) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """Indices of the leading axes and of those that are normalised; ShapeError if x lacks them."""
    sizes = layer.normalized_shape
    shape = expect_floats(x, layer, least=len(sizes))
    if shape[-len(sizes) :] != sizes:
        raise ShapeError(
            f"{type(layer).__name__} normalises axes of shape {sizes}, "
            f"but the tensor has shape {shape}"
        )
    names = ["i"] if len(sizes) == 1 else [f"i{n}" for n in range(1, len(sizes) + 1)]
    return leading(shape, len(sizes)), tuple(Index(name) for name in names)


def epsilon(x: Tensor) -> float:
    """The distance from 1 to the next number of x's type, of f32 for half precision."""
    return float(np.finfo(np.float32 if x.dtype in HALF else x.dtype.numpy).eps)


# Over groups of channels --------------------------------------------------------------------------


class GroupNorm(ph.Model):
    """Each group of channels of each example with mean 0 and variance 1 (Wu and He 2018).

    x (batch, num_channels, *sizes) -> the same shape. affine: whether there are weight and bias,
    (num_channels), 1 and 0 at the start. Raises UsageError for channels that do not fall into the
    groups, ShapeError for a tensor with other channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: Any = "f32",
    ) -> None:
        self.num_groups = whole(self, "num_groups", num_groups)
        self.num_channels = whole(self, "num_channels", num_channels)
        if num_channels % num_groups:
            raise UsageError(
                f"num_channels of GroupNorm is {num_channels}, "
                f"which does not fall into {num_groups} equal groups"
            )
        self.eps = number(self, "eps", eps)
        self.weight = ph.param(num_channels, init=1, dtype=dtype) if affine else None
        self.bias = ph.param(num_channels, init=0, dtype=dtype) if affine else None

    def __call__(self, x: Any) -> Any:
        shape = expect_floats(x, self, least=2)
        expect_size(self, "channels", self.num_channels, shape, 1)
        g, k = Index("g", self.num_groups), Index("k", self.num_channels // self.num_groups)
        p = tuple(Index(f"p{n}") for n in range(1, len(shape) - 1))
        at = (b, (g, k), *p)
        mean, variance = moments(x, at, (b, g), (k, *p))
        y, n = Tensor("y"), normal(x[at], mean[b, g], variance[b, g], self.eps)
        y[at] = narrow(affine(n, self.weight, self.bias, ((g, k),)), x)
        return y


class LocalResponseNorm(ph.Model):
    """Each element over those of the channels beside it (Krizhevsky et al. 2012, section 3.3).

    y[b, c, p] = x[b, c, p] / (k + alpha/size Σ_r x[b, c + r - size // 2, p]²)^beta with r < size;
    there are zeros beyond the first and the last channel. x (batch, channels, *sizes) -> the same
    shape. Raises UsageError for a size that is none, ShapeError for a tensor without sizes.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = whole(self, "size", size)
        self.alpha, self.beta, self.k = alpha, beta, k

    def __call__(self, x: Any) -> Any:
        shape = expect_floats(x, self, least=3)
        p = tuple(Index(f"p{n}") for n in range(1, len(shape) - 1))
        r = Index("r", self.size)
        beside = ph.pad(c + r, self.size // 2, (self.size - 1) // 2)
        near, y = Tensor("near"), Tensor("y")
        near[b, c, *p] = ph.sum[r](wide(x[b, beside, *p]) ** 2)
        scale = (self.k + self.alpha / self.size * near[b, c, *p]) ** self.beta
        y[b, c, *p] = narrow(wide(x[b, c, *p]) / scale, x)
        return y
