"""Snapshots: everything a training needs to go on as if it had never stopped, kept safely on disk.

every N steps or minutes: copy -> write aside -> sync -> rename -> forget the oldest
"""

from phistar.training.snapshots.snapshot import Position, Snapshot
from phistar.training.snapshots.wishes import Snapshots

__all__ = ["Position", "Snapshot", "Snapshots"]
