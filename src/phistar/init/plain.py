"""Initial values that do not look at fans: numbers, and draws from one distribution."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.init.numbers import Array, Rng, Shape, number, shown

LEAST_MASS = 1e-3  # of a truncated distribution: below it draws would be thrown away for ever


@dataclass(frozen=True, repr=False)
class constant:
    """The same number everywhere."""

    value: float

    def __post_init__(self) -> None:
        number("value of constant", self.value)

    def __repr__(self) -> str:
        return f"constant({self.value!r})"

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.full(shape, float(self.value))


@dataclass(frozen=True)
class zeros:
    """0 everywhere."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class ones:
    """1 everywhere."""

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return np.ones(shape)


@dataclass(frozen=True, repr=False)
class uniform:
    """Uniform in [low, high). Raises UsageError unless low < high."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        ordered("uniform", self.low, self.high)

    def __repr__(self) -> str:
        return f"uniform({self.low!r}, {self.high!r})"

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True, repr=False)
class normal:
    """Normal, with mean and standard deviation."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        number("mean of normal", self.mean)
        number("std of normal", self.std, 0)

    def __repr__(self) -> str:
        return f"normal({self.mean!r}, {self.std!r})"

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True, repr=False)
class truncated_normal:
    """Normal, drawn again where a draw is not within low and high standard deviations of the mean.

    mean, std: of the distribution before it is truncated, as in PyTorch (whose bounds are numbers,
    not multiples of std). Raises UsageError if next to nothing lies between the bounds.
    """

    mean: float = 0.0
    std: float = 1.0
    low: float = -2.0
    high: float = 2.0

    def __post_init__(self) -> None:
        number("mean of truncated_normal", self.mean)
        number("std of truncated_normal", self.std, 0)
        ordered("truncated_normal", self.low, self.high)
        if mass(self.low, self.high) < LEAST_MASS:
            raise UsageError(
                f"truncated_normal: next to nothing of a normal distribution lies between "
                f"{self.low} and {self.high} standard deviations"
            )

    def __repr__(self) -> str:
        return shown(self)

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        drawn = rng.normal(size=shape)
        while (outside := (drawn < self.low) | (drawn > self.high)).any():
            drawn[outside] = rng.normal(size=int(outside.sum()))
        return np.asarray(self.mean + self.std * drawn)


def ordered(name: str, low: Any, high: Any) -> None:
    """UsageError unless low < high."""
    if not number(f"low of {name}", low) < number(f"high of {name}", high):
        raise UsageError(f"{name} wants low < high, not {low!r} and {high!r}")


def mass(low: float, high: float) -> float:
    """How much of the normal distribution lies between two numbers."""
    return 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
