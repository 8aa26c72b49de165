"""The slope of a program along a direction, by central differences, against its backward program.

For weights G of the result, <x.grad, d> must be the slope of <G, f(x + ε d)> at ε = 0. Where the
one-sided differences disagree however small ε is (relu at 0, ties of max), there is no slope, and
that part of the result gets weight 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phistar.backends.contract import Compiled
from phistar.ir.program import Tensor
from phistar.verify.report import Status

Array = np.ndarray[Any, Any]
Values = Mapping[str, Array]

STEP = 1e-5
TOLERANCE = 1e-6
NOISE = 64 * 2.0**-52  # what rounding may do to a result, relative to its size


@dataclass(frozen=True)
class Pair:
    """A forward program and its backward program, both compiled, at given values."""

    forward: Compiled
    backward: Compiled
    known: Values
    result: Tensor
    grad: str  # the input that holds the adjoint of the result
    seed: int
    step: int

    def run(self, moved: Values) -> Array:
        result = self.forward({**self.known, **moved}, self.seed, self.step)[self.result.name]
        return np.asarray(result, np.float64)

    def grads(self, result: Array, weights: Array) -> dict[str, Array]:
        known = {**self.known, self.result.name: result, self.grad: weights}
        return self.backward(known, self.seed, self.step)


@dataclass(frozen=True)
class Difference:
    """What finite differences say in one direction: central, and how far the sides are apart."""

    slope: Array
    bend: Array


@dataclass(frozen=True)
class Outcome:
    """One comparison."""

    status: Status
    error: float
    expected: float
    got: float


@dataclass(frozen=True)
class Base:
    """A pair at one point: x = at gives `result`, which is weighted by `weights`."""

    pair: Pair
    name: str
    grad: str | None
    at: Array
    result: Array
    weights: Array

    def gradient(self, weights: Array) -> Array:
        if self.grad is None:
            return np.zeros(self.at.shape)
        return np.asarray(self.pair.grads(self.result, weights)[self.grad], np.float64)

    def moved(self, d: Array) -> Array:
        return self.pair.run({self.name: self.at + d})

    def difference(self, d: Array, step: float) -> Difference:
        """Central differences, and how much the one-sided ones differ."""
        with np.errstate(invalid="ignore", over="ignore"):
            up = (self.moved(step * d) - self.result) / step
            down = (self.result - self.moved(-step * d)) / step
            return Difference((up + down) / 2, np.abs(up - down))

    def noise(self, step: float) -> float:
        """What rounding may do to the slope of the weighted result."""
        finite = np.where(np.isfinite(self.result), np.abs(self.result), 0.0)
        typical = np.sqrt(np.sum((finite * self.weights) ** 2)) + np.max(finite, initial=1e-300)
        return NOISE * float(typical) / step


def compare(base: Base, gradient: Array, d: Array) -> Outcome:
    """<gradient, d> against the slope along d; kinks are looked for only if they disagree."""
    slope = base.difference(d, STEP)
    outcome = weigh(gradient, d, slope, base.weights, base.noise(STEP))
    if outcome.status is Status.OK:
        return outcome
    small = STEP / 16
    finer = base.difference(d, small)
    kinked = ~np.isfinite(finer.slope) | (finer.bend > slope.bend / 4)
    kinked &= ~(finer.bend <= 1e-5 * np.abs(finer.slope))
    weights = np.where(kinked, 0.0, base.weights)
    with np.errstate(invalid="ignore"):
        change = np.where(weights != 0, (slope.slope - finer.slope) * weights, 0.0)
    unsure = base.noise(small) + abs(float(np.sum(change))) / 8  # what is left of higher orders
    outcome = weigh(base.gradient(weights), d, finer, weights, unsure)
    kinks = bool(np.any(kinked & ((base.weights != 0) | ~np.isfinite(base.result))))
    nothing_left = not np.any((weights != 0) & (finer.slope != 0))
    if kinks and (outcome.status is Status.OK or nothing_left):
        return replace(outcome, status=Status.KINK)
    return outcome


def weigh(
    gradient: Array, d: Array, difference: Difference, weights: Array, unsure: float
) -> Outcome:
    """One comparison, of what the weights and the direction do not leave out."""
    used = weights != 0
    expected_terms = difference.slope[used] * weights[used]
    got_terms = gradient[d != 0] * d[d != 0]
    expected, got = float(np.sum(expected_terms)), float(np.sum(got_terms))
    sides = np.abs(expected_terms) + np.abs(difference.bend[used] * weights[used]) / 2
    size = float(np.sum(sides) + np.sum(np.abs(got_terms)))
    off = abs(got - expected)
    good = off <= TOLERANCE * size + unsure
    error = off / size if size else off
    return Outcome(Status.OK if good else Status.MISMATCH, error, expected, got)


def badness(outcome: Outcome) -> tuple[int, float]:
    order = (Status.OK, Status.KINK, Status.MISMATCH)
    error = outcome.error if np.isfinite(outcome.error) else np.inf
    return order.index(outcome.status), float(error)
