"""Metrics, exact over a whole data set: counts and sums are merged, not averages averaged.

    ph.evaluate(model, loss, test, metrics=["accuracy", ph.metrics.top_k(5), ph.metrics.f1()])
    ph.metrics.auc(scores, label)

Without arrays each function gives a metric for `ph.evaluate` and `ph.fit`; with arrays, its value.
"""

from collections.abc import Callable
from typing import Any

from phistar.metrics.classes import (
    accuracy,
    confusion_matrix,
    f1,
    iou,
    precision,
    recall,
    top_k,
)
from phistar.metrics.likelihood import perplexity
from phistar.metrics.metric import Metric
from phistar.metrics.numbers import mae, mse, r2, rmse
from phistar.metrics.ranking import auc

# Those that are known by name; each makes the metric without options.
METRICS: dict[str, Callable[[], Any]] = {
    "accuracy": accuracy,
    "auc": auc,
    "confusion_matrix": confusion_matrix,
    "f1": f1,
    "iou": iou,
    "mae": mae,
    "mse": mse,
    "perplexity": perplexity,
    "precision": precision,
    "r2": r2,
    "recall": recall,
    "rmse": rmse,
    "top_k": top_k,
}

__all__ = [
    "METRICS",
    "Metric",
    "accuracy",
    "auc",
    "confusion_matrix",
    "f1",
    "iou",
    "mae",
    "mse",
    "perplexity",
    "precision",
    "r2",
    "recall",
    "rmse",
    "top_k",
]
