"""Members of a zip archive, in memory: nothing is ever unpacked to a place of its own choosing.

A member is read only if it can be as large as it says, given how many bytes the archive has for it.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from phistar.parameters.stored import DEFLATED, Damaged


@contextmanager
def damage_named() -> Iterator[None]:
    """Whatever a damaged archive makes the library raise becomes Damaged."""
    try:
        yield
    except (Damaged, FileNotFoundError, PermissionError):
        raise
    except NotImplementedError as error:
        raise Damaged(f"it is packed in a way that is not read ({error})") from None
    except Exception as error:  # the library raises a dozen kinds for damaged archives
        raise Damaged(str(error) or type(error).__name__) from None


class Zip:
    """An archive whose members are believable; each is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with damage_named(), zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        self.size = path.stat().st_size
        self.members = {m.filename: m for m in members}
        if len(self.members) != len(members):
            raise Damaged("it has two members of one name")
        if sum(m.compress_size for m in members) > self.size:
            raise Damaged("its members overlap")
        for member in members:
            check(member)

    def names(self) -> list[str]:
        return list(self.members)

    def read(self, name: str) -> bytes:
        """The whole content of a member; Damaged if it is another than it was."""
        member = self.members[name]
        with self.open(name) as file:
            data = file.read(member.file_size)
        if len(data) != member.file_size:
            raise Damaged(f"its member {name} ends early")
        return data

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member as a file."""
        with (
            damage_named(),
            zipfile.ZipFile(self.path) as archive,
            archive.open(self.members[name]) as file,
        ):
            yield file


def check(member: zipfile.ZipInfo) -> None:
    """Damaged if a member cannot be what it says."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Damaged(f"its member {member.filename} is packed in a way that is not read")
    if member.flag_bits & 1:
        raise Damaged(f"its member {member.filename} is encrypted")
    stored = member.compress_type == zipfile.ZIP_STORED
    most = member.compress_size * (1 if stored else DEFLATED)
    if member.file_size > most:
        raise Damaged(f"its member {member.filename} says that it is larger than it can be")
