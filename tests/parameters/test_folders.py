"""Weights in folders and in several files: an index says where; what is old stays until the end."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.errors import UsageError, WeightsError
from phistar.parameters import read, write
from phistar.parameters.folders import bytes_of

ARRAYS = {f"layers.{n}.W": np.full((10, 10), n, np.float32) for n in range(5)}


def names_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def same(loaded: Any, arrays: Any) -> None:
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert_array_equal(loaded[name], array, err_msg=name)


def test_a_folder(tmp_path: Path) -> None:
    write(tmp_path, ARRAYS)
    assert names_in(tmp_path) == ["model.safetensors"]
    same(read(tmp_path), ARRAYS)
    write(f"{tmp_path}/new/", ARRAYS)
    same(read(tmp_path / "new"), ARRAYS)


@pytest.mark.parametrize("limit", [850, "850", "0.85KB", "850B"])
def test_shards(tmp_path: Path, limit: Any) -> None:
    write(tmp_path, ARRAYS, max_shard_size=limit)
    files = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert names_in(tmp_path) == [*files, "model.safetensors.index.json"]
    same(read(tmp_path), ARRAYS)
    same(read(tmp_path / "model.safetensors.index.json"), ARRAYS)
    same(read(tmp_path / "model.safetensors"), ARRAYS)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 2000}
    assert index["weight_map"]["layers.4.W"] == files[2]


def test_shards_beside_a_name(tmp_path: Path) -> None:
    write(tmp_path / "net.safetensors", ARRAYS, max_shard_size=1)
    assert len(names_in(tmp_path)) == 6
    same(read(tmp_path / "net.safetensors"), ARRAYS)


def test_the_library_reads_the_shards(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    write(tmp_path, ARRAYS, max_shard_size=850)
    loaded: dict[str, Any] = {}
    for file in tmp_path.glob("*.safetensors"):
        loaded |= library.load_file(file)
    same(loaded, ARRAYS)


def test_from_shards_to_one_file_and_back(tmp_path: Path) -> None:
    other = {n: a + 1 for n, a in ARRAYS.items()}
    for limit, files in ((850, 4), (850, 4), (450, 6), (None, 1), (1200, 3)):
        ARRAYS_NOW = other if files == 4 else ARRAYS
        write(tmp_path, ARRAYS_NOW, max_shard_size=limit)
        same(read(tmp_path), ARRAYS_NOW)
        assert len(names_in(tmp_path)) == files


@pytest.mark.parametrize("before", [None, 850])
@pytest.mark.parametrize("after", [None, 850])
def test_a_crash_at_any_step_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Any, after: Any
) -> None:
    """The power fails before each fsync, rename and removal in turn."""
    steps = 0
    while True:
        folder = tmp_path / str(steps)
        folder.mkdir()
        write(folder, ARRAYS, max_shard_size=before)
        new = {n: a + 1 for n, a in ARRAYS.items()}
        with monkeypatch.context() as patched:
            left = Countdown(steps)
            for name in ("fsync", "replace", "unlink"):
                patched.setattr(os, name, left.before(getattr(os, name)))
            try:
                write(folder, new, max_shard_size=after)
                finished = True
            except (PowerCut, WeightsError):
                finished = False
        found = read(folder)
        same(found, new if found["layers.0.W"][0, 0] == 1 else ARRAYS)
        if finished:
            break
        steps += 1
    same(found, new)
    assert steps >= 2


class PowerCut(BaseException):
    pass


class Countdown:
    """Functions that work so many times, and then never again."""

    def __init__(self, left: int) -> None:
        self.left = left

    def before(self, function: Any) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise PowerCut
            return function(*args, **kwargs)

        return counted


@pytest.mark.parametrize("size", ["", "5 apples", "-3", 0, True, "1.2.3GB", "MB", 2.5j])
def test_sizes_that_are_none(tmp_path: Path, size: Any) -> None:
    with pytest.raises(UsageError, match=r'max_shard_size is a size such as "5GB" or 5_000_000'):
        write(tmp_path, ARRAYS, max_shard_size=size)


def test_sizes() -> None:
    assert [bytes_of(s) for s in ("5GB", "2 mib", "1.5KB", 7, None)] == [
        5 * 10**9,
        2 * 2**20,
        1500,
        7,
        None,
    ]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be made: "):
        write(f"{tmp_path}/file/", ARRAYS)
    (tmp_path / "net.safetensors.index.json").mkdir()
    with pytest.raises(WeightsError, match=r"index\.json cannot be written"):
        write(tmp_path / "net.safetensors", ARRAYS, max_shard_size=1)
    assert names_in(tmp_path) == ["file", "net.safetensors.index.json"]


def index_of(folder: Path, places: Any) -> Path:
    write(folder / "a.safetensors", {"W": np.ones(2)})
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": places}))
    return path


@pytest.mark.parametrize(
    "file", ["../a.safetensors", "/etc/passwd", "..", ".", "", "b\\a", "C:a", "b/a", "a\0"]
)
def test_an_index_stays_in_its_folder(tmp_path: Path, file: str) -> None:
    path = index_of(tmp_path, {"W": file})
    with pytest.raises(WeightsError, match=r"places W in .*, which is not beside it"):
        read(path)


def test_a_damaged_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for places, reason in (
        ({"W": "b.safetensors"}, r"names b\.safetensors, but there is no such file beside it"),
        ({"V": "a.safetensors"}, r"places V in a\.safetensors, but it is not there"),
        ([], "weight_map does not name files"),
        ({"W": 3}, "weight_map does not name files"),
    ):
        with pytest.raises(WeightsError, match=reason):
            read(index_of(tmp_path, places))
    path = index_of(tmp_path, {})
    for text in ("{", "[]", "{}", '{"weight_map": ' + "[" * 200_000, "\udcff"):
        path.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(WeightsError, match="is not an index of weights, or damaged"):
            read(path)
    path = index_of(tmp_path, {"W": "a.safetensors"})
    monkeypatch.setattr("phistar.parameters.folders.LONGEST_INDEX", 3)
    with pytest.raises(WeightsError, match="damaged: it is too long"):
        read(path)


def test_what_a_folder_holds(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no file of weights: none of model\.safetensors, "):
        read(tmp_path)
    write(tmp_path / "other.safetensors", ARRAYS)
    same(read(tmp_path), ARRAYS)
    write(tmp_path / "second.safetensors", ARRAYS)
    with pytest.raises(WeightsError, match="several files of weights and no index: other"):
        read(tmp_path)


def test_shards_of_pytorch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"W": torch.ones(2)}, tmp_path / "pytorch_model-00001-of-00001.bin")
    places = {"weight_map": {"W": "pytorch_model-00001-of-00001.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(places))
    same(read(tmp_path), {"W": np.ones(2)})
    torch.save({"W": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    same(read(tmp_path), {"W": np.zeros(2)})


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "w", ARRAYS)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("phistar.parameters.formats.reader_of", fail)
    with pytest.raises(WeightsError, match="w cannot be read: Input/output error"):
        read(tmp_path / "w")


def test_damage_found_on_reading(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", W=np.zeros(100_000))
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[400_000] ^= 1
    (tmp_path / "w.npz").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"is not a file of weights, or damaged: .*CRC"):
        read(tmp_path / "w.npz")
