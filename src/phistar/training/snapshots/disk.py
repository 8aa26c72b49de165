"""The operations on files that writing a snapshot consists of, one method each.

Everything goes through an object of this class, so that tests can stop the machine between any two.
"""

import os
from pathlib import Path

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class Disk:
    """The file system as it is."""

    def make_folder(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def create(self, path: Path) -> int:
        """A new file, open for writing; FileExistsError if there is one."""
        return os.open(path, CREATE, 0o666)

    def write(self, file: int, data: memoryview) -> int:
        """How many of the bytes were written."""
        return os.write(file, data)

    def sync(self, file: int) -> None:
        """What was written is on the disk, not only in the memory of the system."""
        os.fsync(file)

    def close(self, file: int) -> None:
        os.close(file)

    def sync_folder(self, path: Path) -> None:
        """The names in the folder are on the disk."""
        if os.name == "nt":  # folders cannot be opened, and renaming is recorded at once
            return
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def remove(self, path: Path) -> None:
        """A file, or a folder that is empty."""
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
