"""What a metric is: equations for a minibatch, and what is made of their results at the end.

    statistics(prediction, label) -> tensors        of each minibatch, within its program
    merge(before, now)            -> statistics     sums of counts and numbers, exact over the set
    finish(statistics)            -> the number

A metric is called on arrays, f1(scores, label), or listed: ph.evaluate(..., metrics=[f1()]).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Expr, Index
from phistar.language.functions import cast
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.language.transformations import jit

Array = np.ndarray[Any, Any]
Statistics = dict[str, Any]
Indices = tuple[Index, ...]


@dataclass(frozen=True)
class Metric:
    """Base of all metrics. target: the column to compare with, by default `label`."""

    target: str | None = None

    any_target = False  # without `label`, the one column that the model does not ask for
    is_number = True  # what comes out is one number

    @property
    def name(self) -> str:
        """What the result is called."""
        raise NotImplementedError

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        """The equations for a minibatch."""
        raise NotImplementedError

    def merge(self, before: Statistics | None, now: Mapping[str, Array]) -> Statistics:
        """The statistics of all minibatches up to and with this one: their sums."""
        return dict(now) if before is None else {name: before[name] + now[name] for name in now}

    def finish(self, statistics: Statistics) -> Any:
        """The metric, from the statistics of the whole set."""
        raise NotImplementedError

    def __call__(self, prediction: Any, target: Any) -> Any:
        """The metric of arrays."""

        def statistics(prediction: Any, target: Any) -> Mapping[str, Tensor]:
            return self.statistics(prediction, target)

        found = jit(statistics, backend="numpy")(np.asarray(prediction), np.asarray(target))
        return self.finish(self.merge(None, {k: np.asarray(v) for k, v in found.items()}))


def measured(metric: Metric, prediction: Any, target: Any) -> Any:
    """The metric itself, or its value for arrays; UsageError for one array without the other."""
    if prediction is None and target is None:
        return metric
    if prediction is None or target is None:
        raise UsageError(f"{metric.name} compares two arrays: what was predicted, and what is so")
    return metric(prediction, target)


def axes(rank: int) -> Indices:
    """An index for each axis: b first."""
    return tuple(Index("b" if k == 0 else f"i{k}") for k in range(rank))


def total(e: Expr, n: Indices, name: str) -> Tensor:
    """The sum over all indices, a tensor without axes."""
    made = Tensor(name)
    made[()] = sum[n](e) if n else e
    return made


def count(e: Expr, n: Indices, name: str) -> Tensor:
    """How often a condition holds: a whole number."""
    return total(cast(e, "i64"), n, name)


def same_shape(prediction: Tensor, target: Tensor, name: str) -> Indices:
    """Indices for both; ShapeError if their shapes differ."""
    if prediction.shape != target.shape:
        raise ShapeError(
            f"{name} wants predictions of the target's shape {target.shape}, not {prediction.shape}"
        )
    return axes(len(target.shape))


def ratio(above: Any, below: Any) -> float:
    """above / below, NaN for 0 / 0: a metric of nothing is no number."""
    return float(above) / float(below) if below else float("nan")
