"""A snapshot is written aside, made safe file by file, and gets its name when it is whole.

.writing-...: model.safetensors  optimizer.safetensors  history.safetensors  snapshot.json
              SHA256SUMS, each synced; then the folder; rename to step-...; sync the folder above

Whenever the machine stops, a folder named step-... is whole, or was damaged by the disk.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phistar.parameters.safetensors import arranged, contents, writable
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.record import to_json
from phistar.training.snapshots.snapshot import Array, Snapshot
from phistar.training.snapshots.sums import SUMS, render

MODEL, OPTIMIZER, HISTORY, RECORD = (
    "model.safetensors",
    "optimizer.safetensors",
    "history.safetensors",
    "snapshot.json",
)
FILES = (MODEL, OPTIMIZER, HISTORY, RECORD)
WRITING, REMOVING = ".writing-", ".removing-"
NAME = re.compile(r"step-(\d{10,})(?:\.(\d+))?")


def write(snapshot: Snapshot, folder: Path, disk: Disk) -> Path:
    """Write a snapshot; where it is. What went wrong leaves nothing behind. Raises OSError."""
    beside = folder / f"{WRITING}{snapshot.step}-{os.getpid()}"
    try:
        disk.make_folder(beside)
        sums = {name: write_file(disk, beside / name, c) for name, c in files_of(snapshot)}
        write_file(disk, beside / SUMS, [render(sums)])
        disk.sync_folder(beside)
        final = free_name(folder, snapshot.step)
        disk.rename(beside, final)
        disk.sync_folder(folder)
    except Exception:
        discard(beside, disk)
        raise
    return final


def files_of(snapshot: Snapshot) -> Iterator[tuple[str, Iterable[Any]]]:
    """Every file and its contents, piece by piece."""
    losses = np.asarray(snapshot.history.losses, np.float64)
    yield MODEL, arrays(snapshot.model)
    yield OPTIMIZER, arrays(snapshot.optimizer)
    yield HISTORY, arrays({"losses": losses})
    yield RECORD, [to_json(snapshot)]


def arrays(found: Mapping[str, Array]) -> Iterator[Any]:
    """The bytes of a safetensors file."""
    return contents({name: writable(name, found[name]) for name in arranged(found)}, {})


def write_file(disk: Disk, path: Path, pieces: Iterable[Any]) -> str:
    """Write a file so that it is on the disk; its SHA-256."""
    digest = hashlib.sha256()
    file = disk.create(path)
    try:
        for piece in pieces:
            digest.update(piece)
            write_whole(disk, file, memoryview(piece))
        disk.sync(file)
    finally:
        disk.close(file)
    return digest.hexdigest()


def write_whole(disk: Disk, file: int, data: memoryview) -> None:
    """Write all the bytes: the system may take them in several parts."""
    while data.nbytes:
        data = data[disk.write(file, data) :]


def free_name(folder: Path, step: int) -> Path:
    """step-0000001000; and if there is one already, which may be damaged, step-0000001000.2"""
    name = f"step-{step:010}"
    taken = [number for at, number, _ in snapshots_in(folder) if at == step]
    return folder / (f"{name}.{max(taken) + 1}" if taken else name)


def snapshots_in(folder: Path) -> list[tuple[int, int, Path]]:
    """The step, the number and the place of every snapshot, oldest first.

    Names tell the order, never the times of files: clocks jump, and copies have new ones.
    """
    if not folder.is_dir():
        return []
    found = [(NAME.fullmatch(p.name), p) for p in folder.iterdir()]
    return sorted((int(m[1]), int(m[2] or 1), p) for m, p in found if m and p.is_dir())


def discard(folder: Path, disk: Disk) -> None:
    """Remove a folder of files, as far as that is possible."""
    try:
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                disk.remove(path)
            disk.remove(folder)
    except OSError:
        pass
