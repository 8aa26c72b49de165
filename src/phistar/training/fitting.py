"""`ph.fit`: the search for Φ* over a training set, minibatch by minibatch.

for each epoch: draw the order; for each minibatch: one step; then measure
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.dataset import Dataset
from phistar.data.order import Order, minibatches
from phistar.data.prefetch import prefetched, slow
from phistar.errors import DataError, IndexRangeError, UsageError
from phistar.language.models import Model
from phistar.optim import Optimizer
from phistar.training.algorithm import Algorithm, Values, check_optimizer, compile, store
from phistar.training.columns import as_dataset, check_model, mode
from phistar.training.evaluating import Evaluator
from phistar.training.history import Epoch, History
from phistar.training.interruption import Interrupted, Stop, stop_on_signals
from phistar.training.loop import compiles_loops, loopable
from phistar.training.metrics import Metric
from phistar.training.nonfinite import (
    MOST_SKIPPED,
    Moment,
    refuse_not_finite,
    refuse_result,
    spoiled,
)
from phistar.training.progress import Progress, progress_for
from phistar.training.snapshots.keeper import Keeper
from phistar.training.snapshots.resuming import snapshot_to_resume
from phistar.training.snapshots.snapshot import Position
from phistar.training.snapshots.survival import Survival
from phistar.training.snapshots.wishes import Snapshots, as_wishes

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
    snapshots: Snapshots | str | Path | None = None,
    resume: bool | str | Path = False,
    force: bool = False,
    nonfinite: str = "stop",
) -> History:
    """Train the model's parameters on a data set; the model has them afterwards.

    loss: a function `loss(model, x, label)` that names the columns it reads; averaged over its
    batch index if it keeps one. validation: a data set, or several by name, on which the loss and
    the metrics are measured after each epoch. seed: parameters without a value, the order of the
    examples and random fields are functions of it. progress: None shows a bar on a terminal and
    lines elsewhere. callbacks: called with the history after each epoch; one that returns True ends
    the training; one with state_dict() and load_state_dict(state) goes on as it was after a resume.

    snapshots: a folder, or `ph.Snapshots(folder, every=1000)`. resume: True goes on from the newest
    whole snapshot there, if there is one; a path from that one. The result has the bits of a
    training that never stopped. force: go on though settings have changed. nonfinite: "skip" leaves
    out the steps whose loss or update is not finite, and lists them in `history.skipped`.

    Raises NotFiniteError if a loss is not finite (the model keeps the parameters from before that
    step), Interrupted, a KeyboardInterrupt, on Ctrl-C, after the step that runs (and, if snapshots
    are taken, on SIGTERM and SIGUSR1, after a snapshot), SnapshotError if a snapshot does not fit,
    UsageError if another training writes to the folder.
    """
    check_model(model)
    check_optimizer(optimizer)
    whole("epochs", epochs, 0)
    whole("batch_size", batch_size, 1)
    whole("seed", seed, 0)
    if nonfinite not in ("stop", "skip"):
        raise UsageError(f'nonfinite= is "stop" or "skip", not {nonfinite!r}')
    wishes = as_wishes(snapshots)
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
    keeper = None if wishes is None else Keeper(wishes)
    survival = Survival({"": algorithm}, data, seed, callbacks, keeper)
    shown = progress_for(progress)
    run = Run(algorithm, data, seed, values, shown, sets, evaluator, callbacks, survival)
    run.loops = compiles_loops(backend) and all(map(loopable, data.columns.values()))
    run.skips = nonfinite == "skip"
    with (
        mode(model, training=True),
        stop_on_signals(ending=wishes is not None) as stop,
        keeper.opened(stop) if keeper else nullcontext(),
    ):
        survival.begin(run, snapshot_to_resume(resume, wishes), force)
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
    data: Dataset


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
    survival: Survival
    history: History = field(default_factory=History)
    at: Position = field(default_factory=Position)
    skips: bool = False  # steps that are not finite
    before: Moment | None = None  # the last step, for a NaN that shows only at the next one
    before_chunk: "Chunk | None" = None  # likewise
    loops: bool = False  # the backend does many steps in one call
    together: int = 1  # how many
    coming: dict[int, "Future[dict[str, Array]]"] = field(default_factory=dict)  # by their rows

    def __post_init__(self) -> None:
        self.now = self.data  # as it is in this epoch

    def train(self, stop: Stop) -> None:
        """All epochs; the model has the values of the last whole step whatever happens."""
        epochs = self.algorithm.epochs or 0
        done = self.at.epoch * len(self.data) + self.at.seen
        self.progress.begin(epochs, len(self.data), done)
        try:
            while self.at.epoch < epochs and not (self.at.ended or self.survival.enough(self)):
                self.epoch(stop)
            self.check_result()
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
        at, began = self.at, time.perf_counter() - self.at.seconds
        self.now = self.data.at(self.seed, at.epoch)
        for chunk in self.chunks(at.epoch):
            for rows, loss in zip(chunk, self.run(at.epoch, chunk), strict=True):
                if isfinite(loss):
                    at.total, at.seen = at.total + loss * len(rows), at.seen + len(rows)
                self.progress.step(at.epoch, at.seen, loss)
            at.batch += len(chunk)
            at.seconds = time.perf_counter() - began
            if at.batch < self.batches_in_epoch:
                self.survival.offer(self)
            self.survival.leave_if(self, stop)
            if at.batch < self.batches_in_epoch and self.survival.enough(self):
                return
        store(self.values)
        mean = at.total / at.seen if at.seen else float("nan")
        record = Epoch(at.epoch + 1, mean, self.measured(), at.seconds, at.seen)
        self.history.epochs.append(record)
        self.progress.epoch(record)
        ended = any([callback(self.history) is True for callback in self.callbacks])
        self.at = Position(at.epoch + 1, ended=ended)
        self.survival.offer_epoch(self)
        self.survival.leave_if(self, stop)

    @property
    def batches_in_epoch(self) -> int:
        whole, rest = divmod(len(self.data), self.algorithm.batch.size)
        return whole + (rest > 0 and not self.algorithm.drop_last)

    def check_result(self) -> None:
        """NotFiniteError if the last update made a parameter that is not finite."""
        if self.before_chunk and spoiled(self.before_chunk.values, self.values):
            self.replay(self.at.epoch, None)
        if self.before and spoiled(self.before.values, self.values):
            self.values = self.before.values
            refuse_result(self.algorithm, self.before)

    def chunks(self, epoch: int) -> Iterator[list[Array]]:
        """The minibatches of an epoch, as many together as one call of the program shall do."""
        chunk: list[Array] = []
        room = self.room
        for rows in self.batches(epoch):
            if chunk and (len(chunk) >= room or len(rows) != len(chunk[0])):
                yield chunk
                chunk, room = [], self.room
            chunk.append(rows)
        if chunk:
            yield chunk

    @property
    def room(self) -> int:
        """How many steps the next call shall do: it ends where a snapshot is due."""
        return min(self.together, self.survival.room(self))

    def batches(self, epoch: int) -> Iterator[Array]:
        """The rows of each minibatch of an epoch."""
        whole = Order(len(self.data), self.seed, epoch, self.algorithm.shuffle)
        size, drop_last = self.algorithm.batch.size, self.algorithm.drop_last
        rows = minibatches(whole, size, drop_last, self.at.batch)
        return self.fetched(rows) if slow(self.now) and not self.loops else rows

    def fetched(self, rows: Iterator[Array]) -> Iterator[Array]:
        """The rows of each minibatch, which threads read before they are asked for."""
        self.coming.clear()
        for at, batch in prefetched(self.now.batch, rows):
            self.coming[id(at)] = batch
            yield at

    def batch(self, rows: Array) -> dict[str, Array]:
        """A minibatch by column."""
        coming = self.coming.pop(id(rows), None)
        return self.now.batch(rows) if coming is None else coming.result()

    def run(self, epoch: int, chunk: list[Array]) -> list[float]:
        """The losses of the chunk's steps: in one call where the backend compiles loops."""
        if not self.loops:
            return [self.step(epoch, rows) for rows in chunk]
        number, began = len(self.history.losses), time.perf_counter()
        here = Chunk(self.values, chunk, number, self.now)
        try:
            columns = self.now.columns
            losses, values = self.algorithm.steps(
                self.values, columns, np.stack(chunk), self.seed, number
            )
        except IndexRangeError:
            return self.replay(epoch, here)
        if self.skips and (not np.isfinite(losses).all() or spoiled(here.values, values)):
            return [self.step(epoch, rows) for rows in chunk]
        if not np.isfinite(losses).all():
            return self.replay(epoch, here)
        self.before_chunk, self.values = here, values
        self.history.losses.extend(float(loss) for loss in losses)
        seconds = (time.perf_counter() - began) / len(chunk)
        if len(chunk) >= self.together or len(chunk) == 1:
            self.together = max(1, min(int(CALL / max(seconds, 1e-9)), 2 * self.together))
        return [float(loss) for loss in losses]

    def replay(self, epoch: int, chunk: "Chunk | None") -> list[float]:
        """The chunk, and the one before, again step by step: something goes wrong in it."""
        losses: list[float] = []
        for part in (self.before_chunk, chunk):
            if part is None:
                continue
            self.values, self.now = part.values, part.data
            del self.history.losses[part.number :]
            losses = [self.step(epoch, rows) for rows in part.rows]
        return losses

    def one(self, now: Moment) -> tuple[float, Values]:
        """One step: where the backend does many in a call, by that program, for the same bits."""
        if not (self.loops and self.skips):
            return self.algorithm.run(now.values, now.columns, now.seed, now.number)
        columns, rows = self.now.columns, now.rows[None]
        losses, values = self.algorithm.steps(now.values, columns, rows, now.seed, now.number)
        return float(losses[0]), values

    def step(self, epoch: int, rows: Array) -> float:
        """One step; its loss."""
        number = len(self.history.losses)
        now = Moment(self.values, self.batch(rows), rows, self.seed, number)
        loss, values = self.one(now)
        if self.skips and not (np.isfinite(loss) and not spoiled(now.values, values)):
            return self.skip(epoch, loss, now)
        if not np.isfinite(loss):
            refuse_not_finite(self.algorithm, loss, epoch, self.before, now)
        self.before, self.values = now, values
        self.history.losses.append(loss)
        return loss

    def skip(self, epoch: int, loss: float, now: Moment) -> float:
        """Leave out a step; NotFiniteError if very many were left out one after the other."""
        skipped = self.history.skipped
        if skipped[-MOST_SKIPPED:] == list(range(now.number - MOST_SKIPPED, now.number)):
            refuse_not_finite(self.algorithm, loss, epoch, None, now)
        skipped.append(now.number)
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
