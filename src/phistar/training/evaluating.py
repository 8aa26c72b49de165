"""`ph.evaluate` and `ph.predict`: a model on a whole data set, minibatch by minibatch.

Results are exact for the set: every example counts once, also those of a smaller last minibatch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.contract import Compiled
from phistar.data.dataset import BatchSpec, Dataset
from phistar.errors import DataError, ExpressionError
from phistar.language.evaluation import current_seed, given_value
from phistar.language.models import Model
from phistar.language.tensors import Parameter
from phistar.language.traced import Program, rebuild
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
from phistar.training.metrics import Metric, named_metrics

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
) -> dict[str, float]:
    """The loss and the metrics on a data set: {"loss": 0.08, "accuracy": 0.976}.

    metrics: "accuracy", or functions like losses that keep their batch index. loss: None leaves it
    out. Nothing of the model changes.
    """
    check_model(model)
    return Evaluator(model, loss, metrics, backend)(as_dataset(data), batch_size)


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
    """The loss and the metrics of a model, compiled once for each size of a minibatch."""

    def __init__(
        self, model: Model, loss: Loss | None, metrics: Sequence[Metric], backend: str | None
    ) -> None:
        self.measures: dict[str, Loss] = {} if loss is None else {"loss": loss}
        self.measures |= named_metrics(metrics)
        self.model = model
        self.runner = Runner(model, self.measured, backend)

    def measured(self, symbols: Symbols, size: int) -> Any:
        """Every measure, summed over the examples, within a trace."""
        return {
            name: total(f(self.model, **asked_by(f, symbols)), size, name, f"{name} ({title(f)})")
            for name, f in self.measures.items()
        }

    def __call__(self, data: Dataset, batch_size: int = 1000) -> dict[str, float]:
        totals = dict.fromkeys(self.measures, 0.0)
        for results in self.runner.batches(data, batch_size):
            for name, value in results.items():
                totals[name] += float(value)
        return {name: value / len(data) for name, value in totals.items()}


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
        name: given_value(owner) if isinstance(owner, Parameter) else columns[owner.name]
        for name, owner in owners.items()
    }
