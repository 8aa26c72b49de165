"""`ph.evaluate` and `ph.predict`: a model on a whole data set, minibatch by minibatch.

Results are exact for the set: every example counts once, also those of a smaller last minibatch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.contract import Compiled
from phistar.data.dataset import BatchSpec, Dataset
from phistar.errors import DataError, ExpressionError, UsageError
from phistar.language.evaluation import current_seed, given_value
from phistar.language.models import Model
from phistar.language.tensors import Parameter, Tensor
from phistar.language.traced import Program, rebuild
from phistar.metrics.metric import Metric as ExactMetric
from phistar.training.averages import total
from phistar.training.columns import (
    Symbols,
    as_dataset,
    asked_by,
    call_model,
    check_model,
    columns_of_model,
    mode,
    symbols_of,
    title,
    trace_symbols,
)
from phistar.training.metrics import Metric, named_metrics, statistics

Array = np.ndarray[Any, Any]
Loss = Callable[..., Any]


def evaluate(
    model: Model,
    loss: Loss | None,
    data: Any,
    metrics: Sequence[Metric] = (),
    *,
    batch_size: int = 1000,
    backend: str | None = None,
) -> dict[str, Any]:
    """The loss and the metrics on a data set: {"loss": 0.08, "accuracy": 0.976}.

    metrics: those of `ph.metrics`, by name or with options, `ph.metrics.top_k(5)`, exact over the
    set; or functions like losses that keep their batch index. loss: None leaves it out. Nothing of
    the model changes. Values are numbers, but for a confusion matrix and its like arrays.
    """
    check_model(model)
    evaluator = Evaluator(model, loss, metrics, backend, only_numbers=False)
    return evaluator(as_dataset(data), batch_size)


def predict(model: Model, data: Any, *, batch_size: int = 1000, backend: str | None = None) -> Any:
    """What the model returns for every example, rows in order: an array (or several, if so).

    data: a data set, columns by name, or the one array the model asks for.
    """
    check_model(model)
    data = as_dataset(data, columns_of_model(model))

    def outputs(symbols: Symbols, size: int) -> Any:
        return call_model(model, symbols)

    runner = Runner(model, outputs, backend)
    parts = list(runner.batches(data, batch_size))
    return joined(parts, len(data), title(model))


def joined(parts: list[Any], examples: int, name: str) -> Any:
    """The results of the minibatches, one below the other."""
    first = parts[0]
    match first:
        case dict():
            return {k: joined([p[k] for p in parts], examples, name) for k in first}
        case tuple() | list():
            return type(first)(
                joined([p[n] for p in parts], examples, name) for n in range(len(first))
            )
    rows = np.concatenate(parts) if all(np.ndim(p) for p in parts) else np.asarray(first)
    if rows.shape[:1] != (examples,):
        raise ExpressionError(
            f"{name} must return a row for each example, but for {examples} examples it returned "
            f"shape {rows.shape}"
        )
    return rows


class Evaluator:
    """The loss and the metrics of a model, compiled once for each size of a minibatch.

    only_numbers: a metric that gives an array is refused, where numbers are to be printed.
    """

    def __init__(
        self,
        model: Model,
        loss: Loss | None,
        metrics: Sequence[Metric],
        backend: str | None,
        only_numbers: bool = True,
    ) -> None:
        self.names = [*([] if loss is None else ["loss"]), *(named := named_metrics(metrics))]
        self.exact = {n: m for n, m in named.items() if isinstance(m, ExactMetric)}
        self.averaged = {n: m for n, m in named.items() if not isinstance(m, ExactMetric)}
        if loss is not None:
            self.averaged["loss"] = loss
        if arrays := [n for n, m in self.exact.items() if only_numbers and not m.is_number]:
            raise UsageError(
                f"{', '.join(arrays)} gives an array, not a number: measure it with ph.evaluate"
            )
        self.model = model
        self.runner = Runner(model, self.measured, backend)

    def measured(self, symbols: Symbols, size: int) -> Any:
        """What is summed over the examples, and the metrics' statistics, within a trace."""
        totals = {
            name: total(f(self.model, **asked_by(f, symbols)), size, name, f"{name} ({title(f)})")
            for name, f in self.averaged.items()
        }
        return totals, statistics(self.exact, self.model, symbols)

    def __call__(self, data: Dataset, batch_size: int = 1000) -> dict[str, Any]:
        sums = dict.fromkeys(self.averaged, 0.0)
        merged: dict[str, Any] = dict.fromkeys(self.exact)
        for totals, found in self.runner.batches(data, batch_size):
            for name, value in totals.items():
                sums[name] += float(value)
            for name, metric in self.exact.items():
                merged[name] = metric.merge(merged[name], found[name])
        results = {name: value / len(data) for name, value in sums.items()}
        results |= {name: m.finish(merged[name]) for name, m in self.exact.items()}
        return {name: results[name] for name in self.names}


class Runner:
    """A function of a batch's columns, traced in evaluation mode, run over a whole data set."""

    def __init__(
        self, model: Model, function: Callable[[Symbols, int], Any], backend: str | None
    ) -> None:
        self.model, self.function, self.backend = model, function, backend
        self.programs: dict[Any, tuple[Program, Compiled]] = {}

    def batches(self, data: Dataset, batch_size: int) -> Iterator[Any]:
        """What the function gives for each minibatch, in order."""
        if not len(data):
            raise DataError("there is nothing to evaluate: the data has no examples")
        whole = data.spec(batch_size)
        for number, start in enumerate(range(0, len(data), batch_size)):
            rows = np.arange(start, min(start + batch_size, len(data)))
            yield self.run(whole.resized(len(rows)), data.batch(rows), number)

    def run(self, spec: BatchSpec, columns: Mapping[str, Array], number: int) -> Any:
        traced, compiled = self.program(spec)
        results = compiled(values_of(traced, columns), current_seed(), number)
        return rebuild(traced.results, lambda t: results[t.name])

    def program(self, spec: BatchSpec) -> tuple[Program, Compiled]:
        """The function for one size of a minibatch, traced and compiled."""
        key = (spec.size, tuple((n, c.shape, c.dtype) for n, c in spec.columns.items()))
        if key not in self.programs:
            symbols = symbols_of(spec)
            with mode(self.model, training=False):
                traced = trace_symbols(
                    lambda: self.function(symbols, spec.size), self.model, symbols
                )
            self.programs[key] = (traced, compiler.compile(traced.source, self.backend))
        return self.programs[key]


def values_of(traced: Program, columns: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays for a traced function's inputs: the columns, and what the model holds."""
    owners = {name: d.owner for name, d in traced.assembled.inputs.items()}
    return {
        name: given_value(owner) if is_given(owner) else columns[owner.name]
        for name, owner in owners.items()
    }


def is_given(tensor: Tensor) -> bool:
    """Whether a tensor has a value of its own: a parameter, or a constant, ph.tensor(...)."""
    return isinstance(tensor, Parameter) or tensor.data is not None
