"""The order in which a training set is seen: a pure function of (seed, epoch).

Nothing needs to be remembered to resume: the same numbers give the same order, on every machine and
with every version of NumPy, because it is the sorting of a counter's random words.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from phistar.errors import DataError

Rows = np.ndarray[Any, np.dtype[np.int64]]

WORD = 2**64  # seed and epoch are one word each of the counter's key


def order(n: int, seed: int, epoch: int, shuffle: bool = True) -> Rows:
    """The rows 0 .. n-1 in the order of an epoch."""
    if not shuffle:
        return np.arange(n)
    words = np.random.Philox(key=seed % WORD + (epoch % WORD) * WORD).random_raw(n)
    return np.argsort(words, kind="stable")


def positions(n: int, size: int, drop_last: bool = False) -> Iterator[slice]:
    """Where each minibatch stands in an order of n rows; the last is smaller, or is dropped."""
    if size < 1:
        raise DataError(f"a minibatch has at least one example, not {size}")
    end = n - n % size if drop_last else n
    for start in range(0, end, size):
        yield slice(start, min(start + size, end))
