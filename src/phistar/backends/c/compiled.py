"""A compiled C program as a function of arrays: loading it, and calling it."""

from __future__ import annotations

import contextlib
import copy
import ctypes
import functools
import math
import mmap
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phistar.backends.c.cache import shared_object
from phistar.backends.c.generate import HEADERS, Generated, generate
from phistar.backends.contract import out_of_range
from phistar.errors import BackendError
from phistar.ir.program import Kind, Program
from phistar.ir.walk import flat

Array = np.ndarray[Any, Any]

RUNTIME = Path(__file__).parent / "runtime"
LARGE_PAGE = 2**21  # bytes
SMALL = 2**12  # bytes for which it does not matter where they begin
POOLED = 2**19  # bytes from which memory for results is kept
KEPT = 16  # pieces of it
ONLY_HERE = 2  # references to an object that one variable has, as sys.getrefcount counts
WORD = 2**64 - 1
INDICES = 16  # of a failure, as in program.h
MOST_THREADS = 64


class Failure(ctypes.Structure):
    """A subscript that was out of range: the first that a thread met."""

    _fields_ = (
        ("site", ctypes.c_long),
        ("step", ctypes.c_long),
        ("value", ctypes.c_long),
        ("setting", ctypes.c_long * INDICES),
    )


class Call(ctypes.Structure):
    """What the C program is called with: see program.h."""

    _fields_ = (
        ("tensors", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("steps", ctypes.c_long),
        ("seed", ctypes.c_uint64),
        ("step", ctypes.c_uint64),
        ("arena", ctypes.c_void_p),
        ("team", ctypes.c_void_p),
        ("team_run", ctypes.c_void_p),
        ("failures", ctypes.c_void_p),
        ("times", ctypes.c_void_p),
    )


def threads() -> int:
    """PHISTAR_THREADS, else as many as this process may use."""
    text = os.environ.get("PHISTAR_THREADS")
    if text is None:
        return usable()
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise BackendError(
            f"PHISTAR_THREADS must be a number from 1 to {MOST_THREADS}, not {text!r}"
        )
    return int(text)


@functools.cache
def usable() -> int:
    """The processors that this process may use."""
    mine = getattr(os, "sched_getaffinity", None)
    return min(len(mine(0)) if mine else os.cpu_count() or 1, MOST_THREADS)


@functools.cache
def headers() -> dict[str, str]:
    """The run time's headers, by name."""
    return {name: (RUNTIME / name).read_text() for name in (*HEADERS, "team.h")}


class Team:
    """The threads that all programs of this process share."""

    def __init__(self) -> None:
        library = ctypes.CDLL(str(shared_object(team_source(), headers=headers())))
        library.team_new.restype = ctypes.c_void_p
        self.library = library
        self.handle = library.team_new(threads())
        self.run = ctypes.cast(library.team_run, ctypes.c_void_p)


def team_source() -> str:
    return (RUNTIME / "team.c").read_text()


@functools.cache
def team(size: int) -> Team:
    return Team()


def nothing() -> None:
    """What a reference to no array gives."""


def address(array: Array) -> int:
    """Where its numbers begin; `array.ctypes` takes three times as long."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):  # it cannot be written, is empty, or of bf16
        return array.ctypes.data


class Frame:
    """The memory of one call's arguments; used again and again."""

    def __init__(self, tensors: int, arena: Array) -> None:
        self.pointers = (ctypes.c_void_p * tensors)()
        self.strides = (ctypes.c_long * tensors)()
        self.stride = False
        self.seen: list[Callable[[], Array | None]] = [nothing] * tensors  # whose address it is
        self.team: Team | None = None
        self.failures = (Failure * MOST_THREADS)()
        self.call = Call(
            tensors=ctypes.cast(self.pointers, ctypes.c_void_p),
            strides=ctypes.cast(self.strides, ctypes.c_void_p),
            failures=ctypes.cast(self.failures, ctypes.c_void_p),
        )
        self.address = ctypes.addressof(self.call)
        self.use(arena)

    def use(self, arena: Array) -> None:
        """Takes this memory for what is in between."""
        self.arena = arena
        self.call.arena = arena.ctypes.data

    def set_strides(self, strides: list[int] | None) -> None:
        """Bytes from one step's tensor to the next one's; None: there is one step."""
        if strides is not None:
            for n, stride in enumerate(strides):
                self.strides[n] = stride
        elif self.stride:
            ctypes.memset(self.strides, 0, ctypes.sizeof(self.strides))
        self.stride = strides is not None


class Pool:
    """Memory for results: large pieces are used again when nobody holds what was in them.

    The system gives large pieces page by page, each at its first touch: that takes longer than many
    programs do.
    """

    def __init__(self) -> None:
        self.rooms: list[Array] = []

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        size = math.prod(shape) * dtype.itemsize
        if size < POOLED:
            return empty(shape, dtype)
        room = self.free(size + 64)
        start = -room.ctypes.data % 64
        return room[start : start + size].view(dtype).reshape(shape)

    def free(self, size: int) -> Array:
        """A piece of that size that nobody else has."""
        for _ in range(len(self.rooms)):
            room = self.rooms.pop(0)
            held = sys.getrefcount(room) > ONLY_HERE
            self.rooms.append(room)
            if not held and len(room) == size:
                return room
            if not held and len(self.rooms) > KEPT:
                del self.rooms[-1]
            del room
        room = np.empty(size, np.uint8)
        self.rooms.append(room)
        return room


@dataclass
class Slot:
    """How a tensor is passed: the type and shape of its array; fresh: it is the program's own."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fresh: bool

    @functools.cached_property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class Compiled:
    """A program that C runs. source: its C. Steps may be done many in one call: `repeat`."""

    def __init__(self, program: Program, timed: bool = False) -> None:
        self.program = program
        self.generated: Generated = generate(program, timed)
        self.times = np.zeros((MOST_THREADS, len(self.generated.nests)))
        library = ctypes.CDLL(str(shared_object(self.generated.source, headers=headers())))
        self._run = library.phistar_run
        self._run.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._run.restype = None
        updated = {
            a.target.tensor
            for a in flat(program.statements)
            if a.target.tensor.kind is not Kind.VALUE
        }
        owned = updated | set(program.outputs)
        given, results = self.generated.given, self.generated.results
        self._inputs = [Slot(t.name, t.dtype.numpy, t.storage, t in owned) for t in given]
        self._outputs = [
            Slot(t.name, t.dtype.numpy, t.storage, True) for t in results if t not in given
        ]
        self._results = [t.name for t in results]
        self._pool = Pool()
        self._lock = threading.Lock()
        self._names = [slot.name for slot in self._inputs]
        self._frame = self._new_frame()

    @property
    def source(self) -> str:
        """The C source."""
        return self.generated.source

    def __call__(
        self, values: Mapping[str, Array], seed: int = 0, step: int = 0
    ) -> dict[str, Array]:
        mine = self._lock.acquire(blocking=False)
        try:
            frame = self._frame if mine else self._new_frame()
            arrays: dict[str, Array] = {}
            pointers, seen = frame.pointers, frame.seen
            held = []  # until the program has run
            for n, name in enumerate(self._names):
                array = values[name]
                if seen[n]() is array:  # as in the last call, and not the program's own
                    continue
                slot = self._inputs[n]
                own = self._given(slot, array)
                pointers[n] = address(own)
                seen[n] = weakref.ref(array) if own is array else nothing
                held.append(own)
                if slot.fresh:
                    arrays[name] = own
            for n, slot in enumerate(self._outputs, len(self._names)):
                take = np.empty if slot.bytes < SMALL else self._pool.take
                arrays[slot.name] = array = take(slot.shape, slot.dtype)
                pointers[n] = address(array)
            if frame.stride:
                frame.set_strides(None)
            self._go(frame, 1, seed, step)
        finally:
            if mine:
                self._lock.release()
        if len(arrays) == len(self._outputs) == len(self._results):
            return arrays
        return {name: arrays[name] for name in self._results}

    def repeat(
        self,
        values: Mapping[str, Array],
        varying: Mapping[str, Array],
        seed: int = 0,
        step: int = 0,
    ) -> dict[str, Array]:
        """Many steps in one call: see `contract.Repeating`."""
        steps = len(next(iter(varying.values())))
        arrays, strides = dict[str, Array](), list[int]()
        for slot in self._inputs:
            changes = slot.name in varying
            array = self._given(slot, varying[slot.name] if changes else values[slot.name])
            arrays[slot.name] = array
            strides.append(array[0].nbytes if changes and steps else 0)
        for slot in self._outputs:
            arrays[slot.name] = self._pool.take((steps, *slot.shape), slot.dtype)
            strides.append(arrays[slot.name][0].nbytes if steps else 0)
        frame = Frame(len(arrays), aligned(0))
        for n, array in enumerate(arrays.values()):
            frame.pointers[n] = array.ctypes.data
        frame.set_strides(strides)
        mine = self._lock.acquire(blocking=False)
        try:
            frame.use(self._frame.arena if mine else aligned(self.generated.arena))
            self._go(frame, steps, seed, step)
        finally:
            if mine:
                self._lock.release()
        return {name: arrays[name] for name in self._results}

    def _given(self, slot: Slot, array: Array) -> Array:
        """The array of an input: as it is, or a copy if the program writes it or gives it back."""
        if slot.fresh:
            array = np.asarray(array)
            own = self._pool.take(array.shape, slot.dtype)
            own[...] = array
            return own
        if type(array) is np.ndarray and array.dtype is slot.dtype and array.flags.c_contiguous:
            return array
        return np.ascontiguousarray(array, slot.dtype)

    def _new_frame(self) -> Frame:
        tensors = len(self._inputs) + len(self._outputs)
        return Frame(tensors, aligned(self.generated.arena))

    def _go(self, frame: Frame, steps: int, seed: int, step: int) -> None:
        """Runs the program; IndexRangeError if a subscript was out of range."""
        call, size = frame.call, 1
        if self.generated.parallel or frame.team is None:
            count = threads()
            group = team(count)
            if frame.team is not group:
                frame.team = group
                call.team, call.team_run = group.handle, group.run
            size = count if self.generated.parallel else 1
        call.steps = steps
        call.seed = seed & WORD
        call.step = step & WORD
        if self.generated.nests:
            call.times = self.times.ctypes.data
        self._run(frame.address, size)
        if self.generated.sites:
            self._refuse(frame.failures)

    def _refuse(self, failures: Any) -> None:
        """IndexRangeError for the first step, and in it the first thread, that failed."""
        failed = [failure for failure in failures if failure.site]
        if not failed:
            return
        first = copy.copy(min(failed, key=lambda failure: failure.step))
        ctypes.memset(failures, 0, ctypes.sizeof(failures))
        site = self.generated.sites[first.site - 1]
        setting = {index: first.setting[n] for n, index in enumerate(site.indices[:INDICES])}
        raise out_of_range(site.assign, site.load, site.axis, setting, first.value)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that begins at a multiple of 64 bytes: vectors then cross no line of the cache."""
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def aligned(size: int) -> Array:
    """Zeros that begin at a multiple of 64 bytes; in large pages, where there are such."""
    if size < LARGE_PAGE // 4 or not hasattr(mmap, "MADV_HUGEPAGE"):
        room = np.zeros(size + 64, np.uint8)
        start = -room.ctypes.data % 64
        return room[start : start + size]
    pages = mmap.mmap(-1, (size // LARGE_PAGE + 2) * LARGE_PAGE)
    with contextlib.suppress(OSError):  # a wish, no need
        pages.madvise(mmap.MADV_HUGEPAGE)
    room = np.frombuffer(pages, np.uint8)
    start = -room.ctypes.data % LARGE_PAGE
    return room[start : start + size]
