"""One training a folder: a lock that the system takes back when the process ends, however it does.

lock: "1234 on host"        held with flock; the text only says who to look for
"""

import os
import platform
from pathlib import Path

from phistar.errors import SnapshotError, UsageError

LOCK = "lock"


class Lock:
    """The right to write into a folder, until `release`; UsageError if another training has it."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise SnapshotError(f"{path} cannot be written: {error.strerror}") from None
        if not taken(self.file):
            holder = os.read(self.file, 200).decode(errors="replace").strip()
            os.close(self.file)
            raise UsageError(
                f"another training (process {holder or '?'}) writes snapshots to {folder}: "
                "stop it, or choose another folder"
            )
        os.ftruncate(self.file, 0)
        os.write(self.file, f"{os.getpid()} on {platform.node()}\n".encode())

    def release(self) -> None:
        """Others may write; the file stays, since removing it could remove another's."""
        os.close(self.file)


def taken(file: int) -> bool:
    """Whether the lock could be had."""
    try:
        import fcntl
    except ImportError:  # not on Windows: there the lock is only a note
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
