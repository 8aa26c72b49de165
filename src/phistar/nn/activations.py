"""Activations as layers: an elementwise function, a normalised one, one of two halves.

relu, ...  y[...] = f(x[...])
PReLU      y[b, c, p] = max(0, x[b, c, p]) + a[c] min(0, x[b, c, p])
softmax    y[..., i] = e^x[..., i] / Σ_i e^x[..., i]
maxout     y[..., j] = max[k](x[..., (j, k)])
GLU, ...   y[..., i] = x[..., i] f(x[..., n + i]),  x has 2 n features
"""

from typing import Any

import phistar as ph
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.reshaping import axis as axis_number
from phistar.nn.reshaping import axis_of
from phistar.nn.shapes import expect, expect_size, whole

# Of each element ----------------------------------------------------------------------------------


class Elementwise(ph.Model):
    """y[...] = f(x[...]), for any number of axes: what most activations are."""

    def f(self, x: Any) -> Any:
        """The function of one element."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        expect(x, self)
        y = Tensor("y")
        y[...] = self.f(x[...])
        return y


class ReLU(Elementwise):
    """max(x, 0); its derivative at 0 is 0."""

    def f(self, x: Any) -> Any:
        return ph.relu(x)


class ReLU6(Elementwise):
    """min(max(x, 0), 6)."""

    def f(self, x: Any) -> Any:
        return ph.relu6(x)


class LeakyReLU(Elementwise):
    """x where it is positive, else negative_slope x (Maas et al. 2013).

    Raises UsageError for a slope that is no number.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = number(self, "negative_slope", negative_slope)

    def f(self, x: Any) -> Any:
        return ph.leaky_relu(x, self.negative_slope)


class ELU(Elementwise):
    """x where it is positive, else alpha (e^x - 1) (Clevert et al. 2016).

    Raises UsageError for an alpha that is no number.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number(self, "alpha", alpha)

    def f(self, x: Any) -> Any:
        return ph.elu(x, self.alpha)


class SELU(Elementwise):
    """1.0507 x where x is positive, else 1.7581 (e^x - 1) (Klambauer et al. 2017)."""

    def f(self, x: Any) -> Any:
        return ph.selu(x)


class CELU(Elementwise):
    """x where it is positive, else alpha (e^(x / alpha) - 1) (Barron 2017).

    Raises UsageError for an alpha that is no number or 0.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = number(self, "alpha", alpha)
        if alpha == 0:
            raise UsageError("alpha of CELU is divided by: it cannot be 0")

    def f(self, x: Any) -> Any:
        return ph.celu(x, self.alpha)


class GELU(Elementwise):
    """x Φ(x), with Φ of the normal distribution (Hendrycks and Gimpel 2016).

    approximate: "none", or "tanh" for 0.5 x (1 + tanh(√(2 / π) (x + 0.044715 x³))). Raises
    UsageError for another.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise UsageError(f'approximate of GELU is "none" or "tanh", not {approximate!r}')
        self.approximate = approximate

    def f(self, x: Any) -> Any:
        return ph.gelu(x, approximate=self.approximate == "tanh")


class SiLU(Elementwise):
    """x σ(x), also called swish (Elfwing et al. 2018)."""

    def f(self, x: Any) -> Any:
        return ph.silu(x)


class Mish(Elementwise):
    """x tanh(ln(1 + e^x)) (Misra 2020)."""

    def f(self, x: Any) -> Any:
        return ph.mish(x)


class Sigmoid(Elementwise):
    """1 / (1 + e^-x)."""

    def f(self, x: Any) -> Any:
        return ph.sigmoid(x)


class LogSigmoid(Elementwise):
    """-ln(1 + e^-x)."""

    def f(self, x: Any) -> Any:
        return ph.log_sigmoid(x)


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    def f(self, x: Any) -> Any:
        return ph.tanh(x)


class Softplus(Elementwise):
    """ln(1 + e^(beta x)) / beta; x itself where beta x > threshold.

    Raises UsageError for numbers that are none, and a beta of 0.
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = number(self, "beta", beta)
        self.threshold = number(self, "threshold", threshold)
        if beta == 0:
            raise UsageError("beta of Softplus is divided by: it cannot be 0")

    def f(self, x: Any) -> Any:
        soft = ph.softplus(self.beta * x) / self.beta
        return ph.where(self.beta * x > self.threshold, x, soft)


class Softsign(Elementwise):
    """x / (1 + |x|)."""

    def f(self, x: Any) -> Any:
        return ph.softsign(x)


class Hardtanh(Elementwise):
    """x, no less than min_val and no more than max_val.

    Raises UsageError for numbers that are none, or in the wrong order.
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val = number(self, "min_val", min_val)
        self.max_val = number(self, "max_val", max_val)
        if not min_val < max_val:
            raise UsageError(f"Hardtanh wants min_val < max_val, not {min_val} and {max_val}")

    def f(self, x: Any) -> Any:
        inside = (x > self.min_val) & (x < self.max_val)
        return ph.where(inside, x, ph.stop_gradient(ph.clip(x, self.min_val, self.max_val)))


class Hardsigmoid(Elementwise):
    """min(max(x + 3, 0), 6) / 6."""

    def f(self, x: Any) -> Any:
        return ph.hard_sigmoid(x)


class Hardswish(Elementwise):
    """x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    def f(self, x: Any) -> Any:
        return ph.hard_swish(x)


class Threshold(Elementwise):
    """x where it is above the threshold, else value.

    Raises UsageError for numbers that are none.
    """

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold = number(self, "threshold", threshold)
        self.value = number(self, "value", value)

    def f(self, x: Any) -> Any:
        return ph.where(x > self.threshold, x, self.value)


class Hardshrink(Elementwise):
    """x where |x| > lambd, else 0.

    Raises UsageError for a number that is none.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = number(self, "lambd", lambd)

    def f(self, x: Any) -> Any:
        return ph.where((x > self.lambd) | (x < -self.lambd), x, 0)


class Softshrink(Elementwise):
    """x without lambd of its size: x - lambd above lambd, x + lambd below -lambd, else 0.

    Raises UsageError for a number that is none, or negative.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = number(self, "lambd", lambd)
        if lambd < 0:
            raise UsageError(f"lambd of Softshrink cannot be negative: {lambd}")

    def f(self, x: Any) -> Any:
        below = ph.where(x < -self.lambd, x + self.lambd, 0)
        return ph.where(x > self.lambd, x - self.lambd, below)


class Tanhshrink(Elementwise):
    """x - tanh(x)."""

    def f(self, x: Any) -> Any:
        return x - ph.tanh(x)


class Identity(ph.Model):
    """x itself; arguments are allowed and change nothing, as in PyTorch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, x: Any) -> Any:
        return x


# With a parameter ---------------------------------------------------------------------------------


class PReLU(ph.Model):
    """x where it is positive, else weight x, which is trained (He et al. 2015).

    num_parameters: one for all, or one for each channel of x (batch, channels, ...). init: their
    first value. Raises UsageError for a number that is none, ShapeError for other channels.
    """

    def __init__(self, num_parameters: int = 1, init: Any = 0.25, dtype: Any = "f32") -> None:
        self.num_parameters = whole(self, "num_parameters", num_parameters)
        self.weight = ph.param(num_parameters, init=init, dtype=dtype)

    def __call__(self, x: Any) -> Any:
        one, y = self.num_parameters == 1, Tensor("y")
        shape = expect(x, self, least=0 if one else 2)
        at = tuple(Index(f"i{n}") for n in range(len(shape)))
        if not one:
            expect_size(self, "parameters", self.num_parameters, shape, 1)
        slope = self.weight[0 if one else at[1]]
        y[at] = ph.where(x[at] > 0, x[at], slope * x[at])
        return y


# Along an axis ------------------------------------------------------------------------------------


class AlongAxis(ph.Model):
    """A function of an axis that keeps it: what Softmax and LogSoftmax share."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis_number(self, axis)

    def g(self, i: Index, x: Any) -> Any:
        """The function along index i."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        axis = axis_of(self, self.axis, expect(x, self, least=1))
        at, y = tuple(Index(f"i{n}") for n in range(len(x.shape))), Tensor("y")
        y[at] = self.g(at[axis], x[at])
        return y


class Softmax(AlongAxis):
    """e^x over its sum along an axis, by default the last.

    Raises UsageError for an axis that is no whole number, ShapeError for one that x has not.
    """

    def g(self, i: Index, x: Any) -> Any:
        return ph.softmax[i](x)


class LogSoftmax(AlongAxis):
    """x without the logarithm of Σ e^x along an axis, by default the last.

    Raises UsageError for an axis that is no whole number, ShapeError for one that x has not.
    """

    def g(self, i: Index, x: Any) -> Any:
        return ph.log_softmax[i](x)


class Maxout(ph.Model):
    """The largest of so many pieces, for each unit: x (..., n pieces) -> (..., n).

    The pieces of a unit lie side by side (Goodfellow et al. 2013). Raises UsageError for pieces
    that are no whole number, ShapeError if the axis does not fall into them.
    """

    def __init__(self, pieces: int = 2, axis: int = -1) -> None:
        self.pieces = whole(self, "pieces", pieces)
        self.axis = axis_number(self, axis)

    def __call__(self, x: Any) -> Any:
        before, size, after = around(self, x)
        j, k, y = Index("j", size), Index("k", self.pieces), Tensor("y")
        y[*before, j, *after] = ph.max[k](x[*before, (j, k), *after])
        return y


# Two halves ---------------------------------------------------------------------------------------


class Gated(ph.Model):
    """The first half of an axis times a function of the second: what GLU and its kin share.

    x (..., 2 n) -> (..., n); axis: by default the last. Raises UsageError for an axis that is no
    whole number, ShapeError for one that x has not or that has no two halves.
    """

    pieces = 2

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis_number(self, axis)

    def f(self, x: Any) -> Any:
        """The function of an element of the second half."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        before, size, after = around(self, x)
        i, y = Index("i", size), Tensor("y")
        first, second = x[*before, i + 0, *after], x[*before, i + size, *after]
        y[*before, i, *after] = first * self.f(second)
        return y


class GLU(Gated):
    """x[..., i] σ(x[..., n + i]) (Dauphin et al. 2017): see `Gated`."""

    def f(self, x: Any) -> Any:
        return ph.sigmoid(x)


class GEGLU(Gated):
    """x[..., i] gelu(x[..., n + i]) (Shazeer 2020): see `Gated`."""

    def f(self, x: Any) -> Any:
        return ph.gelu(x)


class SwiGLU(Gated):
    """x[..., i] silu(x[..., n + i]) (Shazeer 2020): see `Gated`."""

    def f(self, x: Any) -> Any:
        return ph.silu(x)


class ReGLU(Gated):
    """x[..., i] relu(x[..., n + i]) (Shazeer 2020): see `Gated`."""

    def f(self, x: Any) -> Any:
        return ph.relu(x)


# Arguments ----------------------------------------------------------------------------------------


def number(layer: Any, what: str, value: Any) -> float:
    """A number; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{what} of {type(layer).__name__} must be a number, not {value!r}")
    return float(value)


def around(layer: Any, x: Any) -> tuple[tuple[Index, ...], int, tuple[Index, ...]]:
    """Indices before a layer's axis and after it, and into how many the axis falls."""
    shape = expect(x, layer, least=1)
    axis = axis_of(layer, layer.axis, shape)
    if shape[axis] % layer.pieces:
        raise ShapeError(
            f"{type(layer).__name__} takes a multiple of {layer.pieces} features, "
            f"not the {shape[axis]} of shape {shape}"
        )
    at = tuple(Index(f"b{n}") for n in range(len(shape)))
    return at[:axis], shape[axis] // layer.pieces, at[axis + 1 :]
