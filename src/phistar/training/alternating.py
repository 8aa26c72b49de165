"""Several objectives that take turns, each training its own part of a model by its own optimizer.

for each minibatch: for each part: forward and backward of its loss, update of its parameters

    alternate(gan, {"discriminator": loss_d, "generator": loss_g}, data, optimizer=ph.Adam(2e-4))
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phistar import optim
from phistar.data.dataset import Dataset
from phistar.data.order import Order, minibatches
from phistar.errors import DataError, UsageError
from phistar.language.models import Model
from phistar.optim import Optimizer
from phistar.training.algorithm import Algorithm, Values, compile, store
from phistar.training.columns import as_dataset, check_model, mode
from phistar.training.evaluating import Evaluator
from phistar.training.fitting import Callback, validation_sets, whole
from phistar.training.history import Epoch, History
from phistar.training.interruption import Interrupted, Stop, stop_on_signals
from phistar.training.metrics import Metric
from phistar.training.nonfinite import Moment, refuse_not_finite
from phistar.training.progress import Progress, progress_for
from phistar.training.snapshots.keeper import Keeper
from phistar.training.snapshots.resuming import snapshot_to_resume
from phistar.training.snapshots.snapshot import Position
from phistar.training.snapshots.survival import Survival
from phistar.training.snapshots.wishes import Snapshots, as_wishes

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
    snapshots: Snapshots | str | Path | None = None,
    resume: bool | str | Path = False,
    force: bool = False,
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
    wishes = as_wishes(snapshots)
    keeper = None if wishes is None else Keeper(wishes)
    survival = Survival(algorithms, data, seed, callbacks, keeper)
    shown = progress_for(progress)
    turns = Turns(algorithms, data, seed, shown, sets, evaluators, callbacks, survival)
    for algorithm in algorithms.values():
        turns.values |= algorithm.initial_values(seed)
    with (
        mode(model, training=True),
        stop_on_signals(ending=wishes is not None) as stop,
        keeper.opened(stop) if keeper else nullcontext(),
    ):
        survival.begin(turns, snapshot_to_resume(resume, wishes), force)
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
    survival: Survival
    history: History = field(default_factory=History)
    values: Values = field(default_factory=dict)
    at: Position = field(default_factory=Position)

    @property
    def first(self) -> Algorithm:
        return next(iter(self.algorithms.values()))

    def train(self, stop: Stop) -> None:
        """All epochs; the model has the values of the last whole step whatever happens."""
        epochs = self.first.epochs or 0
        self.progress.begin(epochs, len(self.data), self.at.epoch * len(self.data) + self.at.seen)
        try:
            while self.at.epoch < epochs and not (self.at.ended or self.survival.enough(self)):
                self.epoch(stop)
            self.survival.save(self)
        except Interrupted:
            raise
        except KeyboardInterrupt:
            raise Interrupted(self.history, stop.signal) from None
        finally:
            self.progress.end()
            store(self.values)

    def epoch(self, stop: Stop) -> None:
        """One pass over the data, or the rest of one, then the measuring."""
        at, first, began = self.at, self.first, time.perf_counter() - self.at.seconds
        data = self.data.at(self.seed, at.epoch)
        order = Order(len(data), self.seed, at.epoch, first.shuffle)
        for rows in minibatches(order, first.batch.size, first.drop_last, at.batch):
            losses = self.step(at.epoch, rows, data.batch(rows))
            at.batch, at.seen = at.batch + 1, at.seen + len(rows)
            for part, loss in losses.items():
                at.parts[part] = at.parts.get(part, 0.0) + loss * len(rows)
            at.seconds = time.perf_counter() - began
            self.progress.step(at.epoch, at.seen, sum(losses.values()))
            self.survival.offer(self)
            self.survival.leave_if(self, stop)
            if self.survival.enough(self):
                return
        store(self.values)
        means = {f"train.{part}": total / at.seen for part, total in at.parts.items()}
        metrics = means | self.measured()
        record = Epoch(at.epoch + 1, sum(means.values()), metrics, at.seconds, at.seen)
        self.history.epochs.append(record)
        self.progress.epoch(record)
        ended = any([callback(self.history) is True for callback in self.callbacks])
        self.at = Position(at.epoch + 1, ended=ended)
        self.survival.offer_epoch(self)
        self.survival.leave_if(self, stop)

    def step(self, epoch: int, rows: Any, columns: Mapping[str, Any]) -> dict[str, float]:
        """Each part's turn on one minibatch; their losses."""
        losses: dict[str, float] = {}
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
