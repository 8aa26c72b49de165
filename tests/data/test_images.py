"""MNIST as a user gets it: shapes, types, values; and the real files, by the registry."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from tiny import ARRAYS, write_files

import phistar as ph
from phistar.data.images import labelled
from phistar.ir.dtypes import DType


def test_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(write_files(tmp_path)))
    train, test = ph.data.mnist()
    assert (len(train), len(test)) == (6, 2)
    assert train.columns["x"].array.dtype == np.uint8
    batch = train.batch(slice(0, 6))
    assert batch["x"].shape == (6, 784) and batch["x"].dtype == np.float32
    pixels = ARRAYS["train-images"].reshape(6, 784)
    assert_array_equal(batch["x"], pixels / np.float32(255))
    assert batch["label"].dtype == np.int64
    assert_array_equal(batch["label"], ARRAYS["train-labels"])


def test_not_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "mnist", packed=True)
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    train, _ = ph.data.mnist(flat=False)
    spec = train.spec(3).columns
    assert (spec["x"].shape, spec["x"].dtype) == ((28, 28), DType.F32)
    assert (spec["label"].shape, spec["label"].dtype) == ((), DType.I64)


def test_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path / "fashion-mnist")
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert len(ph.data.fashion_mnist()[0]) == 6


def test_images_without_labels() -> None:
    images, labels = ARRAYS["train-images"], ARRAYS["t10k-labels"]
    with pytest.raises(ph.DataError, match="there are 6 images, but 2 labels"):
        labelled(images, labels, flat=True)


@pytest.mark.registry
def test_the_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHISTAR_OFFLINE", raising=False)
    train, test = ph.data.mnist()
    assert (len(train), len(test)) == (60_000, 10_000)
    assert_array_equal(train.columns["label"][:5], [5, 0, 4, 1, 9])
    assert_array_equal(test.columns["label"][:5], [7, 2, 1, 0, 4])
    first = train.columns["x"][:1]
    assert (first.min(), first.max()) == (0, 1)
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    assert len(ph.data.mnist()[0]) == 60_000  # from the cache
