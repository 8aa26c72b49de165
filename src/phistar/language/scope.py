"""What is being written now: the trace of a function, if one is traced, and the open scan.

A trace numbers its random fields and collects its updates; outside a trace (a notebook) statements
stand alone and values are computed when asked for. While an optimizer's equations are written,
another may say what `W.grad` is in them, and under which condition their updates happen.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from phistar.language.equations import Unit
    from phistar.language.expression import Expr
    from phistar.language.scans import ScanBlock
    from phistar.language.tensors import Tensor


class Trace:
    """The statements of one traced function that are kept for their effect: updates."""

    def __init__(self) -> None:
        self.updates: list[Unit] = []
        self.places = itertools.count()
        self.sizes: dict[str, int] = {}
        self.gradients: dict[Tensor, Tensor] = {}  # what W.grad is, if not the derivative itself
        self.condition: Expr | None = None  # under which parameters and states change


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


@contextmanager
def gradients_being(gradients: Mapping[Tensor, Tensor]) -> Iterator[None]:
    """In equations written inside, W.grad is another tensor: the gradient clipped, for example."""
    trace = _the_trace()
    outside = trace.gradients
    trace.gradients = {**outside, **gradients}
    try:
        yield
    finally:
        trace.gradients = outside


@contextmanager
def updates_only_if(condition: Expr) -> Iterator[None]:
    """Updates written inside keep the old value of a parameter or state where this is false."""
    trace = _the_trace()
    outside = trace.condition
    trace.condition = condition if outside is None else outside & condition
    try:
        yield
    finally:
        trace.condition = outside


def _the_trace() -> Trace:
    trace = _trace.get()
    assert trace is not None, "an optimizer's equations are written in a trace"
    return trace
