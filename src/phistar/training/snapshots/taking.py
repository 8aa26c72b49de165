"""Taking a snapshot: a copy of all that changes. It is all that a step waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from phistar.training.algorithm import Algorithm, Values
from phistar.training.history import History
from phistar.training.snapshots.resuming import names_of
from phistar.training.snapshots.snapshot import Position, Snapshot


def take(
    algorithms: Mapping[str, Algorithm],
    values: Values,
    seed: int,
    position: Position,
    history: History,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    callbacks: Sequence[Any],
) -> Snapshot:
    """A snapshot of a training as it is now."""
    model, optimizer = names_of(algorithms, values)
    return Snapshot(
        {name: np.array(values[tensor]) for name, tensor in model.items()},
        {name: np.array(values[tensor]) for name, tensor in optimizer.items()},
        int(seed),
        len(history.losses),
        replace(position, parts=dict(position.parts)),
        settings,
        versions,
        History(list(history.losses), list(history.epochs), list(history.skipped)),
        tuple(state_of(callback) for callback in callbacks),
    )


def state_of(callback: Any) -> Any:
    """What a callback that has a state_dict() keeps."""
    return callback.state_dict() if has_state(callback) else None


def has_state(callback: Any) -> bool:
    return hasattr(callback, "state_dict") and hasattr(callback, "load_state_dict")


def restore_callbacks(callbacks: Sequence[Any], states: Sequence[Any]) -> None:
    """Give each callback what it kept, in their order."""
    for callback, state in zip(callbacks, states, strict=False):
        if state is not None and has_state(callback):
            callback.load_state_dict(state)
