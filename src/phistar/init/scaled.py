"""Initial values whose variance keeps signals, or gradients, of one size through a layer.

    xavier  gain² 2 / (fan_in + fan_out)      he  gain² / fan      lecun  1 / fan_in

The fans come from the equation that uses the parameter: see `phistar.language.initial`. A uniform
draw with bound sqrt(3 v) has variance v.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from phistar.errors import UsageError, suggestion
from phistar.init.numbers import Array, Rng, Shape, number, shown

# The gains that PyTorch has too: how much a function shrinks a signal of variance 1, undone.
# fmt: off
GAINS: dict[str, Callable[[float], float]] = {
    "linear":     lambda slope: 1.0,
    "identity":   lambda slope: 1.0,
    "conv":       lambda slope: 1.0,
    "sigmoid":    lambda slope: 1.0,
    "tanh":       lambda slope: 5 / 3,
    "relu":       lambda slope: math.sqrt(2),
    "leaky_relu": lambda slope: math.sqrt(2 / (1 + slope**2)),
    "selu":       lambda slope: 3 / 4,
}
MODES: dict[str, Callable[[int, int], float]] = {
    "fan_in":  lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
}
# fmt: on


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor for the standard deviation of a layer before this function: gain("relu") is √2.

    nonlinearity: linear, identity, conv, sigmoid, tanh, relu, leaky_relu (with its slope), selu.
    Raises UsageError for another.
    """
    if nonlinearity not in GAINS:
        raise UsageError(
            f"there is no gain for {nonlinearity!r}: {suggestion(str(nonlinearity), GAINS)}"
        )
    return GAINS[nonlinearity](number("slope of gain", slope))


def normal(rng: Rng, shape: Shape, variance: float) -> Array:
    return rng.normal(0.0, math.sqrt(variance), shape)


def uniform(rng: Rng, shape: Shape, variance: float) -> Array:
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True, repr=False)
class Xavier:
    """Variance gain² 2 / (fan_in + fan_out) (Glorot and Bengio 2010, equation 16)."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        number(f"gain of {type(self).__name__}", self.gain)

    def __repr__(self) -> str:
        return shown(self)

    def variance(self, fan_in: int, fan_out: int) -> float:
        return self.gain**2 * 2 / max(fan_in + fan_out, 1)


class xavier_uniform(Xavier):
    """Uniform, variance gain² 2 / (fan_in + fan_out) (Glorot and Bengio 2010, equation 16)."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return uniform(rng, shape, self.variance(fan_in, fan_out))


class xavier_normal(Xavier):
    """Normal, variance gain² 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return normal(rng, shape, self.variance(fan_in, fan_out))


@dataclass(frozen=True, repr=False)
class He:
    """Variance gain(nonlinearity)² / fan (He et al. 2015, equations 10 and 14).

    mode: "fan_in" keeps the size of signals, "fan_out" that of gradients, "fan_avg" lies between.
    slope: of leaky_relu.
    """

    mode: str = "fan_in"
    nonlinearity: str = "relu"
    slope: float = 0.01

    def __post_init__(self) -> None:
        gain(self.nonlinearity, self.slope)
        if self.mode not in MODES:
            raise UsageError(
                f"mode of {type(self).__name__} is {', '.join(MODES)}, not {self.mode!r}"
            )

    def __repr__(self) -> str:
        return shown(self)

    def variance(self, fan_in: int, fan_out: int) -> float:
        return gain(self.nonlinearity, self.slope) ** 2 / max(MODES[self.mode](fan_in, fan_out), 1)


class he_uniform(He):
    """Uniform, variance gain(nonlinearity)² / fan (He et al. 2015, equations 10 and 14).

    mode: "fan_in", "fan_out", "fan_avg". nonlinearity: as for `gain`; slope: of leaky_relu.
    """

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return uniform(rng, shape, self.variance(fan_in, fan_out))


class he_normal(He):
    """Normal, variance gain(nonlinearity)² / fan (He et al. 2015): phistar's default.

    mode: "fan_in", "fan_out", "fan_avg". nonlinearity: as for `gain`; slope: of leaky_relu.
    """

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return normal(rng, shape, self.variance(fan_in, fan_out))


@dataclass(frozen=True)
class lecun_uniform:
    """Uniform, variance 1 / fan_in (LeCun et al. 1998, section 4.6)."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return uniform(rng, shape, 1 / max(fan_in, 1))


@dataclass(frozen=True)
class lecun_normal:
    """Normal, variance 1 / fan_in (LeCun et al. 1998; for SELU, Klambauer et al. 2017)."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return normal(rng, shape, 1 / max(fan_in, 1))
