"""Where the time of a training step goes: each loop nest of the compiled program, measured.

time      of the slowest thread, a step
FLOPs     operations of its equations
bytes     of the tensors that it touches, each once
share     of what the machine can: the larger of FLOPs / peak and bytes / bandwidth, over time
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.c.compiled import Compiled
from phistar.ir.program import Apply, Assign, Kind
from phistar.ir.walk import all_indices, flat, nodes, reads
from phistar.training.algorithm import Algorithm
from phistar.training.loop import Loop

Array = np.ndarray[Any, Any]

PEAK_SIZE = 1024  # of the matrices that measure the peak
COPY_SIZE = 2**26  # bytes that measure the bandwidth


@dataclass(frozen=True)
class Timing:
    """One loop nest: its equations, the part of the step it belongs to, and what it took a step."""

    equations: tuple[Assign, ...]
    part: str  # "forward", "backward" or "update"
    seconds: float
    flops: float
    bytes: float


@dataclass(frozen=True)
class Times:
    """A step: its loop nests in order, all of it, its memory, and what the machine can do."""

    nests: tuple[Timing, ...]
    seconds: float
    memory: int  # bytes beside parameters, states and data
    peak: float  # FLOPs a second
    bandwidth: float  # bytes a second

    def share(self, timing: Timing) -> float:
        """Of the machine's limit, from 0 to 1."""
        least = max(timing.flops / self.peak, timing.bytes / self.bandwidth)
        return least / timing.seconds if timing.seconds else 0.0


def measure(algorithm: Algorithm, columns: Mapping[str, Any], rows: Array, seed: int = 0) -> Times:
    """Time every loop nest of the algorithm's step on the c backend.

    columns: whole columns by name. rows: the examples of each minibatch, [steps, batch].
    """
    loop = Loop(algorithm.step_for(rows.shape[1]), columns, "c", build=False)
    lowered = compiler.lower(loop.program)
    plain, timed = Compiled(lowered), Compiled(lowered, timed=True)
    start = algorithm.initial_values(seed)
    loop.compiled = timed
    loop.run(start, columns, rows[: max(1, len(rows) // 10)], seed, 0)
    timed.times[:] = 0
    loop.run(start, columns, rows, seed, 0)
    seconds = timed.times.max(0) / len(rows)
    loop.compiled = plain
    loop.run(start, columns, rows[: max(1, len(rows) // 10)], seed, 0)
    began = time.perf_counter()
    loop.run(start, columns, rows, seed, 0)
    whole = (time.perf_counter() - began) / len(rows)
    part = parts_of(algorithm)
    nests = tuple(
        Timing(
            equations,
            part(equations),
            float(s),
            sum(map(flops, equations)),
            touched(equations),
        )
        for equations, s in zip(timed.generated.nests, seconds, strict=True)
    )
    return Times(nests, whole, timed.generated.arena, peak(), bandwidth())


def parts_of(algorithm: Algorithm) -> Any:
    """Which part of the step a loop nest belongs to: that of its first equation."""
    step = algorithm.parts
    forward = {a.target.tensor.name for a in flat(step.forward)}
    kept = {*step.kept, *(a.target.tensor.name for a in flat(step.update))}

    def part(equations: tuple[Assign, ...]) -> str:
        name = equations[0].target.tensor.name.removesuffix(".part")
        if name in kept:
            return "update"
        if name in forward or name.split(".grad")[0] == name:
            return "forward"
        return "backward"

    return part


def flops(a: Assign) -> float:
    """Operations on numbers: of the value, and one for each sum."""
    size = math.prod(i.size for i in dict.fromkeys(all_indices(a)))
    inside = sum(1 for e in nodes(a.value) if isinstance(e, Apply))
    return float(size * (inside + (1 if a.over else 0)))


def touched(equations: tuple[Assign, ...]) -> float:
    """Bytes of the tensors that come in and go out; each once."""
    tensors = {a.target.tensor for a in equations}
    tensors |= {load.tensor for a in equations for load in reads(a)}
    sizes = {t: math.prod(t.storage) * t.dtype.numpy.itemsize for t in tensors}
    gathered = {t for t in tensors if t.kind is Kind.INPUT and t.name.endswith(".data")}
    rows = max((s for t, s in sizes.items() if t not in gathered), default=0)
    return float(sum(min(s, rows) if t in gathered else s for t, s in sizes.items()))


def peak() -> float:
    """FLOPs a second of a large product, with all threads: what NumPy's library reaches."""
    a = np.ones((PEAK_SIZE, PEAK_SIZE), np.float32)
    return 2 * PEAK_SIZE**3 / least_time(lambda: a @ a)


def bandwidth() -> float:
    """Bytes a second of a copy that fits no cache: read and written."""
    a, b = np.ones(COPY_SIZE // 4, np.float32), np.ones(COPY_SIZE // 4, np.float32)
    return 2 * COPY_SIZE / least_time(lambda: np.copyto(b, a))


def least_time(run: Any, times: int = 7) -> float:
    best = math.inf
    for _ in range(times):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best
