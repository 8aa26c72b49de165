"""Ctrl-C during training: the step that runs is finished first, so that no update is half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from phistar.training.history import History


class Interrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C; the model has the parameters of the last whole step.

    history: what was recorded until then.
    """

    def __init__(self, history: History) -> None:
        super().__init__(
            f"stopped by Ctrl-C after {len(history.losses)} steps; "
            "the parameters are those of the last whole step"
        )
        self.history = history


class Stop:
    """Whether Ctrl-C was pressed."""

    requested = False


@contextmanager
def stop_on_interrupt() -> Iterator[Stop]:
    """Inside, the first Ctrl-C only sets `requested`; the second one raises KeyboardInterrupt.

    Python allows this in the main thread only; elsewhere nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        stop.requested = True
        signal.signal(signal.SIGINT, before)

    if before is signal.default_int_handler:  # else somebody else decides what Ctrl-C does
        signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)
