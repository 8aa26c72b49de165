"""Snapshots are written by a thread of their own: a step waits for the copy and no longer."""

import threading
from collections.abc import Callable
from pathlib import Path

from phistar.training.snapshots.snapshot import Snapshot


class Writer:
    """Writes one snapshot at a time; keeps what went wrong until it is asked for."""

    def __init__(self, write: Callable[[Snapshot], Path]) -> None:
        self.write = write
        self.thread: threading.Thread | None = None
        self.failure: Exception | None = None
        self.last: Path | None = None  # the last that was written

    @property
    def busy(self) -> bool:
        """A snapshot is being written."""
        return self.thread is not None and self.thread.is_alive()

    def submit(self, snapshot: Snapshot) -> None:
        """Begin to write; waits if another is being written."""
        self.wait()
        self.thread = threading.Thread(
            target=self.work, args=(snapshot,), name="phistar snapshot", daemon=True
        )
        self.thread.start()

    def work(self, snapshot: Snapshot) -> None:
        try:
            self.last = self.write(snapshot)
            self.failure = None
        except Exception as error:  # reported by the thread that trains
            self.failure = error

    def wait(self) -> None:
        """Until nothing is being written; Ctrl-C ends the waiting."""
        if self.thread is not None:
            self.thread.join()
            self.thread = None
