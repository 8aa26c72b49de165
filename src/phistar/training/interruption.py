"""Signals during training: the step that runs is finished first, so that no update is half done.

Ctrl-C; and where snapshots are taken SIGTERM and SIGUSR1, with which clusters end their jobs:
finish the step, save, leave. A second Ctrl-C leaves at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from phistar.training.history import History

CTRL_C = signal.SIGINT
ENDING = tuple(getattr(signal, n) for n in ("SIGTERM", "SIGUSR1") if hasattr(signal, n))
UNTOUCHED = (signal.default_int_handler, signal.SIG_DFL)  # else somebody else decides


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal; the model has the parameters of the last whole step.

    history: what was recorded until then. signal: which it was. saved: the snapshot to go on from.
    """

    def __init__(
        self, history: History, signal: signal.Signals = CTRL_C, saved: Path | None = None
    ) -> None:
        by = "Ctrl-C" if signal == CTRL_C else signal.name
        super().__init__(
            f"stopped by {by} after {len(history.losses)} steps; "
            + (f"saved in {saved}, " if saved else "")
            + "the parameters are those of the last whole step"
        )
        self.history, self.signal, self.saved = history, signal, saved

    @property
    def status(self) -> int:
        """The exit status of a process that ends for this reason."""
        return 128 + self.signal


class Stop:
    """Whether training shall stop, by which signal, and whether without saving."""

    requested = False
    at_once = False
    signal = CTRL_C


@contextmanager
def stop_on_signals(ending: bool = False) -> Iterator[Stop]:
    """Inside, signals only set `requested`; the second Ctrl-C raises KeyboardInterrupt.

    ending: SIGTERM and SIGUSR1 too. Python allows this in the main thread only; elsewhere nothing
    changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        if number == CTRL_C and stop.requested:
            stop.at_once = True
            raise KeyboardInterrupt
        stop.requested, stop.signal = True, signal.Signals(number)

    wanted = (CTRL_C, *(ENDING if ending else ()))
    before = {n: h for n in wanted if (h := signal.getsignal(n)) in UNTOUCHED}
    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is note:
                signal.signal(number, handler)
