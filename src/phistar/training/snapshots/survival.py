"""What a training asks of its snapshots: begin from one, take one when due, save before leaving."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from phistar.data.dataset import Dataset
from phistar.training.algorithm import Algorithm, Values
from phistar.training.history import History
from phistar.training.interruption import Interrupted, Stop
from phistar.training.snapshots.keeper import FAR, Keeper
from phistar.training.snapshots.resuming import fitting, values_from
from phistar.training.snapshots.settings import settings_of, versions_of
from phistar.training.snapshots.snapshot import Position, Snapshot
from phistar.training.snapshots.taking import restore_callbacks, take


class Training(Protocol):
    """What changes from step to step."""

    values: Values
    history: History
    at: Position


@dataclass(eq=False)
class Survival:
    """The snapshots of one training; does nothing where none are wished for.

    algorithms: one, called "", or those that take turns. saved: where the last was taken.
    """

    algorithms: Mapping[str, Algorithm]
    data: Dataset
    seed: int
    callbacks: Sequence[Any]
    keeper: Keeper | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    saved: tuple[int, Position] | None = None

    def begin(self, now: Training, first: Snapshot | None, force: bool) -> None:
        """At the beginning, or as a snapshot was; SnapshotError if it does not fit."""
        if self.keeper is not None or first is not None:
            self.settings = settings_of(self.algorithms, self.data, self.seed)
            self.versions = versions_of(self.algorithms)
        if first is not None:
            first = fitting(first, self.settings, self.versions, force)
            now.values = values_from(first, self.algorithms, now.values, force)
            now.history, now.at = first.history, first.position
            self.saved = first.step, copied(now.at)
            restore_callbacks(self.callbacks, first.callbacks)
        if self.keeper is not None:
            self.keeper.begin(first)

    def room(self, now: Training) -> int:
        """How many steps may be done in one call from here on."""
        return self.keeper.room(step(now)) if self.keeper else FAR

    def enough(self, now: Training) -> bool:
        """As many steps are done as the user wants for now."""
        until = self.keeper.wishes.until if self.keeper else None
        return until is not None and step(now) >= until

    def offer(self, now: Training) -> None:
        """After some steps: a snapshot if one is due."""
        if self.keeper is not None:
            self.keeper.offer(step(now), lambda: self.take(now))

    def offer_epoch(self, now: Training) -> None:
        """After an epoch: likewise, and if its metric is the best so far."""
        if self.keeper is not None:
            value = now.history.epochs[-1].metrics.get(self.keeper.wishes.metric)
            self.keeper.offer_epoch(step(now), lambda: self.take(now), value)

    def save(self, now: Training) -> Path | None:
        """A snapshot of now, on the disk: where it is; None if there is none."""
        if self.keeper is None or not step(now):
            return None
        if self.saved == (step(now), now.at):
            return self.keeper.last()
        return self.keeper.save(step(now), lambda: self.take(now))

    def leave_if(self, now: Training, stop: Stop) -> None:
        """If a signal came: save, then Interrupted."""
        if stop.requested:
            raise Interrupted(now.history, stop.signal, self.save(now))

    def take(self, now: Training) -> Snapshot | None:
        """Everything as it is now, copied; None of parameters that are not finite any more."""
        trained = (p for algorithm in self.algorithms.values() for p in algorithm.states)
        if not all(np.isfinite(now.values[p]).all() for p in trained):
            return None  # the next step says so
        self.saved = step(now), copied(now.at)
        return take(
            self.algorithms,
            now.values,
            self.seed,
            now.at,
            now.history,
            self.settings,
            self.versions,
            self.callbacks,
        )


def step(now: Training) -> int:
    """How many steps are done."""
    return len(now.history.losses)


def copied(at: Position) -> Position:
    return replace(at, parts=dict(at.parts))
