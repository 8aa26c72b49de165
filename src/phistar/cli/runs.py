"""Folders of runs: what `phistar train` leaves behind and `phistar eval` finds again.

runs/mnist-mlp-20260101-120000/   model.safetensors  algorithm.txt  plot.png  run.json  snapshots/
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from phistar.data.writing import write_atomically
from phistar.errors import DataError, UsageError

RUNS = Path("runs")
MODEL, SOURCE, PLOT, RECORD = "model.safetensors", "algorithm.txt", "plot.png", "run.json"
SNAPSHOTS = "snapshots"
OWN = {MODEL, SOURCE, PLOT, RECORD, SNAPSHOTS}


def new_folder(recipe: str, out: Path | None) -> Path:
    """The folder of a new run, made now; UsageError if `out` holds something that is no run."""
    if out is None:
        out = free(RUNS / f"{recipe}-{time.strftime('%Y%m%d-%H%M%S')}")
    elif out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; --out names a folder")
    elif out.is_dir() and (strange := {p.name for p in out.iterdir()} - OWN):
        raise UsageError(f"{out} holds {min(strange)}, which is no run's: choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made: {error.strerror}") from None
    remove_finished(out)
    return out


def remove_finished(run: Path) -> None:
    """A run that was finished is replaced, its snapshots too; one that was not stays."""
    finished = (run / RECORD).exists() and read_record(run).get("finished")
    if finished and (run / SNAPSHOTS).is_dir():
        shutil.rmtree(run / SNAPSHOTS)


def run_to_resume(recipe: str, out: Path | None) -> Path:
    """The run to go on with: `out`, or the last under runs/ that has snapshots.

    Names tell which is the last. Raises UsageError if there is none.
    """
    found = [out] if out else sorted(RUNS.glob(f"{recipe}-*/"))
    found = [run for run in found if any((run / SNAPSHOTS).glob("step-*"))]
    if not found:
        where = str(out) if out else f"{RUNS}/"
        raise UsageError(f"there is no run of {recipe} with snapshots in {where} to go on with")
    return found[-1]


def free(folder: Path) -> Path:
    """The folder, or the first of folder-2, folder-3, ... that does not exist."""
    candidate, n = folder, 2
    while candidate.exists():
        candidate, n = folder.with_name(f"{folder.name}-{n}"), n + 1
    return candidate


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write run.json, which is whole or the old one whatever happens."""
    write_atomically(folder / RECORD, [f"{json.dumps(record, indent=2)}\n".encode()])


def read_record(folder: Path) -> dict[str, Any]:
    """What run.json says; DataError if it is missing or damaged."""
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise DataError(f"{folder} is no run: it has no {RECORD}") from None
    except ValueError:
        raise DataError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("recipe"), str):
        raise DataError(f"{path} is damaged: it names no recipe")
    return record


def newest_run(recipe: str) -> Path:
    """The newest run of a recipe under runs/; UsageError if there is none."""
    found = [p.parent for p in RUNS.glob(f"{recipe}-*/{RECORD}") if (p.parent / MODEL).exists()]
    if not found:
        raise UsageError(
            f"there is no run of {recipe} under {RUNS}/: train one, phistar train {recipe}, "
            "or give --weights"
        )
    return max(found, key=lambda folder: (folder / RECORD).stat().st_mtime)
