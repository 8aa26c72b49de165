"""Which snapshots stay: the last k, and the one with the best value of a metric.

step-1000 (best)  step-4000  step-5000  step-6000        keep=3, best="validation loss"
"""

from pathlib import Path
from typing import Any

from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.reading import measured_at
from phistar.training.snapshots.wishes import Snapshots
from phistar.training.snapshots.writing import REMOVING, WRITING, discard, snapshots_in

DAMAGED = "damaged-"


def forget_old(wishes: Snapshots, disk: Disk) -> None:
    """Remove the snapshots that are wished for no longer; a newer one is whole on the disk."""
    found = [path for _, _, path in snapshots_in(wishes.folder)]
    stay = {*found[-wishes.keep :], best_of(found, wishes)}
    for path in found:
        if path not in stay:
            remove(path, disk)

    for path in wishes.folder.glob(f"{DAMAGED}*"):
        discard(path, disk)


def best_of(found: list[Path], wishes: Snapshots) -> Path | None:
    """The snapshot with the best value of the metric, the first of equal ones."""
    if wishes.best is None:
        return None
    values = {path: measured_at(path).get(wishes.metric) for path in found}
    known: dict[Path, Any] = {p: v for p, v in values.items() if isinstance(v, float) and v == v}
    if not known:
        return None
    return (max if wishes.highest else min)(known, key=lambda path: known[path])


def remove(path: Path, disk: Disk) -> None:
    """Remove a snapshot: it loses its name first, so that there is no half of one."""
    aside = path.with_name(f"{REMOVING}{path.name}")
    disk.rename(path, aside)
    discard(aside, disk)


def set_aside(path: Path, disk: Disk) -> None:
    """A damaged snapshot loses its name, and stays to be looked at until the next is written."""
    aside = path.with_name(f"{DAMAGED}{path.name}")
    discard(aside, disk)
    disk.rename(path, aside)


def clear(folder: Path, disk: Disk) -> None:
    """Remove what was being written or removed when a process was killed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((WRITING, REMOVING)):
            discard(path, disk)
