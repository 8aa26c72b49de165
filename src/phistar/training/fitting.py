"""`ph.fit`: the search for Φ* over a training set, minibatch by minibatch.

for each epoch: draw the order; for each minibatch: one step; then measure
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phistar.data.dataset import Dataset
from phistar.data.order import Order, minibatches
from phistar.errors import DataError, IndexRangeError, UsageError
from phistar.language.models import Model
from phistar.optim import Optimizer
from phistar.training.algorithm import Algorithm, Values, check_optimizer, compile
from phistar.training.columns import as_dataset, check_model, mode
from phistar.training.evaluating import Evaluator
from phistar.training.history import Epoch, History
from phistar.training.interruption import Interrupted, Stop, stop_on_interrupt
from phistar.training.loop import compiles_loops, loopable
from phistar.training.metrics import Metric
from phistar.training.nonfinite import Moment, refuse_not_finite
from phistar.training.progress import Progress, progress_for

Array = np.ndarray[Any, Any]
Callback = Callable[[History], bool | None]

CALL = 0.05  # seconds that one call of the program shall take: Ctrl-C waits for it


def fit(
    model: Model,
    loss: Callable[..., Any],
    data: Any,
    *,
    optimizer: Optimizer,
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
    """Train the model's parameters on a data set; the model has them afterwards.

    loss: a function `loss(model, x, label)` that names the columns it reads; averaged over its
    batch index if it keeps one. validation: a data set, or several by name, on which the loss and
    the metrics are measured after each epoch. seed: parameters without a value, the order of the
    examples and random fields are functions of it. progress: None shows a bar on a terminal and
    lines elsewhere. callbacks: called with the history after each epoch; one that returns True ends
    the training.

    Raises NotFiniteError if a loss is not finite (the model keeps the parameters from before that
    step), and Interrupted, a KeyboardInterrupt, on Ctrl-C, after the step that runs.
    """
    check_model(model)
    check_optimizer(optimizer)
    whole("epochs", epochs, 0)
    whole("batch_size", batch_size, 1)
    whole("seed", seed, 0)
    data = as_dataset(data)
    if not len(data):
        raise DataError("there is nothing to train on: the data has no examples")
    algorithm = compile(
        loss,
        model,
        optimizer=optimizer,
        batch=data.spec(min(batch_size, len(data))),
        epochs=epochs,
        shuffle=shuffle,
        drop_last=drop_last,
        backend=backend,
    )
    sets = validation_sets(validation)
    evaluator = Evaluator(model, loss, metrics, backend) if sets else None
    values = algorithm.initial_values(seed)
    run = Run(algorithm, data, seed, values, progress_for(progress), sets, evaluator, callbacks)
    run.loops = compiles_loops(backend) and all(map(loopable, data.columns.values()))
    with mode(model, training=True), stop_on_interrupt() as stop:
        run.train(stop)
    return run.history


def whole(name: str, number: Any, least: int) -> None:
    """UsageError if it is not a whole number, or less than the least."""
    plain = isinstance(number, int | np.integer) and not isinstance(number, bool)
    if not plain or number < least:
        raise UsageError(f"{name} must be a whole number from {least} on, not {number!r}")


def validation_sets(validation: Any) -> dict[str, Dataset]:
    """The data sets to measure on, by name."""
    if validation is None:
        return {}
    if isinstance(validation, Mapping) and all(isinstance(v, Dataset) for v in validation.values()):
        return {str(name): data for name, data in validation.items()}
    return {"validation": as_dataset(validation)}


@dataclass(frozen=True, eq=False)
class Chunk:
    """Steps that are done in one call: what they begin with."""

    values: Values
    rows: list[Array]
    number: int  # of the first


@dataclass
class Run:
    """A training that is under way: everything that changes during it is here."""

    algorithm: Algorithm
    data: Dataset
    seed: int
    values: Values
    progress: Progress
    validation: Mapping[str, Dataset]
    evaluator: Evaluator | None
    callbacks: Sequence[Callback]
    history: History = field(default_factory=History)
    before: Moment | None = None  # the last step, for a NaN that shows only at the next one
    before_chunk: "Chunk | None" = None  # likewise
    loops: bool = False  # the backend does many steps in one call
    together: int = 1  # how many

    def train(self, stop: Stop) -> None:
        """All epochs; the model has the values of the last whole step whatever happens."""
        epochs = self.algorithm.epochs or 0
        self.progress.begin(epochs, len(self.data))
        try:
            for epoch in range(epochs):
                if self.epoch(epoch, stop):
                    break
        except KeyboardInterrupt:
            self.store()
            raise Interrupted(self.history) from None
        finally:
            self.progress.end()
            self.store()

    def epoch(self, epoch: int, stop: Stop) -> bool:
        """One pass over the data, then the measuring; True if a callback ends the training."""
        began, total, seen = time.perf_counter(), 0.0, 0
        for chunk in self.chunks(epoch):
            for rows, loss in zip(chunk, self.run(epoch, chunk), strict=True):
                total, seen = total + loss * len(rows), seen + len(rows)
                self.progress.step(epoch, seen, loss)
            if stop.requested:
                raise KeyboardInterrupt
        seconds = time.perf_counter() - began
        self.store()
        record = Epoch(epoch + 1, total / seen, self.measured(), seconds, seen)
        self.history.epochs.append(record)
        self.progress.epoch(record)
        ended = [callback(self.history) is True for callback in self.callbacks]
        if stop.requested:
            raise KeyboardInterrupt
        return any(ended)

    def chunks(self, epoch: int) -> Iterator[list[Array]]:
        """The minibatches of an epoch, as many together as one call of the program shall do."""
        chunk: list[Array] = []
        for rows in self.batches(epoch):
            if chunk and (len(chunk) >= self.together or len(rows) != len(chunk[0])):
                yield chunk
                chunk = []
            chunk.append(rows)
        if chunk:
            yield chunk

    def batches(self, epoch: int) -> Iterator[Array]:
        """The rows of each minibatch of an epoch."""
        whole = Order(len(self.data), self.seed, epoch, self.algorithm.shuffle)
        return minibatches(whole, self.algorithm.batch.size, self.algorithm.drop_last)

    def run(self, epoch: int, chunk: list[Array]) -> list[float]:
        """The losses of the chunk's steps: in one call where the backend compiles loops."""
        if not self.loops:
            return [self.step(epoch, rows) for rows in chunk]
        number, began = len(self.history.losses), time.perf_counter()
        here = Chunk(self.values, chunk, number)
        try:
            columns = self.data.columns
            losses, values = self.algorithm.steps(
                self.values, columns, np.stack(chunk), self.seed, number
            )
        except IndexRangeError:
            return self.replay(epoch, here)
        if not np.isfinite(losses).all():
            return self.replay(epoch, here)
        self.before_chunk, self.values = here, values
        self.history.losses.extend(float(loss) for loss in losses)
        seconds = (time.perf_counter() - began) / len(chunk)
        if len(chunk) == self.together or self.together == 1:
            self.together = max(1, min(int(CALL / max(seconds, 1e-9)), 2 * self.together))
        return [float(loss) for loss in losses]

    def replay(self, epoch: int, chunk: "Chunk") -> list[float]:
        """The chunk, and the one before, again step by step: something goes wrong in it."""
        losses: list[float] = []
        for part in (self.before_chunk, chunk):
            if part is None:
                continue
            self.values = part.values
            del self.history.losses[part.number :]
            losses = [self.step(epoch, rows) for rows in part.rows]
        return losses

    def step(self, epoch: int, rows: Array) -> float:
        """One step; its loss."""
        number = len(self.history.losses)
        now = Moment(self.values, self.data.batch(rows), rows, self.seed, number)
        loss, values = self.algorithm.run(now.values, now.columns, now.seed, now.number)
        if not np.isfinite(loss):
            refuse_not_finite(self.algorithm, loss, epoch, self.before, now)
        self.before, self.values = now, values
        self.history.losses.append(loss)
        return loss

    def measured(self) -> dict[str, float]:
        """The loss and the metrics on each validation set, as `validation.loss`."""
        if self.evaluator is None:
            return {}
        return {
            f"{name}.{metric}": value
            for name, data in self.validation.items()
            for metric, value in self.evaluator(data).items()
        }

    def store(self) -> None:
        """Give the model the values as they are now."""
        for tensor, array in self.values.items():
            if tensor.data is not array:
                tensor.data = array
                tensor.version += 1
