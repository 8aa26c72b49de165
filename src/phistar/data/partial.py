"""What came of an address so far: a file in the cache, so that a download goes on where it broke.

    NAME.part       the bytes that came          NAME.part.json     of which content they are

One process at a time has it, by a lock that ends with the process; others fetch into files of
their own, as everybody does where files cannot be locked or the cache cannot be written.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from phistar.data.places import cache_folder

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

FOLDER = "partial"


@dataclass
class Content:
    """Which content an address has: a strong ETag or a date, and the number of bytes."""

    validator: str = ""
    total: int | None = None


class Partial:
    """The bytes of an address that are here. file: where they lie. note: where `content` does."""

    def __init__(self, file: IO[bytes], note: Path | None = None) -> None:
        self.file, self.note = file, note
        self.content = self.noted()
        self.most = len(self)  # bytes of this content that were ever here

    def noted(self) -> Content:
        """What the note says; nothing if there is none, or if it is damaged."""
        try:
            found = json.loads(self.note.read_text()) if self.note else {}
            return Content(str(found["validator"]), found["total"])
        except (OSError, ValueError, KeyError, TypeError):
            return Content()

    def __len__(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def begin(self, content: Content) -> None:
        """Forget what is here; what comes now is this content."""
        self.file.seek(0)
        self.file.truncate()
        self.most = self.most if content == self.content else 0
        self.content = content
        if self.note:
            self.note.write_text(json.dumps(asdict(content)))

    def append(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.file.flush()

    def grown(self) -> bool:
        """True if there is more than there ever was; asked once a try."""
        more, self.most = len(self) > self.most, max(len(self), self.most)
        return more

    def read(self) -> bytes:
        """All of it."""
        self.file.seek(0)
        return self.file.read()

    def forget(self) -> None:
        """The file goes away once it is closed."""
        if self.note:
            self.note.unlink(missing_ok=True)
            self.note.with_suffix("").unlink(missing_ok=True)


@contextmanager
def partial(url: str) -> Iterator[Partial]:
    """What is here of an address, for this process alone."""
    path = part_of(url)
    file = claim(path)
    if file is None:
        with tempfile.TemporaryFile(prefix="phistar-") as own:
            yield Partial(own)
        return
    with file:
        yield Partial(file, path.with_name(path.name + ".json"))


def part_of(url: str) -> Path:
    """Where the bytes of an address lie until they are whole."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    return cache_folder() / FOLDER / f"{url.rsplit('/', 1)[-1][-80:]}-{digest}.part"


def claim(path: Path) -> IO[bytes] | None:
    """The file, locked; None if somebody else has it, or if there cannot be one."""
    if fcntl is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("a+b")
            if not lock(file):
                file.close()
                return None
            if names(path, file):
                return file
            file.close()  # it was whole, and its owner took it away before we had the lock
    except OSError:
        return None


def lock(file: IO[bytes]) -> bool:
    """True if nobody else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def names(path: Path, file: IO[bytes]) -> bool:
    """True if this is still the file of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
