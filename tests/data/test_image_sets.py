"""The image sets of the catalogue beside MNIST, out of small files of their forms."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import ARRAYS, write_files

import phistar as ph
from phistar.data import CATALOGUE, images
from phistar.data.catalogue import FileSet, Remote
from phistar.errors import DataError

RANDOM = np.random.default_rng(0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    return tmp_path


def write_cifar(folder: Path, names: list[str], labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Two records a file; the pixels and the labels of all."""
    folder.mkdir()
    pixels = RANDOM.integers(0, 256, (2 * len(names), 3, 32, 32), np.uint8)
    numbers = RANDOM.integers(0, 10, (2 * len(names), labels), np.uint8)
    for n, name in enumerate(names):
        rows = slice(2 * n, 2 * n + 2)
        table = np.concatenate([numbers[rows], pixels[rows].reshape(2, -1)], axis=1)
        (folder / name).write_bytes(table.tobytes())
    return pixels, numbers


def test_cifar10(own: Path) -> None:
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    pixels, labels = write_cifar(own / "cifar-10-batches-bin", names, 1)
    train, test = ph.data.cifar10()
    assert (len(train), len(test)) == (10, 2)
    assert train.columns["x"].array.dtype == np.uint8
    assert_array_equal(train["x"], pixels[:10] / np.float32(255))
    assert_array_equal(test["x"], pixels[10:] / np.float32(255))
    assert_array_equal(train["label"], labels[:10, 0])
    flat, _ = ph.data.cifar10(flat=True)
    assert_array_equal(flat["x"], pixels[:10].reshape(10, -1) / np.float32(255))


def test_its_axes_are_those_of_a_convolution(own: Path) -> None:
    write_cifar(own / "cifar-100-binary", ["train.bin", "test.bin"], 2)
    train, _ = ph.data.cifar100()
    assert ph.nn.Conv2d(3, 4, 3)(ph.tensor(train["x"])).shape == (2, 4, 30, 30)


def test_cifar100(own: Path) -> None:
    pixels, labels = write_cifar(own / "cifar100", ["train.bin", "test.bin"], 2)
    train, test = ph.data.cifar100()
    assert list(train.columns) == ["x", "label", "coarse"]
    assert_array_equal(test["x"], pixels[2:] / np.float32(255))
    assert_array_equal(test["coarse"], labels[2:, 0])
    assert_array_equal(test["label"], labels[2:, 1])


@pytest.mark.parametrize("content", [b"", bytes(3075)])
def test_damaged_records(content: bytes) -> None:
    with pytest.raises(DataError, match=r"x.bin is damaged: .* bytes are not records of 3,073"):
        images.records(content, "x.bin", ("label",))


def test_kmnist(own: Path) -> None:
    write_files(own / "kmnist", packed=True)
    train, test = ph.data.kmnist(flat=False)
    assert_array_equal(train["x"], ARRAYS["train-images"] / np.float32(255))
    assert_array_equal(test["label"], ARRAYS["t10k-labels"])
    assert ph.data.kmnist()[0]["x"].shape == (6, 784)


def test_digits(own: Path) -> None:
    table = RANDOM.integers(0, 10, (5, 65))
    rows = "\n".join(",".join(map(str, row)) for row in table)
    (own / "digits.csv.gz").write_bytes(gzip.compress(rows.encode()))
    train, test = ph.data.digits()
    assert (len(train), len(test)) == (4, 1)
    assert_array_equal(train["x"], table[:4, :64] / np.float32(16))
    assert_array_equal(test["label"], table[4:, 64])
    assert ph.data.digits(flat=False)[1]["x"].shape == (1, 8, 8)


@pytest.mark.parametrize("text", ["1,2", "a,b", ",".join(["17"] * 65)])
def test_damaged_digits(own: Path, text: str) -> None:
    (own / "digits.csv").write_text(text)
    with pytest.raises(DataError, match=r"digits.csv is damaged: "):
        ph.data.digits()


def test_every_set_has_a_function_and_a_docstring() -> None:
    for name, known in CATALOGUE.items():
        loader = getattr(ph.data, name.replace("-", "_"))
        assert "Source:" in loader.__doc__, name
        assert known.licence and known.title and known.size and all(known.examples), name


def test_every_file_has_a_checksum_and_an_address() -> None:
    lengths = {"md5": 32, "sha256": 64}
    for name, known in CATALOGUE.items():
        if isinstance(known, FileSet):
            assert known.remotes or known.wheel, name
            for remote in known.remotes:
                algorithm, _, digits = remote.checksum.partition(":")
                assert len(digits) == lengths[algorithm] and int(digits, 16), remote.name
                assert all(a.startswith("http") for a in remote.addresses) and remote.addresses
                assert isinstance(remote, Remote) and remote.size > 0


@pytest.mark.registry
def test_digits_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    from phistar.data import contents

    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(contents, "ROUTES", (("package registry", contents.from_registry),))
    train, test = ph.data.digits()
    assert (len(train), len(test)) == (1437, 360)
    assert_array_equal(train["label"][:10], range(10))
