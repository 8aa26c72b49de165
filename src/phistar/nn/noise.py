"""Noise in training: what is dropped, added, multiplied or skipped. In evaluation nothing is.

    dropout       y[...] = x[...] m[...] / (1 - p),    m = 1 with probability 1 - p, else 0
    in channels   the mask has no axes for positions:  m[b, c]
    variational   the mask has no axis for time:       m[b, e]
    Gaussian      y[...] = x[...] + σ ε[...],          y[...] = x[...] (1 + √(p / (1 - p)) ε[...])
    depth         y[b, ...] = x[b, ...] m[b] / (1 - p)

Masks are random fields: functions of the seed, the step and the element; backward sees the same.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.reparametrisation import Reparametrised
from phistar.nn.shapes import expect

Indices = tuple[Index, ...]


def probability(layer: Any, what: str, p: Any) -> float:
    """The number; UsageError if it is no probability below 1."""
    if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p < 1:
        raise UsageError(
            f"{what} of {type(layer).__name__} is a probability from 0 to below 1, not {p!r}"
        )
    return float(p)


def elements(shape: tuple[int, ...]) -> Indices:
    """An index for each axis."""
    return tuple(Index(f"i{n}", size) for n, size in enumerate(shape))


def kept(p: float, at: Indices) -> Any:
    """Truth values: what is not dropped, with probability 1 - p."""
    return ph.uniform[at] >= p


class Noise(ph.Model):
    """What the layers below share: y = noisy(x) in training, y = x in evaluation.

    least: how many axes x has at least. Nothing is drawn where the amount is 0.
    """

    least: ClassVar[int] = 0
    amount: float

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=self.least)
        if self.amount == 0 or not self.training:
            return x
        at, y = elements(shape), Tensor("y")
        y[at] = self.noisy(x[at], at)
        return y

    @abstractmethod
    def noisy(self, x: Any, at: Indices) -> Any:
        """What becomes of the element x at these indices."""


# Dropout ------------------------------------------------------------------------------------------


class Dropout(Noise):
    """Each element is 0 with probability p, the others grow by 1 / (1 - p).

    Srivastava et al. (2014). x of any shape -> y of the same; in evaluation, and for p = 0, y is x.
    Raises UsageError if p is no probability below 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = self.amount = probability(self, "p", p)

    def drawn(self, at: Indices) -> Indices:
        """The axes along which elements are dropped one by one."""
        return at

    def noisy(self, x: Any, at: Indices) -> Any:
        return ph.where(kept(self.p, self.drawn(at)), x / (1 - self.p), 0.0)


class ChannelDropout(Dropout):
    """What Dropout1d, Dropout2d and Dropout3d share: whole channels are dropped.

    x (..., channels, *positions), with the channels first as in `phistar.nn.convolution`; any
    number of batch axes. Tompson et al. (2015).
    """

    positions: ClassVar[int]

    def drawn(self, at: Indices) -> Indices:
        return at[: -self.positions]


class Dropout1d(ChannelDropout):
    """x[b, c, t]: each channel of each example is 0 with probability p. See `ChannelDropout`."""

    positions, least = 1, 2


class Dropout2d(ChannelDropout):
    """x[b, c, p, q]: each channel of each example is 0 with probability p. See `ChannelDropout`."""

    positions, least = 2, 3


class Dropout3d(ChannelDropout):
    """x[b, c, o, p, q]: each channel of each example is 0 with probability p."""

    positions, least = 3, 4


class VariationalDropout(Dropout):
    """x[b, t, e]: the same units are dropped at all times (Gal and Ghahramani 2016).

    Any number of batch axes stand before t. For the state within a recurrence, see the argument
    recurrent_dropout of the recurrent layers.
    """

    least = 2

    def drawn(self, at: Indices) -> Indices:
        return (*at[:-2], at[-1])


class StochasticDepth(Dropout):
    """x[b, ...]: all of an example is 0 with probability p: a residual branch that is skipped.

    Huang et al. (2016), there called a survival probability 1 - p. The first axis is the batch.
    """

    least = 1

    def drawn(self, at: Indices) -> Indices:
        return at[:1]


class AlphaDropout(Dropout):
    """Dropped elements take SELU's least value α'; mean 0 and variance 1 remain.

    y = a (x m + α' (1 - m)) + c with a = ((1 - p)(1 + p α'²))^(-1/2), c = -a α' p
    (Klambauer et al. 2017).
    """

    LEAST: ClassVar[float] = -1.7580993408473766  # -λ α of SELU

    def noisy(self, x: Any, at: Indices) -> Any:
        scale = ((1 - self.p) * (1 + self.p * self.LEAST**2)) ** -0.5
        seen = ph.where(kept(self.p, self.drawn(at)), x, self.LEAST)
        return scale * seen - scale * self.LEAST * self.p


class FeatureAlphaDropout(AlphaDropout):
    """`AlphaDropout` of whole channels: x (b, channels, ...), as PyTorch's."""

    least = 2

    def drawn(self, at: Indices) -> Indices:
        return at[:2]


# Gaussian -----------------------------------------------------------------------------------------


class GaussianNoise(Noise):
    """y = x + σ ε with ε normal, for each element; in evaluation y is x.

    Raises UsageError if the standard deviation σ is no number from 0 on.
    """

    def __init__(self, deviation: float) -> None:
        plain = isinstance(deviation, int | float) and not isinstance(deviation, bool)
        if not plain or not 0 <= deviation < float("inf"):
            raise UsageError(
                f"GaussianNoise takes a standard deviation from 0 on, not {deviation!r}"
            )
        self.deviation = self.amount = float(deviation)

    def noisy(self, x: Any, at: Indices) -> Any:
        return x + self.deviation * ph.normal[at]


class GaussianDropout(Dropout):
    """y = x (1 + √(p / (1 - p)) ε): as much noise as dropout makes (Srivastava et al. 2014, 10)."""

    def noisy(self, x: Any, at: Indices) -> Any:
        return x * (1 + (self.p / (1 - self.p)) ** 0.5 * ph.normal[at])


# Parameters ---------------------------------------------------------------------------------------


class DropConnect(Reparametrised):
    """A layer some of whose weights are 0: what `drop_connect` makes."""

    def __init__(self, layer: Any, p: float, name: str) -> None:
        super().__init__(layer, name, f"{name}_raw")
        self.p = probability(self, "p", p)
        self.adopt(layer)

    def made(self) -> Tensor:
        raw: Tensor = self.original
        if self.p == 0 or not self.training:
            return raw
        at, W = elements(raw.shape), Tensor(self.names[0])
        W[at] = ph.where(kept(self.p, at), raw[at] / (1 - self.p), 0.0)
        return W


def drop_connect(layer: Any, p: float = 0.5, name: str = "weight") -> DropConnect:
    """A layer whose weights are each 0 with probability p in training, the same for all examples.

    Wan et al. (2013); of a recurrent layer's weight_hh_l0 it is AWD-LSTM's (Merity et al. 2018).
    The others grow by 1 / (1 - p). The parameter is called weight_raw here. Raises UsageError for a
    layer without such a parameter, or if p is no probability below 1.
    """
    return DropConnect(layer, p, name)
