"""How far numbers are off: mae, mse, rmse, r2, over all elements of the whole set, in float64.

mae = Σ |p - y| / n    mse = Σ (p - y)² / n    rmse = sqrt(mse)    r2 = 1 - Σ (p - y)² / Σ (y - ȳ)²
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.language.functions import abs, cast
from phistar.language.reductions import mean, sum
from phistar.language.tensors import Tensor
from phistar.metrics.metric import (
    Array,
    Metric,
    Statistics,
    measured,
    ratio,
    same_shape,
    total,
)


@dataclass(frozen=True)
class OfErrors(Metric):
    """A mean over all elements of a function of the error."""

    any_target = True

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        n = same_shape(prediction, target, self.name)
        error = cast(prediction[n], "f64") - cast(target[n], "f64")
        elements = Tensor("elements")
        elements[()] = cast(math.prod(target.shape), "i64")
        return {"sum": total(self.of(error), n, "errors"), "elements": elements}

    def of(self, error: Any) -> Any:
        return error**2

    def finish(self, statistics: Statistics) -> float:
        return ratio(statistics["sum"], statistics["elements"])


class MAE(OfErrors):
    """The mean absolute error."""

    name = "mae"

    def of(self, error: Any) -> Any:
        return abs(error)


class MSE(OfErrors):
    """The mean squared error."""

    name = "mse"


class RMSE(OfErrors):
    """The root of the mean squared error."""

    name = "rmse"

    def finish(self, statistics: Statistics) -> float:
        return math.sqrt(super().finish(statistics))


class R2(Metric):
    """How much of the variance is explained; each position after the first axis by itself.

    Means and squared deviations of the minibatches are merged as in Chan, Golub and LeVeque (1983):
    no digits are lost where the mean is large.
    """

    name = "r2"
    any_target = True

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        b, *d = same_shape(prediction, target, self.name)
        examples, centre, spread, missed = (
            Tensor(name) for name in ("examples", "centre", "spread", "missed")
        )
        y = cast(target[(b, *d)], "f64")
        examples[()] = cast(target.shape[0], "f64")
        centre[tuple(d)] = mean[b](y)
        spread[tuple(d)] = sum[b]((y - centre[tuple(d)]) ** 2)
        missed[tuple(d)] = sum[b]((y - cast(prediction[(b, *d)], "f64")) ** 2)
        return {"examples": examples, "centre": centre, "spread": spread, "missed": missed}

    def merge(self, before: Statistics | None, now: Mapping[str, Array]) -> Statistics:
        if before is None:
            return dict(now)
        n, m = before["examples"], now["examples"]
        apart = now["centre"] - before["centre"]
        return {
            "examples": n + m,
            "centre": before["centre"] + apart * m / (n + m),
            "spread": before["spread"] + now["spread"] + apart**2 * n * m / (n + m),
            "missed": before["missed"] + now["missed"],
        }

    def finish(self, statistics: Statistics) -> float:
        missed, spread = statistics["missed"], statistics["spread"]
        constant = np.where(missed > 0, 0.0, 1.0)
        explained = 1 - missed / np.where(spread > 0, spread, 1.0)
        return float(np.mean(np.where(spread > 0, explained, constant)))


def mae(prediction: Any = None, value: Any = None, *, target: str | None = None) -> Any:
    """The mean absolute error, Σ |p - y| / n.

    Without arrays, a metric for `ph.evaluate`; target: the column y, by default `label`, or the
    one column that the model does not ask for. ShapeError if the shapes differ.
    """
    return measured(MAE(target), prediction, value)


def mse(prediction: Any = None, value: Any = None, *, target: str | None = None) -> Any:
    """The mean squared error, Σ (p - y)² / n. Arguments as for `mae`."""
    return measured(MSE(target), prediction, value)


def rmse(prediction: Any = None, value: Any = None, *, target: str | None = None) -> Any:
    """The root of the mean squared error. Arguments as for `mae`."""
    return measured(RMSE(target), prediction, value)


def r2(prediction: Any = None, value: Any = None, *, target: str | None = None) -> Any:
    """The coefficient of determination, 1 - Σ (p - y)² / Σ (y - ȳ)².

    Of several outputs, [b, d], the mean of their coefficients; an output that is constant counts 1
    if it is met and 0 if not. Arguments as for `mae`.
    """
    return measured(R2(target), prediction, value)
