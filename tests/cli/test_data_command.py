"""`phistar data`: the list, fetching, contact sheets and texts."""

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.cli import datasets, main
from phistar.data import CATALOGUE, contents
from phistar.data.catalogue import FILES
from phistar.data.idx import format_idx

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty images in the form of MNIST, two sentences, and a folder to work in."""
    for name in ("mnist", "sst", "work"):
        (tmp_path / "own" / name).mkdir(parents=True)
    for part, name in FILES.items():
        array = PIXELS if part.endswith("images") else LABELS
        (tmp_path / "own" / "mnist" / name).write_bytes(format_idx(array))
    for name in ("train", "dev", "test"):
        tree = f"(3 (2 A) (4 (3 good) (2 {name})))\n"
        (tmp_path / "own" / "sst" / f"{name}.txt").write_text(tree * 2)
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path / "own" / "work")
    return tmp_path / "own"


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(["data", *argv])
    return status, *capsys.readouterr()


def test_list(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert list(lines) == ["name", *CATALOGUE]
    assert "60,000 + 10,000" in lines["mnist"] and "11.6 MB" in lines["mnist"]
    assert "PHISTAR_DATA" in lines["mnist"] and "PHISTAR_DATA" in lines["sst"]
    assert " no " in lines["cifar10"] and "170.1 MB" in lines["cifar10"]
    (own / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert "damaged" in run(capsys, "list")[1].splitlines()[1]


def test_get(capsys: pytest.CaptureFixture[str], own: Path) -> None:
    status, out, _ = run(capsys, "get", "mnist")
    assert status == 0
    assert out.startswith(
        "MNIST: 20 examples to train on, 20 to test on\n"
        f"  it is in PHISTAR_DATA, {own}; licence: CC BY-SA 3.0\n"
        "Dataset of 20 examples\n  x: 20 x (784,)  f32 (stored as u8, divided by 255)"
    )


def test_get_from_the_registry(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "\n".join(",".join(["3"] * 65) for _ in range(5))
    packed = gzip.compress(rows.encode(), mtime=0)
    monkeypatch.delenv("PHISTAR_OFFLINE")
    monkeypatch.setattr(contents, "installed_at", lambda known: None)
    monkeypatch.setattr(contents, "fetch_member", lambda wheel: packed)
    status, out, _ = run(capsys, "get", "digits")
    assert status == 0 and f"it is in {contents.cache_of(CATALOGUE['digits'])};" in out
    assert "cache" in next(x for x in run(capsys, "list")[1].splitlines() if "digits" in x)


def test_a_set_that_is_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "get", "cifar10")
    assert status == 1 and err.startswith("phistar: CIFAR-10 was not found anywhere\n")


def test_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    status, out, _ = run(capsys, "show", "mnist")
    assert status == 0
    assert out.splitlines() == [
        "labels, row by row:",
        "   0  1  2  3  4  5  6  7  8  9  0  1  2  3  4  5",
        "   6  7  8  9",
        "wrote mnist.png",
    ]
    sheet = np.asarray(image.open("mnist.png"))
    assert sheet.shape == (2 * 60 + 4, 16 * 60 + 4)
    assert_array_equal(sheet[4:60:2, 64:120:2], PIXELS[1])
    assert_array_equal(sheet[64:120:2, 4:60:2], PIXELS[16])


def test_some_at_random(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    options = ("--examples", "3", "--seed", "1", "--test", "--out", str(tmp_path / "x.png"))
    status, out, _ = run(capsys, "show", "mnist", *options)
    assert status == 0 and (tmp_path / "x.png").exists()
    first = run(capsys, "show", "mnist", "--examples", "3")[1]
    assert out.splitlines()[1] != first.splitlines()[1] == "   0  1  2"


def test_colours_and_channels() -> None:
    x = np.zeros((1, 3, 32, 32), np.float32)
    x[0, 0, 5, 6] = 1
    sheet = datasets.sheet(datasets.pictures(x))
    assert sheet.shape == (4 + 68, 4 + 68, 3)
    assert_array_equal(sheet[14, 16], [255, 0, 0])
    assert_array_equal(sheet[16, 14], [0, 0, 0])


def test_by_matplotlib(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib.image")
    found: list[Any] = []
    monkeypatch.setattr(matplotlib, "imsave", lambda path, picture, **_: found.append(picture))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run(capsys, "show", "mnist")[0] == 0
    assert found[0].shape == (124, 964)


def test_neither(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, _, err = run(capsys, "show", "mnist")
    assert (status, "need the package pillow or matplotlib" in err) == (2, True)


@pytest.mark.parametrize("path", ["none/x.png", "x.nothing"])
def test_pictures_that_cannot_be_written(capsys: pytest.CaptureFixture[str], path: str) -> None:
    pytest.importorskip("PIL")
    status, _, err = run(capsys, "show", "mnist", "--out", path)
    assert status == 2 and f"{path} cannot be written: " in err


def test_texts(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "sst", "--examples", "1")
    assert (status, out) == (0, "example 0  label 3\n  A good train\n")
    assert len(run(capsys, "show", "sst", "--test")[1].splitlines()) == 4


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["get", "mnits"], "there is no data set 'mnits': did you mean"),
        (["show", "mnist", "--example", "3"], "there is no option --example: "),
        (["show", "mnist", "--examples", "0"], "wants a whole number from 1 on, not 0"),
        (["fetch"], "invalid choice: 'fetch'"),
        ([], "arguments are required: ACTION"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    status, _, err = run(capsys, *argv)
    assert status == 2 and said in err, err
