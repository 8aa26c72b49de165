"""Metrics: functions of the model and the data's columns, written as equations.

    def accuracy(model, x, label):
        P = model(x)
        return ph.cast(ph.equal(ph.argmax[y](P[b, y]), label[b]), "f32")

A metric keeps its batch index and is averaged over the whole set; one that returns a number is
averaged over the minibatches, each weighted by its examples.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phistar.errors import DataError, ExpressionError, UsageError, suggestion
from phistar.language.expression import Index
from phistar.language.functions import cast, equal
from phistar.language.models import Model
from phistar.language.reductions import argmax, mean
from phistar.language.tensors import Tensor
from phistar.training.averages import as_expression
from phistar.training.columns import call_model, title

Metric = str | Callable[..., Any]


def accuracy(model: Model, **columns: Any) -> Any:
    """How often the most probable label is the right one.

    The model returns P[b, y], or P[b, t, y] for labels label[b, t]; the data has a column `label`.
    """
    if "label" not in columns:
        raise DataError(
            f"accuracy compares with the column 'label', but the data has {', '.join(columns)}: "
            "write a metric of your own, def right(model, x, ...)"
        )
    label, P = columns["label"], probabilities(call_model(model, columns))
    *kept, y = P.open
    if label.rank != len(kept):
        raise ExpressionError(
            f"accuracy wants one axis more in what the model returns than in label, "
            f"but they have {len(kept) + 1} and {label.rank}"
        )
    made = Tensor("prediction")
    made[tuple(kept)] = argmax[y](P)
    right = cast(equal(made[tuple(kept)], label[tuple(kept)]), "f32")
    return mean[tuple(kept[1:])](right) if kept[1:] else right


def probabilities(returned: Any) -> Any:
    """What the model returned, as an expression with an index for each axis, the label last."""
    if isinstance(returned, tuple | list | dict | None):
        raise ExpressionError("accuracy wants a model that returns one tensor, P[b, y]")
    e = as_expression(returned)
    if not e.open or not all(isinstance(i, Index) for i in e.open):
        raise ExpressionError("accuracy wants a model that returns P[b, y], not a number")
    return e


METRICS: dict[str, Callable[..., Any]] = {"accuracy": accuracy}


def named_metrics(metrics: Sequence[Metric]) -> Mapping[str, Callable[..., Any]]:
    """The metrics by name; UsageError for one that is unknown or has no name of its own."""
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise UsageError(f'metrics= wants a list, such as ["accuracy"], not {metrics!r}')
    found: dict[str, Callable[..., Any]] = {}
    for metric in metrics:
        name = metric if isinstance(metric, str) else title(metric)
        if isinstance(metric, str) and metric not in METRICS:
            raise UsageError(f"there is no metric {metric!r}: {suggestion(metric, METRICS)}")
        if not name.isidentifier():
            raise UsageError("a metric needs a name: write it with def, not lambda")
        if name in found or name == "loss":
            raise UsageError(f"two metrics are named {name}")
        found[name] = METRICS[metric] if isinstance(metric, str) else metric
    return found
