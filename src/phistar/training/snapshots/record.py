"""snapshot.json: all of a snapshot that is no array, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from phistar.errors import SnapshotError
from phistar.training.history import Epoch, History
from phistar.training.snapshots.snapshot import Array, Position, Snapshot

FORMAT = 1


def to_json(snapshot: Snapshot) -> bytes:
    """The text of snapshot.json; SnapshotError if what a callback keeps cannot be written."""
    record = {
        "format": FORMAT,
        "step": snapshot.step,
        "seed": snapshot.seed,
        "position": asdict(snapshot.position),
        "measured": snapshot.measured,
        "settings": snapshot.settings,
        "versions": snapshot.versions,
        "epochs": [asdict(epoch) for epoch in snapshot.history.epochs],
        "skipped": snapshot.history.skipped,
        "callbacks": snapshot.callbacks,
    }
    try:
        text = json.dumps(record, indent=1, default=plain)
    except (TypeError, ValueError) as error:
        raise SnapshotError(f"the state of a callback cannot be written as JSON: {error}") from None
    return text.encode() + b"\n"


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON")


def from_json(
    text: bytes, model: Mapping[str, Array], optimizer: Mapping[str, Array], losses: Array
) -> Snapshot:
    """The snapshot again; ValueError if the text is another format's."""
    record = json.loads(text)
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']}, this phistar reads {FORMAT}")
    epochs = [Epoch(**epoch) for epoch in record["epochs"]]
    history = History([float(loss) for loss in losses], epochs, record["skipped"])
    return Snapshot(
        model,
        optimizer,
        record["seed"],
        record["step"],
        Position(**record["position"]),
        record["settings"],
        record["versions"],
        history,
        tuple(record["callbacks"]),
    )
