"""Snapshots are read only when every checksum is right; a damaged one is named and passed over."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phistar.errors import WeightsError
from phistar.parameters.formats import read as read_arrays
from phistar.training.snapshots.record import from_json
from phistar.training.snapshots.snapshot import Array, Snapshot
from phistar.training.snapshots.sums import Damaged, verify
from phistar.training.snapshots.writing import (
    FILES,
    HISTORY,
    MODEL,
    OPTIMIZER,
    RECORD,
    snapshots_in,
)


def read(folder: Path) -> Snapshot:
    """A whole snapshot; Damaged says which of its files is not as it was written."""
    verify(folder, FILES)
    model, optimizer, history = (arrays(folder, name) for name in (MODEL, OPTIMIZER, HISTORY))
    try:
        text = (folder / RECORD).read_bytes()
        found = from_json(text, model, optimizer, history["losses"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{RECORD} cannot be understood: {error}") from None
    return replace(found, path=folder)


def arrays(folder: Path, name: str) -> dict[str, Array]:
    """The arrays of a file, each in memory of its own."""
    try:
        return {key: np.array(array) for key, array in read_arrays(folder / name).items()}
    except WeightsError as error:
        raise Damaged(f"{name} cannot be understood: {error}") from None


def newest(folder: Path) -> tuple[Snapshot | None, list[tuple[Path, str]]]:
    """The newest snapshot that is whole, and the newer ones that are damaged, with the reason."""
    damaged: list[tuple[Path, str]] = []
    for _, _, path in reversed(snapshots_in(folder)):
        try:
            return read(path), damaged
        except Damaged as reason:
            damaged.append((path, str(reason)))
    return None, damaged


def measured_at(folder: Path) -> dict[str, Any]:
    """What snapshot.json says was measured; nothing if it cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_bytes())["measured"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
