"""The figure of a history."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from phistar.errors import UsageError
from phistar.training.history import Epoch, History
from phistar.training.plotting import plot_history, smoothed

PNG = b"\x89PNG\r\n"


def made(steps: int = 200) -> History:
    losses = list(2.0 * np.exp(-np.linspace(0, 4, steps)))
    epochs = [Epoch(n, 0.5, {"train.accuracy": 0.9, "test.accuracy": 0.8}, 1, 1) for n in (1, 2)]
    return History(losses, epochs)


def test_a_figure(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = plot_history(made(), tmp_path / "plot.png")
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize("history", [made(1), History([1.0, 2.0]), History([-1.0, 0.0] * 50)])
def test_histories_that_are_short(history: History, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert plot_history(history, tmp_path / "plot.png").exists()


def test_the_smoothed_line_is_a_running_mean() -> None:
    assert_allclose(smoothed(np.array([1.0, 3.0, 5.0, 7.0]), 2), [1, 2, 4, 6])


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is nothing to plot: the history has no steps"):
        plot_history(History(), tmp_path / "plot.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'phistar\[plot\]'"):
        plot_history(made(), tmp_path / "plot.png")
