"""The next minibatches are made by threads while the step runs.

A few are under way at a time, in order; an error comes where its minibatch would have come.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from phistar.data.dataset import Dataset
from phistar.data.lazy import Lazy

A = TypeVar("A")
B = TypeVar("B")

THREADS = 2
AHEAD = 4  # minibatches


def slow(data: Dataset) -> bool:
    """Reading it takes longer than asking a thread to: it is on a disk, or made when asked for."""
    return any(isinstance(c.array, Lazy | np.memmap) for c in data.columns.values())


def prefetched(
    make: Callable[[A], B], items: Iterable[A], threads: int = THREADS, ahead: int = AHEAD
) -> Iterator[tuple[A, "Future[B]"]]:
    """Each item with what is being made of it; `future.result()` waits, and raises its error.

    When the iterator is closed, what has not begun is given up.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="phistar-data")
    queue: deque[tuple[A, Future[B]]] = deque()
    try:
        for item in items:
            queue.append((item, pool.submit(make, item)))
            if len(queue) > ahead:
                yield queue.popleft()
        while queue:
            yield queue.popleft()
    except BaseException:
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown(wait=False)  # the last ones may not have begun yet
