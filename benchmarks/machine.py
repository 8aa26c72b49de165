"""What the machine can do: the rate of a large matrix product and of copies, with all threads.

Nothing can be quicker than its floor, max(FLOPs / peak, bytes / bandwidth). The machine is one more
peer of a run: measured in a process of its own, in windows between those of the others.
"""

import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.workload import Workload

N = 1024
LARGE, SMALL = 128 << 20, 256 << 10  # bytes that a thread copies: beyond and within the cache


def measure(threads: int) -> dict[str, float]:
    """Peak in FLOP/s; bandwidth in bytes/s, counting those read and those written."""
    a, b, c = (np.ones((N, N), np.float32) for _ in range(3))
    peak = 2 * N**3 / quickest(lambda: np.matmul(a, b, out=c), 20)
    with ThreadPoolExecutor(threads) as pool:
        memory = copying(pool, threads, LARGE, 1)
        cache = copying(pool, threads, SMALL, 500)
    return {"peak": peak, "memory": memory, "cache": cache}


def copying(pool: ThreadPoolExecutor, threads: int, size: int, times: int) -> float:
    pairs = [(np.ones(size, np.uint8), np.ones(size, np.uint8)) for _ in range(threads)]

    def copy(pair: tuple[np.ndarray, np.ndarray]) -> None:
        for _ in range(times):
            np.copyto(*pair)

    return 2 * size * threads * times / quickest(lambda: list(pool.map(copy, pairs)), 3)


def quickest(run: Callable[[], object], times: int) -> float:
    """The least time that a call took, in seconds."""
    run()
    found = []
    for _ in range(times):
        begin = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin)
    return min(found)


def floor(workload: Workload, machine: dict[str, float]) -> float:
    """The least time that a step can take, in seconds."""
    bandwidth = machine["cache" if workload.in_cache else "memory"]
    return max(workload.flops / machine["peak"], workload.bytes / bandwidth)


def description() -> str:
    """The processor's name, the number of its cores that this process may use, and the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {platform.system()}"
