"""Several objectives that take turns, each training its own part of a model by its own optimizer.

for each minibatch: for each part: forward and backward of its loss, update of its parameters

    alternate(gan, {"discriminator": loss_d, "generator": loss_g}, data, optimizer=ph.Adam(2e-4))
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phistar import optim
from phistar.data.dataset import Dataset
from phistar.data.order import Order, minibatches
from phistar.errors import DataError, UsageError
from phistar.language.models import Model
from phistar.optim import Optimizer
from phistar.training.algorithm import Algorithm, Values, compile
from phistar.training.columns import as_dataset, check_model, mode
from phistar.training.evaluating import Evaluator
from phistar.training.fitting import Callback, validation_sets, whole
from phistar.training.history import Epoch, History
from phistar.training.interruption import Interrupted, Stop, stop_on_signals
from phistar.training.metrics import Metric
from phistar.training.nonfinite import Moment, refuse_not_finite
from phistar.training.progress import Progress, progress_for

Losses = Mapping[str, Callable[..., Any]]

BETWEEN = 2**20  # the parts' seeds, so that each has random fields of its own


def alternate(
    model: Model,
    losses: Losses,
    data: Any,
    *,
    optimizer: Optimizer | Mapping[str, Optimizer],
    epochs: int = 1,
    batch_size: int = 32,
    validation: Any = None,
    metrics: Sequence[Metric] = (),
    seed: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    backend: str | None = None,
    progress: bool | None = None,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train the parts of a model, which have its attributes' names, each to its own loss.

    losses: by the part that each trains, in the order of their turns at every minibatch. optimizer:
    one for all, with states for each, or one by part. The rest is as for `ph.fit`. The history's
    losses are the sums over the parts; each part's own mean is a metric, `train.generator`, and on
    a validation set `test.generator`. Raises UsageError for a part without parameters or without
    an optimizer, NotFiniteError and Interrupted as `ph.fit` does.
    """
    check_model(model)
    whole("epochs", epochs, 0)
    whole("batch_size", batch_size, 1)
    whole("seed", seed, 0)
    data = as_dataset(data)
    if not len(data):
        raise DataError("there is nothing to train on: the data has no examples")
    algorithms = {
        part: compile(
            loss,
            model,
            optimizer=own(part, model, optimizer),
            batch=data.spec(min(batch_size, len(data))),
            epochs=epochs,
            shuffle=shuffle,
            drop_last=drop_last,
            backend=backend,
        )
        for part, loss in losses.items()
    }
    sets = validation_sets(validation)
    evaluators = {p: Evaluator(model, f, metrics, backend) for p, f in losses.items() if sets}
    turns = Turns(algorithms, data, seed, progress_for(progress), sets, evaluators, callbacks)
    with mode(model, training=True), stop_on_signals() as stop:
        turns.train(stop)
    return turns.history


def own(part: str, model: Model, optimizer: Any) -> Optimizer:
    """The optimizer of a part, which leaves all else as it is; UsageError if there is none."""
    if not any(name.startswith(f"{part}.") for name in model.parameters):
        raise UsageError(f"{type(model).__name__} has no parameters under the name {part}")
    if isinstance(optimizer, Mapping):
        if part not in optimizer:
            raise UsageError(f"optimizer= has none for {part}: {', '.join(optimizer)}")
        optimizer = optimizer[part]
    return optim.Groups({f"{part}.*": optimizer, "*": None})


@dataclass
class Turns:
    """A training under way."""

    algorithms: Mapping[str, Algorithm]
    data: Dataset
    seed: int
    progress: Progress
    validation: Mapping[str, Dataset]
    evaluators: Mapping[str, Evaluator]
    callbacks: Sequence[Callback]
    history: History = field(default_factory=History)
    values: Values = field(default_factory=dict)

    def train(self, stop: Stop) -> None:
        """All epochs; the model has the values of the last whole step whatever happens."""
        for algorithm in self.algorithms.values():
            self.values |= algorithm.initial_values(self.seed)
        epochs = next(iter(self.algorithms.values())).epochs or 0
        self.progress.begin(epochs, len(self.data))
        try:
            for epoch in range(epochs):
                self.epoch(epoch, stop)
                if any([callback(self.history) is True for callback in self.callbacks]):
                    break
        except KeyboardInterrupt:
            raise Interrupted(self.history, stop.signal) from None
        finally:
            self.progress.end()
            self.store()

    def epoch(self, epoch: int, stop: Stop) -> None:
        """One pass over the data, then the measuring."""
        first = next(iter(self.algorithms.values()))
        order = Order(len(self.data), self.seed, epoch, first.shuffle)
        totals, seen, began = dict.fromkeys(self.algorithms, 0.0), 0, time.perf_counter()
        for rows in minibatches(order, first.batch.size, first.drop_last):
            losses = self.step(epoch, rows)
            seen += len(rows)
            for part, loss in losses.items():
                totals[part] += loss * len(rows)
            self.progress.step(epoch, seen, sum(losses.values()))
            if stop.requested:
                raise KeyboardInterrupt
        seconds = time.perf_counter() - began
        self.store()
        means = {f"train.{part}": total / seen for part, total in totals.items()}
        record = Epoch(epoch + 1, sum(means.values()), means | self.measured(), seconds, seen)
        self.history.epochs.append(record)
        self.progress.epoch(record)

    def step(self, epoch: int, rows: Any) -> dict[str, float]:
        """Each part's turn on one minibatch; their losses."""
        losses, columns = {}, self.data.batch(rows)
        values, number = self.values, len(self.history.losses)
        for n, (part, algorithm) in enumerate(self.algorithms.items()):
            now = Moment(values, columns, rows, self.seed + n * BETWEEN, number)
            losses[part], values = algorithm.run(values, columns, now.seed, number)
            if not np.isfinite(losses[part]):
                refuse_not_finite(algorithm, losses[part], epoch, None, now)
        self.values = values
        self.history.losses.append(sum(losses.values()))
        return losses

    def measured(self) -> dict[str, float]:
        """Each part's loss and the metrics on each validation set, as `test.generator`."""
        found: dict[str, float] = {}
        for name, data in self.validation.items():
            for part, evaluator in self.evaluators.items():
                values = evaluator(data)
                found[f"{name}.{part}"] = values.pop("loss")
                found |= {f"{name}.{metric}": value for metric, value in values.items()}
        return found

    def store(self) -> None:
        """Give the model the values as they are now."""
        for tensor, array in self.values.items():
            if tensor.data is not array:
                tensor.data = array
                tensor.version += 1
