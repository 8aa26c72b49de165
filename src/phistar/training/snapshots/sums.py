"""SHA256SUMS: the checksum of every file of a snapshot, and of itself.

3b5d...  model.safetensors          `sha256sum -c SHA256SUMS` checks them too
# 9f86... these lines
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

SUMS = "SHA256SUMS"
PIECE = 1 << 20  # bytes read at a time
LONGEST = 1 << 16  # bytes of a list: a snapshot has a few files


class Damaged(Exception):
    """What is wrong with which file of a snapshot."""


def render(sums: Mapping[str, str]) -> bytes:
    """The text of the list."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    return f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()} these lines\n".encode()


def parse(text: bytes) -> dict[str, str]:
    """The checksums by file; Damaged unless the text is one that `render` makes."""
    try:
        lines = text.decode("ascii").splitlines()[:-1]
        sums = {line[66:]: line[:64] for line in lines}
    except UnicodeDecodeError:
        raise Damaged(f"{SUMS} is no list of checksums") from None
    if render(sums) != text:
        raise Damaged(f"{SUMS} is not as it was written")
    return sums


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


def verify(folder: Path, files: tuple[str, ...]) -> None:
    """Damaged unless the folder holds these files, each as it was written."""
    sums = parse(read_list(folder / SUMS))
    if missing := [name for name in files if name not in sums]:
        raise Damaged(f"{SUMS} does not name {missing[0]}")
    for name, expected in sums.items():
        try:
            found = digest(folder / name)
        except FileNotFoundError:
            raise Damaged(f"{name} is missing") from None
        except OSError as error:
            raise Damaged(f"{name} cannot be read: {error.strerror or error}") from None
        if found != expected:
            raise Damaged(
                f"{name} is not as it was written: its SHA-256 is {found[:8]}..., "
                f"not {expected[:8]}..."
            )


def read_list(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LONGEST)
    except FileNotFoundError:
        raise Damaged(f"{SUMS} is missing") from None
    except OSError as error:
        raise Damaged(f"{SUMS} cannot be read: {error.strerror or error}") from None
