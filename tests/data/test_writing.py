"""A file is written whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from phistar.data.writing import write_atomically


def test_whole(tmp_path: Path) -> None:
    path = tmp_path / "b.bin"
    write_atomically(path, [b"one", b"two"])
    write_atomically(path, [b"three"])
    assert path.read_bytes() == b"three"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_the_user_has_set(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_atomically(tmp_path / "b.bin", [b""])
    assert (tmp_path / "b.bin").stat().st_mode == plain.stat().st_mode


def test_not_at_all(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    path = tmp_path / "b.bin"
    path.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, chunks())
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
