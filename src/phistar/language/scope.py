"""What is being written now: the trace of a function, if one is traced, and the open scan.

A trace numbers its random fields and collects its updates; outside a trace (a notebook) statements
stand alone and values are computed when asked for.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phistar.language.equations import Unit
    from phistar.language.scans import ScanBlock


class Trace:
    """The statements of one traced function that are kept for their effect: updates."""

    def __init__(self) -> None:
        self.updates: list[Unit] = []
        self.places = itertools.count()
        self.sizes: dict[str, int] = {}


_trace: ContextVar[Trace | None] = ContextVar("phistar_trace", default=None)
_scan: ContextVar[ScanBlock | None] = ContextVar("phistar_scan", default=None)
_places = itertools.count()
_sequence = itertools.count()
_sizes: dict[str, int] = {}


def current_trace() -> Trace | None:
    return _trace.get()


def current_scan() -> ScanBlock | None:
    return _scan.get()


def next_place() -> int:
    """The number of the next random field: per trace, so that programs print and run the same."""
    trace = _trace.get()
    return next(_places if trace is None else trace.places)


def note_size(name: str, size: int) -> None:
    """Remember how far an index ran, for `k.size` in later statements."""
    trace = _trace.get()
    (_sizes if trace is None else trace.sizes)[name] = size


def last_size(name: str) -> int | None:
    trace = _trace.get()
    return (_sizes if trace is None else trace.sizes).get(name)


def next_number() -> int:
    """The position of the next statement among all statements written so far."""
    return next(_sequence)


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    token, scan = _trace.set(trace), _scan.set(None)
    try:
        yield trace
    finally:
        _trace.reset(token)
        _scan.reset(scan)


@contextmanager
def scanning(block: ScanBlock) -> Iterator[ScanBlock]:
    token = _scan.set(block)
    try:
        yield block
    finally:
        _scan.reset(token)
