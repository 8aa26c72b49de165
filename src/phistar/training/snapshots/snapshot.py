"""What a snapshot holds: all that the steps to come depend on, and the record of those done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phistar.training.history import History

Array = np.ndarray[Any, Any]


@dataclass
class Position:
    """Where a training stands in its data; both numbers count what is done.

    epoch: whole passes. batch: minibatches of the pass that is under way. total, seen: the sum of
    the losses of its examples, and how many there were. seconds: spent on it. ended: a callback has
    ended the training.
    """

    epoch: int = 0
    batch: int = 0
    total: float = 0.0
    seen: int = 0
    seconds: float = 0.0
    ended: bool = False
    parts: dict[str, float] = field(default_factory=dict)  # total by part, where parts take turns


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A training after `step` steps.

    model: its parameters and states, by dotted name. optimizer: what the optimizer keeps beside
    them. seed, step, position: random fields, schedules and the order of the examples are functions
    of these. settings: what must be the same to go on. versions: of what computed it. callbacks:
    what those that have a state_dict() had. path: the folder it was read from.
    """

    model: Mapping[str, Array]
    optimizer: Mapping[str, Array]
    seed: int
    step: int
    position: Position
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    history: History = field(default_factory=History)
    callbacks: tuple[Any, ...] = ()
    path: Path | None = None

    @property
    def measured(self) -> dict[str, float]:
        """What was measured at this step: empty but after an epoch."""
        whole = self.history.epochs and not self.position.batch
        return self.history.epochs[-1].metrics if whole else {}

    def __repr__(self) -> str:
        at = f"epoch {self.position.epoch + 1}, minibatch {self.position.batch}"
        return f"Snapshot after {self.step:,} steps ({at}; {len(self.model)} arrays)"
