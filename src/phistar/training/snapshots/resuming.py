"""Going on from a snapshot: which one, whether it fits, and its values given back.

A damaged one is named and passed over; one of another training is refused with the reason.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from phistar.errors import SnapshotError, SnapshotWarning, UsageError
from phistar.language.tensors import Parameter, Tensor
from phistar.training.algorithm import Algorithm, Values
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.keeping import set_aside
from phistar.training.snapshots.reading import newest, read
from phistar.training.snapshots.settings import changes, other_versions
from phistar.training.snapshots.snapshot import Array, Position, Snapshot
from phistar.training.snapshots.sums import Damaged
from phistar.training.snapshots.wishes import Snapshots
from phistar.training.snapshots.writing import snapshots_in

ANYWAY = (
    "force=True (--force) goes on with its parameters nevertheless, from the start of the epoch; "
    "the result is then that of neither training"
)


def snapshot_to_resume(resume: Any, wishes: Snapshots | None) -> Snapshot | None:
    """The snapshot that the user means; None to begin at the beginning.

    resume: False; True for the newest in the folder of snapshots, if there is any; or a path to a
    snapshot or to a folder of them. Raises SnapshotError if all that there are are damaged.
    """
    if resume is False or resume is None:
        return None
    if resume is True:
        if wishes is None:
            raise UsageError("resume=True needs snapshots=, the folder to look in; or give a path")
        return newest_in(wishes.folder, writable=True)
    if not isinstance(resume, str | os.PathLike):
        raise UsageError(f"resume= wants True or the path of a snapshot, not {resume!r}")
    return named(Path(resume), wishes)


def named(path: Path, wishes: Snapshots | None) -> Snapshot:
    """The snapshot at a path, or the newest in that folder."""
    if not path.is_dir():
        raise SnapshotError(f"there is no snapshot {path}")
    if snapshots_in(path):
        same = wishes is not None and wishes.folder.resolve() == path.resolve()
        found = newest_in(path, writable=same)
        assert found is not None
        return found
    try:
        return read(path)
    except Damaged as reason:
        raise SnapshotError(f"{path} is no whole snapshot: {reason}") from None


def newest_in(folder: Path, writable: bool) -> Snapshot | None:
    """The newest whole snapshot of a folder; damaged ones are named, and set aside."""
    found, damaged = newest(folder)
    each = "; ".join(f"{path.name}: {reason}" for path, reason in damaged)
    if damaged and found is None:
        raise SnapshotError(f"no snapshot in {folder} is whole: {each}")
    if damaged and found is not None and found.path is not None:
        warnings.warn(
            f"in {folder}, {each}; going on from {found.path.name}", SnapshotWarning, stacklevel=2
        )
        for path, _ in damaged if writable else []:
            set_aside(path, Disk())
    return found


def fitting(
    snapshot: Snapshot, settings: Mapping[str, Any], versions: Mapping[str, str], force: bool
) -> Snapshot:
    """The snapshot, if a training with these settings can go on from it; else SnapshotError."""
    other = other_versions(snapshot.versions, versions)
    same_phistar = snapshot.versions.get("phistar") == versions["phistar"]
    changed = changes(snapshot.settings, settings, same_phistar)
    if changed and not force:
        raise SnapshotError(
            f"{snapshot.path} does not fit this training: {'; '.join(changed)}. {ANYWAY}"
        )
    if other:
        warnings.warn(
            f"going on from {snapshot.path}, but {'; '.join(other)}: the bits may differ from "
            "those of a training that never stopped",
            SnapshotWarning,
            stacklevel=2,
        )
    if not changed:
        return snapshot
    position = Position(snapshot.position.epoch, ended=snapshot.position.ended)
    return replace(snapshot, position=position)


def names_of(
    algorithms: Mapping[str, Algorithm], values: Values
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors whose values change, by name: the model's, and the optimizer's.

    algorithms: one, called ""; or those that take turns, whose names are then in front.
    """
    first = next(iter(algorithms.values()))
    model: dict[str, Tensor] = dict(first.model.named_tensors())
    own = set(model.values())
    kept: dict[str, Tensor] = {
        f"{part}/{name}" if part else name: tensor
        for part, algorithm in algorithms.items()
        for name, tensor in algorithm.parts.kept.items()
        if isinstance(tensor, Parameter) and tensor not in own
    }
    return {n: t for n, t in model.items() if t in values}, kept


def values_from(
    snapshot: Snapshot, algorithms: Mapping[str, Algorithm], values: Values, force: bool
) -> Values:
    """The values of a snapshot, by tensor; SnapshotError if a shape or a name does not fit."""
    model, optimizer = names_of(algorithms, values)
    taken = restored(snapshot, "the model", model, snapshot.model, values, missing=False)
    taken |= restored(
        snapshot, "the optimizer", optimizer, snapshot.optimizer, values, missing=force
    )
    return {**values, **taken}


def restored(
    snapshot: Snapshot,
    what: str,
    tensors: Mapping[str, Tensor],
    arrays: Mapping[str, Array],
    values: Values,
    missing: bool,
) -> Values:
    """The arrays for these tensors. missing: what does not fit keeps its first value."""
    wrong = list(misfits(tensors, arrays, values))
    if wrong and not missing:
        raise SnapshotError(f"{snapshot.path} does not fit {what}: {'; '.join(wrong)}")
    return {
        tensor: arrays[name]
        for name, tensor in tensors.items()
        if name in arrays and alike(arrays[name], values[tensor])
    }


def misfits(
    tensors: Mapping[str, Tensor], arrays: Mapping[str, Array], values: Values
) -> Iterator[str]:
    """What does not fit, in words."""
    for name, tensor in tensors.items():
        if name not in arrays:
            yield f"it has no {name}"
        elif not alike(arrays[name], values[tensor]):
            yield f"{name} was {form(arrays[name])}, it is {form(values[tensor])} now"
    yield from (f"{name} is not here now" for name in arrays if name not in tensors)


def alike(a: Array, b: Array) -> bool:
    return bool(a.shape == b.shape and a.dtype == b.dtype)


def form(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"
