"""The snapshots of a training that is under way: when one is due, who writes it, what went wrong.

due(step): step reaches a multiple of `every`, or `minutes` have passed on a clock that never jumps
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from phistar.errors import SnapshotError, SnapshotWarning, UsageError
from phistar.training.interruption import Stop
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.keeping import clear, forget_old
from phistar.training.snapshots.locking import Lock
from phistar.training.snapshots.snapshot import Snapshot
from phistar.training.snapshots.thread import Writer
from phistar.training.snapshots.wishes import Snapshots
from phistar.training.snapshots.writing import snapshots_in, write

Make = Callable[[], Snapshot | None]
FAR = 1 << 62  # steps: never


class Keeper:
    """Takes snapshots when they are due; a failure is said once, and training goes on."""

    def __init__(self, wishes: Snapshots, disk: Disk | None = None) -> None:
        self.wishes = wishes
        self.disk = disk or Disk()
        self.writer = Writer(self.write)
        self.lock: Lock | None = None
        self.next_step = wishes.every or FAR
        self.next_time = 0.0
        self.best: float | None = None
        self.said = False  # the failure that still lasts

    def open(self) -> None:
        """Take the folder: it is made, locked, and cleared of what was left half done."""
        try:
            self.wishes.folder.mkdir(parents=True, exist_ok=True)
            self.lock = Lock(self.wishes.folder)
            clear(self.wishes.folder, self.disk)
        except OSError as error:
            where, why = self.wishes.folder, error.strerror
            raise SnapshotError(f"snapshots cannot be written to {where}: {why}") from None

    def close(self, wait: bool = True) -> None:
        """Give the folder back when the last snapshot is written."""
        try:
            if wait:
                self.writer.wait()
                self.report()
        finally:
            if self.lock is not None:
                self.lock.release()
                self.lock = None

    @contextmanager
    def opened(self, stop: Stop) -> Iterator[None]:
        """Inside, the folder is this training's; at the end the last snapshot is waited for."""
        self.open()
        try:
            yield
        finally:
            self.close(wait=not stop.at_once)

    def begin(self, first: Snapshot | None) -> None:
        """Training begins, after this snapshot; UsageError if there are later ones in the way."""
        step = first.step if first else 0
        later = [path for at, _, path in snapshots_in(self.wishes.folder) if at > step]
        if later or (first is None and snapshots_in(self.wishes.folder)):
            self.refuse(first)
        self.next_step = self.after(step)
        self.next_time = self.clock() + self.seconds
        if first is not None:
            values = [e.metrics.get(self.wishes.metric) for e in first.history.epochs]
            for value in values:
                self.improved(value)

    def refuse(self, first: Snapshot | None) -> None:
        newest = snapshots_in(self.wishes.folder)[-1][2]
        if first is None:
            raise UsageError(
                f"{self.wishes.folder} holds the snapshots of an earlier training ({newest.name}): "
                "go on with it (resume=True, --resume), or choose another folder"
            )
        raise UsageError(
            f"{self.wishes.folder} holds snapshots later than {first.step:,} steps "
            f"({newest.name}): to go on from an earlier one, choose another folder for the new ones"
        )

    @staticmethod
    def clock() -> float:
        return time.monotonic()

    @property
    def seconds(self) -> float:
        """Between two snapshots."""
        return float("inf") if self.wishes.minutes is None else 60 * self.wishes.minutes

    def after(self, step: int) -> int:
        """The next step at which a snapshot is due."""
        every = self.wishes.every
        return FAR if every is None else (step // every + 1) * every

    def room(self, step: int) -> int:
        """How many steps may be done in one call from here on."""
        ends = [self.next_step, self.wishes.until or FAR]
        return min([end - step for end in ends if end > step], default=FAR)

    def due(self, step: int) -> bool:
        return step >= self.next_step or self.clock() >= self.next_time

    def offer(self, step: int, make: Make) -> None:
        """After some steps: take a snapshot if one is due and none is being written."""
        if self.writer.busy:
            return
        self.report()
        if self.due(step):
            self.submit(step, make)

    def offer_epoch(self, step: int, make: Make, value: float | None) -> None:
        """After an epoch: likewise, and if the metric is the best so far, whatever is written."""
        if self.improved(value):
            self.writer.wait()
            self.submit(step, make)
        else:
            self.offer(step, make)

    def improved(self, value: float | None) -> bool:
        """Whether this is the best value of the metric so far; then it is remembered."""
        if self.wishes.best is None or value is None or value != value:
            return False
        sign = -1 if self.wishes.highest else 1
        better = self.best is None or sign * value < sign * self.best
        self.best = value if better else self.best
        return better

    def submit(self, step: int, make: Make) -> None:
        self.next_step = self.after(step)
        self.next_time = self.clock() + self.seconds
        snapshot = make()
        if snapshot is not None:
            self.writer.submit(snapshot)

    def save(self, step: int, make: Make) -> Path | None:
        """Take a snapshot and wait until it is written; where it is, None if that failed."""
        self.writer.wait()
        self.report()
        self.said = False  # what fails now is said again: it is the last
        before = self.writer.last
        self.submit(step, make)
        self.writer.wait()
        written = self.writer.last
        self.report()
        return None if written == before else written

    def last(self) -> Path | None:
        """The newest snapshot, when it is written."""
        self.writer.wait()
        self.report()
        found = snapshots_in(self.wishes.folder)
        return found[-1][2] if found else None

    def write(self, snapshot: Snapshot) -> Path:
        """Write it, then forget the oldest. In the thread."""
        path = write(snapshot, self.wishes.folder, self.disk)
        try:
            forget_old(self.wishes, self.disk)
        except OSError:  # the next one tries again
            pass
        return path

    def report(self) -> None:
        """Say what went wrong in the thread, once until a snapshot succeeds."""
        error, self.said = self.writer.failure, self.said and self.writer.failure is not None
        if error is None or self.said:
            return
        self.said = True
        reason = error.strerror if isinstance(error, OSError) else error
        last = self.writer.last.name if self.writer.last else "none of this training"
        warnings.warn(
            f"a snapshot could not be written to {self.wishes.folder}: "
            f"{reason or type(error).__name__}; training goes on, the last snapshot is {last}",
            SnapshotWarning,
            stacklevel=2,
        )
