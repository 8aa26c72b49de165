"""A bar on a terminal, lines elsewhere, nothing if not wanted."""

import io
import sys

import pytest
from blobs import Line, line, squares

import phistar as ph
from phistar.training import progress
from phistar.training.history import Epoch
from phistar.training.progress import Bar, Lines, Silent, clock, progress_for, short, tail

RECORD = Epoch(2, 0.1234, {"validation.accuracy": 0.9712}, 2.1, 60_000)


def terminal(width: int) -> io.StringIO:
    return io.StringIO()


@pytest.mark.parametrize("width", [20, 40, 55, 80, 200])
def test_the_bar_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr(progress, "REDRAW", 0.0)
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    bar = Bar(console)
    bar.begin(10, 60_000)
    for step in range(5):
        bar.step(0, 128 * (step + 1), 1.5)
        assert bar.bar is not None
        bar.bar.refresh()
    bar.end()
    lines = out.getvalue().replace("\r", "\n").splitlines()
    import re

    bars = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).rstrip() for text in lines]
    drawn = [text for text in bars if "loss 1.5000" in text or "1/10" in text]
    assert drawn
    assert max(map(len, drawn)) <= width
    if width >= 80:
        assert "epoch 1/10" in drawn[-1] and "/s" in drawn[-1] and "left" in drawn[-1]


def test_a_bar_says_what_was_measured() -> None:
    from rich.console import Console

    out = io.StringIO()
    bar = Bar(Console(file=out, width=80, force_terminal=True, color_system=None))
    bar.epoch(RECORD)  # before it begins: nothing
    bar.begin(3, 60_000)
    bar.epoch(RECORD)
    bar.end()
    bar.end()
    assert "epoch 2/3  loss 0.1234  validation.accuracy 0.9712  2.1 s  28,600/s" in out.getvalue()


def test_one_line_for_each_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin(10, 60_000)
    lines.step(0, 128, 1.0)
    lines.epoch(RECORD)
    lines.end()
    assert capsys.readouterr().out == (
        "epoch  2/10  loss 0.1234  validation.accuracy 0.9712  2.1 s  28,600/s\n"
    )


def test_what_is_shown_where(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_for(None), Lines)
    assert isinstance(progress_for(True), Bar)
    assert isinstance(progress_for(False), Silent)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(progress_for(None), Bar)


def test_fit_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    data = line()
    ph.fit(Line(), squares, data, optimizer=ph.SGD(0.1), epochs=2, validation=data)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2  loss ")
    assert "validation.loss" in second
    ph.fit(Line(), squares, data, optimizer=ph.SGD(0.1), progress=False)
    assert capsys.readouterr().out == ""


def test_numbers_a_person_reads() -> None:
    assert [short(r) for r in (0.1234, 9.876, 123.4, 45_678)] == ["0.123", "9.88", "123", "45,700"]
    assert [clock(s) for s in (5.2, 65, 7384)] == ["0:05", "1:05", "2:03:04"]
    assert tail(0.5, 1000.0, 2000, 45) == "loss 0.5000"
    assert tail(0.5, 1000.0, 2000, 80) == "loss 0.5000  1,000/s  0:02 left"
