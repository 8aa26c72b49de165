"""The area under the ROC curve, exact with ties: from all predictions, kept until the end.

auc = P(score of a positive > score of a negative) + P(they are equal) / 2
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from phistar.errors import ShapeError
from phistar.language.tensors import Tensor
from phistar.metrics.metric import Array, Metric, Statistics, axes, measured


class AUC(Metric):
    """Mann and Whitney's U, over the number of pairs."""

    name = "auc"

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        if prediction.shape not in (target.shape, (*target.shape, *prediction.shape[-1:])):
            raise ShapeError(
                f"auc wants scores of the labels' shape {target.shape}, or one axis more, "
                f"not {prediction.shape}"
            )
        scores, label = Tensor("scores"), Tensor("truth")
        n, m = axes(len(prediction.shape)), axes(len(target.shape))
        scores[n], label[m] = prediction[n], target[m]
        return {"scores": scores, "label": label}

    def merge(self, before: Statistics | None, now: Mapping[str, Array]) -> Statistics:
        kept: Statistics = {name: [] for name in now} if before is None else before
        for name, array in now.items():
            kept[name].append(np.array(array))
        return kept

    def finish(self, statistics: Statistics) -> float:
        scores, label = (np.concatenate(statistics[name]) for name in ("scores", "label"))
        if scores.ndim == label.ndim:
            return pairs_in_order(scores.ravel(), label.ravel() > 0)
        scores, label = scores.reshape(-1, scores.shape[-1]).astype(np.float64), label.ravel()
        if scores.shape[-1] == 2:
            return pairs_in_order(of_the_second(scores), label == 1)
        areas = [pairs_in_order(scores[:, k], label == k) for k in np.unique(label)]
        return float(np.mean([a for a in areas if a == a] or [np.nan]))


def of_the_second(scores: Array) -> Array:
    """One score from two: the probability of the second class, or how much its score is larger."""
    probabilities = scores.size and scores.min() >= 0 and np.abs(scores.sum(1) - 1).max() < 1e-3
    return np.asarray(scores[:, 1] if probabilities else scores[:, 1] - scores[:, 0])


def pairs_in_order(scores: Array, positive: Array) -> float:
    """The share of pairs whose positive has the larger score, ties half; NaN without pairs."""
    many, others = int(positive.sum()), int((~positive).sum())
    if not many or not others or np.isnan(scores).any():
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    twice_rank = 2 * np.cumsum(count) - count + 1  # whole numbers: nothing is rounded
    twice_U = int(twice_rank[place[positive]].sum()) - many * (many + 1)
    return twice_U / (2 * many * others)


def auc(prediction: Any = None, label: Any = None, *, target: str | None = None) -> Any:
    """The area under the ROC curve (Hanley and McNeil 1982), exact over the set, ties as halves.

    prediction: scores [b, ...] of the labels' shape, for labels 0 (or -1) and 1; or P[b, ..., y]
    with two classes, scores or probabilities; with more, the mean over the classes of each against
    all others. NaN where there is only one class. Without arrays, a metric for `ph.evaluate`.
    """
    return measured(AUC(target), prediction, label)
