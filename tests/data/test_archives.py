"""Files out of archives: those that are asked for, plain ones only, and damage."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from phistar.data.archives import members, unpack
from phistar.errors import DataError

FILES = {"a/one.txt": b"1", "a/two.txt": b"22"}


def tar_of(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("a")
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("content", [tar_of(FILES), tar_of(FILES, "w"), zip_of(FILES)])
def test_plain_files(content: bytes) -> None:
    assert dict(members(content, "x")) == FILES
    assert dict(members(content, "x", lambda name: "two" in name)) == {"a/two.txt": b"22"}


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outside = {"../out.txt": b"1", str(tmp_path / "root.txt"): b"2"}
    assert list(dict(members(tar_of(outside), "x")).values()) == [b"1", b"2"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"a page of words", tar_of(FILES)[:90], b""])
def test_damage(content: bytes) -> None:
    with pytest.raises(DataError, match="x is damaged: it cannot be unpacked"):
        list(members(content, "x"))


def test_unpack() -> None:
    assert unpack(gzip.compress(b"12"), "x") == b"12"
    with pytest.raises(DataError, match="x is damaged: it cannot be unpacked"):
        unpack(b"12", "x")
