"""The code in README and docs runs and prints what it says; so do the examples."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import phistar as ph
from phistar.data import Dataset

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MNIST's form with 256 random digits, and a folder to write into."""
    rng = np.random.default_rng(0)

    def mnist(flat: bool = True) -> tuple[Dataset, Dataset]:
        x = rng.random((256, 784), np.float32)
        return (Dataset(x=x, label=rng.integers(0, 10, 256)),) * 2

    monkeypatch.setattr(ph.data, "mnist", mnist)
    monkeypatch.chdir(tmp_path)


def test_readme_runs_and_prints_what_it_says() -> None:
    names: dict[str, object] = {}
    printed, checked = "", 0
    for kind, text in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if kind == "text":
            if "s.grad" in text:
                assert text == printed
                checked += 1
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, "README.md", "exec"), names)
        printed = out.getvalue()
    assert checked == 1


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_run(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
