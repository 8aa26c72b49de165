"""Blocks of known networks: highways, squeeze and excitation, inception.

highway     y[..., j] = t[..., j] h[..., j] + (1 - t[..., j]) x[..., j],
            h = relu(W x + a),  t = σ(V x + c)
excitation  y[b, c, p] = s[b, c] x[b, c, p],  s = σ(V relu(W mean[p](x[b, c, p]) + a) + e)
inception   channels of 1x1, 3x3 and 5x5 convolutions and of a pool, one after the other
"""

from collections.abc import Callable
from typing import Any

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.composition import Sequential, apply, concatenate, expect_part
from phistar.nn.convolution import Conv2d
from phistar.nn.linear import Linear
from phistar.nn.pooling import MaxPool2d
from phistar.nn.shapes import expect, expect_size, whole

b, c = ph.indices("b c")


class Highway(ph.Model):
    """A layer that lets some of x pass, as a gate says (Srivastava et al. 2015).

    x (..., size) -> (..., size). activation: of the layer, an elementwise function. gate_bias: c at
    the start; negative, so that x passes at first. Parameters: transform.weight, transform.bias,
    gate.weight, gate.bias. Raises UsageError for arguments that do not fit, ShapeError for a tensor
    with another last axis.
    """

    def __init__(
        self,
        size: int,
        activation: Callable[[Any], Any] = ph.relu,
        gate_bias: float = -1.0,
        dtype: Any = "f32",
    ) -> None:
        self.size = whole(self, "size", size)
        self.transform = Linear(size, size, dtype=dtype)
        self.gate = Linear(size, size, bias_init=gate_bias, dtype=dtype)
        self.activation = expect_part(self, activation)

    def __call__(self, x: Any) -> Any:
        expect_size(self, "features", self.size, expect(x, self, least=1), -1)
        h = apply(self.activation, self.transform(x))
        t, y = apply(ph.sigmoid, self.gate(x)), Tensor("y")
        y[...] = t[...] * h[...] + (1 - t[...]) * x[...]
        return y


class SqueezeExcite(ph.Model):
    """Each channel times a number that comes from the means of all (Hu et al. 2018).

    x (batch, channels, *sizes) -> the same shape. reduction: how many times fewer units than
    channels there are between. Parameters: fc1.weight, fc1.bias, fc2.weight, fc2.bias. Raises
    UsageError for numbers that are none, ShapeError for a tensor with other channels.
    """

    def __init__(self, channels: int, reduction: int = 16, dtype: Any = "f32") -> None:
        self.channels = whole(self, "channels", channels)
        units = channels // whole(self, "reduction", reduction)
        if not units:
            raise UsageError(
                f"reduction of SqueezeExcite is {reduction}, but there are {channels} channels"
            )
        self.fc1 = Linear(channels, units, dtype=dtype)
        self.fc2 = Linear(units, channels, dtype=dtype)

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=3)
        expect_size(self, "channels", self.channels, shape, 1)
        p = tuple(Index(f"p{n}") for n in range(1, len(shape) - 1))
        mean, y = Tensor("mean"), Tensor("y")
        mean[b, c] = ph.mean[p](x[b, c, *p])
        s = apply(ph.sigmoid, self.fc2(apply(ph.relu, self.fc1(mean))))
        y[b, c, *p] = s[b, c] * x[b, c, *p]
        return y


class Inception(ph.Model):
    """Convolutions of several sizes and a pool, side by side (Szegedy et al. 2015, figure 2b).

    x (..., in_channels, height, width) -> (..., ch1x1 + ch3x3 + ch5x5 + pool_proj, height, width).
    The 3x3 convolution comes after one of 1x1 to ch3x3red channels, the 5x5 one likewise, and 1x1
    after the pool; relu after each. Parts: branch1 to branch4, each a Sequential. Raises UsageError
    for channels that are no whole numbers, ShapeError for tensors that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        dtype: Any = "f32",
    ) -> None:
        def conv(channels: int, filters: int, size: int) -> tuple[Any, Any]:
            return Conv2d(channels, filters, size, padding=size // 2, dtype=dtype), ph.relu

        self.branch1 = Sequential(*conv(in_channels, ch1x1, 1))
        self.branch2 = Sequential(*conv(in_channels, ch3x3red, 1), *conv(ch3x3red, ch3x3, 3))
        self.branch3 = Sequential(*conv(in_channels, ch5x5red, 1), *conv(ch5x5red, ch5x5, 5))
        pool = MaxPool2d(3, stride=1, padding=1)
        self.branch4 = Sequential(pool, *conv(in_channels, pool_proj, 1))

    def __call__(self, x: Any) -> Any:
        branches = self.branch1, self.branch2, self.branch3, self.branch4
        return concatenate([branch(x) for branch in branches], axis=-3)
