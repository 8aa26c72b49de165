"""What is measured: metrics of `phistar.metrics`, and functions of a model and the data's columns.

    def margin(model, x, label):
        P = model(x)
        return P[b, label[b]] - ph.max[y : ph.not_equal(y, label[b])](P[b, y])

A metric of `phistar.metrics` is exact over the whole set. A function keeps its batch index and is
averaged over the set; one that returns a number is averaged over the minibatches, each weighted by
its examples.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phistar.errors import DataError, ExpressionError, UsageError, suggestion
from phistar.language.expression import Expr, Index
from phistar.language.models import Model
from phistar.language.tensors import Tensor
from phistar.metrics import METRICS
from phistar.metrics.metric import Metric as ExactMetric
from phistar.training.averages import as_expression
from phistar.training.columns import asked_by, call_model, title

Metric = str | ExactMetric | Callable[..., Any]
Measure = ExactMetric | Callable[..., Any]


def named_metrics(metrics: Sequence[Metric]) -> Mapping[str, Measure]:
    """The metrics by name; UsageError for one that is unknown or has no name of its own."""
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise UsageError(f'metrics= wants a list, such as ["accuracy"], not {metrics!r}')
    found: dict[str, Measure] = {}
    for metric in metrics:
        measure = measure_of(metric)
        name = measure.name if isinstance(measure, ExactMetric) else title(measure)
        if not name.isidentifier():
            raise UsageError("a metric needs a name: write it with def, not lambda")
        if name in found or name == "loss":
            raise UsageError(f"two metrics are named {name}")
        found[name] = measure
    return found


def measure_of(metric: Metric) -> Measure:
    """A metric by its name, one without its parentheses, or as it is."""
    if isinstance(metric, str):
        if metric not in METRICS:
            raise UsageError(f"there is no metric {metric!r}: {suggestion(metric, METRICS)}")
        return METRICS[metric]()  # type: ignore[no-any-return]
    if not isinstance(metric, ExactMetric) and metric in METRICS.values():
        return metric()  # type: ignore[no-any-return]
    if not isinstance(metric, ExactMetric) and not callable(metric):
        raise UsageError(f"a metric is a name, a metric or a function, not {metric!r}")
    return metric


def statistics(
    metrics: Mapping[str, ExactMetric], model: Model, columns: Mapping[str, Tensor]
) -> dict[str, Any]:
    """The statistics of every metric for a minibatch, from one call of the model."""
    if not metrics:
        return {}
    targets = {name: target_of(m, model, columns) for name, m in metrics.items()}
    returned = call_model(model, columns)
    return {
        name: dict(m.statistics(prediction_of(returned, m), targets[name]))
        for name, m in metrics.items()
    }


def target_of(metric: ExactMetric, model: Model, columns: Mapping[str, Tensor]) -> Tensor:
    """The column that a metric compares with; DataError if it is not clear which."""
    if metric.target is not None and metric.target in columns:
        return columns[metric.target]
    if metric.target is None and "label" in columns:
        return columns["label"]
    others = [name for name in columns if name not in asked_by(model, columns, given=0)]
    if metric.target is None and metric.any_target and len(others) == 1:
        return columns[others[0]]
    raise DataError(
        f"{metric.name} compares with the column {metric.target or 'label'!r}, but the data has "
        f"{', '.join(columns)}: name one, target=, or write a metric of your own, "
        "def right(model, x, ...)"
    )


def prediction_of(returned: Any, metric: ExactMetric) -> Tensor:
    """What the model returned, as a tensor with an axis for the examples."""
    if isinstance(returned, tuple | list | dict | None):
        raise ExpressionError(f"{metric.name} wants a model that returns one tensor, P[b, y]")
    e = as_expression(returned)
    if not e.open or not all(isinstance(i, Index) for i in e.open):
        raise ExpressionError(f"{metric.name} wants a model that returns P[b, y], not a number")
    return returned if isinstance(returned, Tensor) else tensor_of(e)


def tensor_of(e: Expr) -> Tensor:
    made = Tensor("prediction")
    made[e.open] = e
    return made
