"""A compiled C program as a function of arrays: loading it, and calling it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import mmap
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phistar.backends.c.cache import shared_object
from phistar.backends.c.generate import HEADERS, Generated, generate
from phistar.backends.contract import out_of_range
from phistar.errors import BackendError
from phistar.ir.program import Kind, Program, Tensor
from phistar.ir.walk import flat

Array = np.ndarray[Any, Any]

RUNTIME = Path(__file__).parent / "runtime"
LARGE_PAGE = 2**21  # bytes
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
        usable = getattr(os, "sched_getaffinity", None)
        return min(len(usable(0)) if usable else os.cpu_count() or 1, MOST_THREADS)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise BackendError(
            f"PHISTAR_THREADS must be a number from 1 to {MOST_THREADS}, not {text!r}"
        )
    return int(text)


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


class Compiled:
    """A program that C runs. source: its C. steps may be done many in one call: `repeat`."""

    def __init__(self, program: Program, timed: bool = False) -> None:
        self.program = program
        self.generated: Generated = generate(program, timed)
        self.times = np.zeros((MOST_THREADS, len(self.generated.nests)))
        library = ctypes.CDLL(str(shared_object(self.generated.source, headers=headers())))
        self._run = library.phistar_run
        self._run.argtypes = (ctypes.c_void_p, ctypes.c_int)
        self._run.restype = None
        self._updated = {
            a.target.tensor
            for a in flat(program.statements)
            if a.target.tensor.kind is not Kind.VALUE
        }
        self._lock = threading.Lock()
        self._arena = aligned(self.generated.arena)

    @property
    def source(self) -> str:
        """The C source."""
        return self.generated.source

    def __call__(
        self, values: Mapping[str, Array], seed: int = 0, step: int = 0
    ) -> dict[str, Array]:
        made = self.generated
        arrays = {t: self._given(t, values) for t in made.given}
        for t in made.results:
            if t not in arrays:
                arrays[t] = empty(t.storage, t.dtype.numpy)
        self._call(list(arrays.values()), [0] * len(arrays), 1, seed, step)
        return {t.name: arrays[t] for t in made.results}

    def repeat(
        self,
        values: Mapping[str, Array],
        varying: Mapping[str, Array],
        seed: int = 0,
        step: int = 0,
    ) -> dict[str, Array]:
        """Many steps in one call: see `contract.Repeating`."""
        made, steps = self.generated, len(next(iter(varying.values())))
        arrays, strides = dict[Tensor, Array](), list[int]()
        for t in made.given:
            changes = t.name in varying
            arrays[t] = self._given(t, varying if changes else values)
            strides.append(arrays[t][0].nbytes if changes and steps else 0)
        for t in made.results:
            if t not in arrays:
                arrays[t] = np.empty((steps, *t.storage), t.dtype.numpy)
                strides.append(arrays[t][0].nbytes if steps else 0)
        self._call(list(arrays.values()), strides, steps, seed, step)
        return {t.name: arrays[t] for t in made.results}

    def _given(self, t: Tensor, values: Mapping[str, Array]) -> Array:
        """The array of an input: as it is, or a copy if the program writes it or gives it back."""
        if t in self._updated or t in self.program.outputs:
            return aligned_copy(values[t.name], t.dtype.numpy)
        return np.ascontiguousarray(values[t.name], t.dtype.numpy)

    def _call(
        self, arrays: list[Array], strides: list[int], steps: int, seed: int, step: int
    ) -> None:
        """Runs the program; IndexRangeError if a subscript was out of range."""
        size = threads() if self.generated.parallel else 1
        group = team(threads())
        pointers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        jumps = (ctypes.c_long * len(arrays))(*strides)
        failures = (Failure * max(size, 1))()
        mine = self._lock.acquire(blocking=False)
        arena = self._arena if mine else aligned(self.generated.arena)
        try:
            call = Call(
                ctypes.cast(pointers, ctypes.c_void_p),
                ctypes.cast(jumps, ctypes.c_void_p),
                steps,
                seed & 0xFFFFFFFFFFFFFFFF,
                step & 0xFFFFFFFFFFFFFFFF,
                arena.ctypes.data,
                group.handle,
                group.run,
                ctypes.cast(failures, ctypes.c_void_p),
                self.times.ctypes.data,
            )
            self._run(ctypes.addressof(call), size)
        finally:
            if mine:
                self._lock.release()
        if self.generated.sites:
            self._refuse(failures)

    def _refuse(self, failures: Any) -> None:
        """IndexRangeError for the first step, and in it the first thread, that failed."""
        failed = [failure for failure in failures if failure.site]
        if not failed:
            return
        first = min(failed, key=lambda failure: failure.step)
        site = self.generated.sites[first.site - 1]
        setting = {index: first.setting[n] for n, index in enumerate(site.indices[:INDICES])}
        raise out_of_range(site.assign, site.load, site.axis, setting, first.value)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that begins at a multiple of 64 bytes: vectors then cross no line of the cache."""
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: Array, dtype: np.dtype[Any]) -> Array:
    array = np.asarray(array)
    copy = empty(array.shape, dtype)
    copy[...] = array
    return copy


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
