"""`ph.Snapshots`: where snapshots go, when they are taken, and which of them are kept."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phistar.errors import UsageError

MINUTES = 5.0  # between two snapshots, if nothing is said
LOW_IS_GOOD = ("loss", "error", "perplexity", "distance", "mse", "rmse", "mae")


@dataclass(frozen=True)
class Snapshots:
    """Snapshots in a folder, every so many steps or minutes (5 minutes if neither is said).

    keep: how many of the last stay. best: a metric, "validation loss"; the snapshot with its best
    value stays too, and is taken whenever an epoch has a better one. highest: whether more is
    better; None knows by the name. until: save and leave, as for a signal, after so many steps.
    Raises UsageError for numbers that make no sense.
    """

    folder: Path
    every: int | None = None
    minutes: float | None = None
    keep: int = 3
    best: str | None = None
    highest: bool | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        counted("every", self.every)
        counted("keep", self.keep, optional=False)
        counted("until", self.until)
        if self.minutes is None and self.every is None:
            object.__setattr__(self, "minutes", MINUTES)
        if self.minutes is not None and not is_positive(self.minutes):
            raise UsageError(f"minutes must be a number above 0, not {self.minutes!r}")
        if self.highest is None:
            object.__setattr__(self, "highest", not self.metric.endswith(LOW_IS_GOOD))

    @property
    def metric(self) -> str:
        """The metric as histories name it: validation.loss."""
        return ".".join((self.best or "").split())


def is_positive(number: Any) -> bool:
    plain = isinstance(number, int | float | np.number) and not isinstance(number, bool)
    return bool(plain and 0 < number < float("inf"))


def counted(name: str, number: Any, optional: bool = True) -> None:
    """UsageError unless it is a whole number from 1 on."""
    if number is None and optional:
        return
    plain = isinstance(number, int | np.integer) and not isinstance(number, bool)
    if not plain or number < 1:
        raise UsageError(f"{name} must be a whole number from 1 on, not {number!r}")


def as_wishes(given: Any) -> Snapshots | None:
    """What the user gave: Snapshots, a folder, or None."""
    if given is None or isinstance(given, Snapshots):
        return given
    if isinstance(given, str | os.PathLike):
        return Snapshots(Path(given))
    raise UsageError(
        f'snapshots= wants a folder or ph.Snapshots("runs/x/snapshots", every=1000), not {given!r}'
    )
