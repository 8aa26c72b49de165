"""What a person sees of training: a bar on a terminal, one line per epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from phistar.training.history import Epoch

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

REDRAW = 0.05  # seconds between two changes of the bar


class Progress(Protocol):
    """Told of every step and every epoch."""

    def begin(self, epochs: int, examples: int, done: int = 0) -> None:
        """Training starts: so many epochs, so many examples in each; so many were seen before."""

    def step(self, epoch: int, done: int, loss: float) -> None:
        """A step was made; `done` examples of the epoch were seen."""

    def epoch(self, record: Epoch) -> None:
        """An epoch was finished and measured."""

    def end(self) -> None:
        """Training is over, finished or not."""


class Silent:
    """Shows nothing."""

    def begin(self, epochs: int, examples: int, done: int = 0) -> None: ...

    def step(self, epoch: int, done: int, loss: float) -> None: ...

    def epoch(self, record: Epoch) -> None: ...

    def end(self) -> None: ...


class Lines(Silent):
    """One line for each epoch."""

    epochs = 0

    def begin(self, epochs: int, examples: int, done: int = 0) -> None:
        self.epochs = epochs

    def epoch(self, record: Epoch) -> None:
        print(epoch_line(record, self.epochs), flush=True)


class Bar:
    """A bar with the loss, the rate and the time that remains; a line for each finished epoch."""

    def __init__(self, console: Any = None) -> None:
        self.console = console
        self.bar: RichProgress | None = None
        self.epochs = self.examples = 0
        self.drawn = 0.0
        self.busy = Rate()
        self.mean = Smooth()

    def begin(self, epochs: int, examples: int, done: int = 0) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        self.epochs, self.examples = epochs, examples
        what = "{task.fields[head]}"
        self.bar = RichProgress(
            TextColumn(what, markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[tail]}", markup=False, table_column=Column(no_wrap=True)),
            console=self.console,
            expand=True,
            transient=True,
        )
        self.bar.add_task("", total=epochs * examples, head=f"epoch 1/{epochs}", tail="")
        self.busy.start(done)
        self.bar.start()

    def step(self, epoch: int, done: int, loss: float) -> None:
        self.mean.add(loss)
        now = time.monotonic()
        if self.bar is None or now - self.drawn < REDRAW:
            return
        self.drawn = now
        total = epoch * self.examples + done
        rate = self.busy.at(total)
        width = self.bar.console.width
        self.bar.update(
            self.bar.task_ids[0],
            completed=total,
            head=head(epoch, self.epochs, width),
            tail=tail(self.mean.value, rate, self.epochs * self.examples - total, width),
        )

    def epoch(self, record: Epoch) -> None:
        if self.bar is not None:
            line = epoch_line(record, self.epochs)
            self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class Rate:
    """Examples per second since the start."""

    began = 0.0
    before = 0  # examples that an earlier process saw

    def start(self, before: int = 0) -> None:
        self.began, self.before = time.monotonic(), before

    def at(self, examples: int) -> float:
        return (examples - self.before) / max(time.monotonic() - self.began, 1e-9)


class Smooth:
    """An average that forgets: what the bar shows as the loss."""

    value = float("nan")

    def add(self, loss: float) -> None:
        self.value = loss if self.value != self.value else 0.98 * self.value + 0.02 * loss


def head(epoch: int, epochs: int, width: int) -> str:
    return f"epoch {epoch + 1}/{epochs}" if width >= 40 else f"{epoch + 1}/{epochs}"


def tail(loss: float, rate: float, remaining: int, width: int) -> str:
    """As much as fits: the loss, then the rate, then the time that remains."""
    parts = [f"loss {loss:.4f}"]
    if width >= 50:
        parts.append(f"{short(rate)}/s")
    if width >= 60:
        parts.append(f"{clock(remaining / max(rate, 1e-9))} left")
    return "  ".join(parts)


def epoch_line(record: Epoch, epochs: int) -> str:
    """epoch 3/10  loss 0.1234  validation.accuracy 0.9712  2.1 s  28,600/s"""
    parts = [f"epoch {record.number:>{len(str(epochs))}}/{epochs}", f"loss {record.loss:.4f}"]
    parts += [f"{name} {value:.4f}" for name, value in record.metrics.items()]
    rate = record.examples / max(record.seconds, 1e-9)
    return "  ".join([*parts, f"{record.seconds:.1f} s", f"{short(rate)}/s"])


def short(rate: float) -> str:
    """A rate with three digits or a thousands' separator: 9.87, 123, 45,600."""
    if rate >= 1000:
        return f"{round(rate, -2):,.0f}"
    return f"{rate:.3g}"


def clock(seconds: float) -> str:
    """1:05, or 2:03:04."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def progress_for(wanted: bool | None) -> Progress:
    """None: a bar on a terminal, else lines; True: a bar wherever it goes; False: nothing."""
    if wanted is False:
        return Silent()
    if wanted is None and not sys.stdout.isatty():
        return Lines()
    return Bar()
