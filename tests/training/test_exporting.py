"""ph.export_c: a folder that a C compiler alone builds, which trains as phistar trains."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import optim, schedules
from phistar.backends.c.toolchain import find_compiler
from phistar.errors import UsageError

b, i, j = ph.indices("b i j")
rng = np.random.default_rng(2)
X, LABEL = rng.normal(size=(48, 6)).astype("f4"), rng.integers(0, 3, 48)
DATA = ph.data.Dataset(x=X, label=LABEL)
with_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")


class Linear(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 6)
        self.c = ph.param(3, init=0)

    def __call__(self, x: Any) -> Any:
        P = ph.tensors("P")
        P[b, j] = ph.softmax[j](self.W[j, i] * x[b, i] + self.c[j])
        return P


def loss(model: Linear, x: Any, label: Any) -> Any:
    P = model(x)
    return -ph.log(P[b, label[b]])


def algorithm(size: int = 16, optimizer: Any = None, **settings: Any) -> Any:
    spec, optimizer = DATA.spec(size), optimizer or ph.Adam(0.05)
    return ph.compile(
        loss, Linear(), optimizer=optimizer, batch=spec, epochs=3, backend="c", **settings
    )


def build(folder: Path) -> list[str]:
    """Builds and runs what is in the folder; what it prints."""
    command = find_compiler()
    assert command is not None
    sources = sorted(path.name for path in folder.glob("*.c"))
    line = [*command.command, "-O3", "-w", *sources, "-lm", "-pthread", "-o", "main"]
    subprocess.run(line, cwd=folder, check=True)
    ran = subprocess.run(["./main", "2"], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()


def read(folder: Path, name: str) -> np.ndarray:
    return np.fromfile(folder / "values" / f"{name}.out.bin", "f4")


ADAM = ph.Adam(0.05)
SCHEDULED = optim.EMA(optim.clip_norm(ph.AdamW(schedules.warmup(4, schedules.plateau(0.05))), 1.0))


@with_compiler
@pytest.mark.parametrize(("optimizer", "shuffle"), [(ADAM, True), (ADAM, False), (SCHEDULED, True)])
def test_an_algorithm(tmp_path: Path, optimizer: Any, shuffle: bool) -> None:
    folder = tmp_path / "c"
    files = ph.export_c(algorithm(16, optimizer, shuffle=shuffle), folder, data=DATA, seed=4)
    assert all(path.is_file() for path in files)
    printed = build(folder)
    model = Linear()
    history = ph.fit(
        model,
        loss,
        DATA,
        optimizer=optimizer,
        epochs=3,
        batch_size=16,
        seed=4,
        shuffle=shuffle,
        progress=False,
        backend="numpy",
    )
    found = [float(line.rpartition(" ")[2]) for line in printed]
    assert_allclose(found, [epoch.loss for epoch in history.epochs], rtol=2e-5)
    assert_allclose(read(folder, "W").reshape(3, 6), model.W.value, rtol=1e-3, atol=1e-5)


@with_compiler
def test_a_function(tmp_path: Path) -> None:
    model = Linear()
    model.initialize(1)
    f = ph.jit(lambda model, x: model(x), backend="numpy")
    ph.export_c(f, tmp_path / "c", model, X[:5], name="classify")
    build(tmp_path / "c")
    assert_allclose(read(tmp_path / "c", "P").reshape(5, 3), f(model, X[:5]), rtol=2e-5)
    assert "long classify_run(" in (tmp_path / "c" / "classify.h").read_text()


def test_no_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="wants what it trains on: data=train"):
        ph.export_c(algorithm(), tmp_path / "c")


def test_minibatches_that_are_not_whole(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="48 examples are no whole number of minibatches of 20"):
        ph.export_c(algorithm(20), tmp_path / "c", data=DATA)
    assert not (tmp_path / "c").exists()


def test_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="is not empty: export_c wants a new one"):
        ph.export_c(algorithm(), tmp_path, data=DATA)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.parametrize("name", ["a b", "σ", "x;", "1"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name= is to be a C identifier"):
        ph.export_c(algorithm(), tmp_path / "c", data=DATA, name=name)
