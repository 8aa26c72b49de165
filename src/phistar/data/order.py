"""The order in which a training set is seen: a pure function of (seed, epoch, position).

row[p] = F(p), and again F(row[p]) while row[p] >= n            F permutes 0 .. 2**bits - 1
F: (l, r) -> (r, l ^ mix(r, key[k])) for k < ROUNDS            a Feistel network, keyed by the epoch

Any part of an epoch's order is computed by itself, so that 10^9 rows are shuffled without a list of
them, and nothing but (seed, epoch, step) needs to be remembered to resume. The same numbers give
the same order on every machine (`ph.export_c` writes it in C: backends/c/export.py). Sources:
M. Luby, C. Rackoff, How to construct pseudorandom permutations from pseudorandom functions, 1988;
J. Black, P. Rogaway, Ciphers with arbitrary finite domains, 2002 (walking along the cycle).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from phistar.errors import DataError

Rows = np.ndarray[Any, np.dtype[np.int64]]
Words = np.ndarray[Any, np.dtype[np.uint32]]
Shard = tuple[int, int]

WORD = 2**64  # seed and epoch are one word each of the key
ROUNDS = 12  # even; with 8, permutations of 3 to 5 rows are not all equally frequent
MOST = 2**62  # rows
BLOCK = 1 << 14  # positions at a time: what the rounds work on stays in the cache
MIX = np.uint32(0x7FEB352D)  # C. Wellons, hash-prospector: lowbias32


@dataclass(frozen=True)
class Order:
    """The rows 0 .. examples-1 in the order of an epoch; as they stand, if not shuffled."""

    examples: int
    seed: int = 0
    epoch: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.examples <= MOST:
            raise DataError(f"an order has from 0 to 2**62 rows, not {self.examples}")

    def __len__(self) -> int:
        return self.examples

    def rows(self, start: int = 0, stop: int | None = None, step: int = 1) -> Rows:
        """The rows at the positions start, start + step, ... before stop."""
        stop = self.examples if stop is None else min(stop, self.examples)
        return self.at(np.arange(start, stop, step, dtype=np.int64))

    def at(self, positions: Rows) -> Rows:
        """The rows at these positions; DataError if there is no such position."""
        positions = np.asarray(positions, np.int64)
        if positions.size and not 0 <= positions.min() <= positions.max() < self.examples:
            raise DataError(
                f"positions {positions.min()} to {positions.max()} "
                f"do not fit an order of {self.examples:,} rows"
            )
        if not self.shuffle:
            return positions
        rows = np.empty_like(positions)
        for start in range(0, len(positions), BLOCK):
            rows[start : start + BLOCK] = self.walked(positions[start : start + BLOCK])
        return rows

    def walked(self, at: Rows) -> Rows:
        """F, again and again for those that it takes out of the rows."""
        at = self.permuted(at)
        outside = np.flatnonzero(at >= self.examples)
        while outside.size:
            at[outside] = again = self.permuted(at[outside])
            outside = outside[again >= self.examples]
        return at

    def permuted(self, at: Rows) -> Rows:
        """F: the two halves of the bits change each other in turn."""
        high, low = self.bits - self.bits // 2, self.bits // 2
        left = (at >> low).astype(np.uint32)
        right = (at & ((1 << low) - 1)).astype(np.uint32)
        for factor, offset in self.keys:  # left has `high` bits, right `low`, then the reverse
            left ^= mixed(right, factor, offset, high)
            left, right, high, low = right, left, low, high
        return (left.astype(np.int64) << low) | right

    @property
    def bits(self) -> int:
        """F permutes numbers of so many bits: fewer than twice as many as there are rows."""
        return max(2, (self.examples - 1).bit_length())

    @cached_property
    def keys(self) -> tuple[tuple[np.uint32, np.uint32], ...]:
        """Of each round: an odd factor and an offset."""
        words = random_words(self.seed, self.epoch, 2 * ROUNDS)
        factors, offsets = words[:ROUNDS] | np.uint32(1), words[ROUNDS:]
        return tuple(zip(factors, offsets, strict=True))


def mixed(half: Words, factor: np.uint32, offset: np.uint32, bits: int) -> Words:
    """Random bits of each number: a function drawn by the key."""
    x = half * factor
    x += offset
    x ^= x >> np.uint32(15)
    x *= MIX
    x ^= x >> np.uint32(16)
    x *= factor
    x >>= np.uint32(32 - bits)
    return x


def random_words(seed: int, epoch: int, n: int) -> Words:
    """The first n words that seed and epoch draw."""
    words = np.random.Philox(key=seed % WORD + (epoch % WORD) * WORD).random_raw(n)
    return (words >> np.uint64(32)).astype(np.uint32)


def order(n: int, seed: int, epoch: int, shuffle: bool = True) -> Rows:
    """The rows 0 .. n-1 in the order of an epoch."""
    return Order(n, seed, epoch, shuffle).rows()


def minibatches(
    whole: Order, size: int, drop_last: bool = False, first: int = 0, shard: Shard = (0, 1)
) -> Iterator[Rows]:
    """The rows of each minibatch of an epoch, from number `first` on, or a process's share of them.

    shard: (k, n) for process k of n. All n together draw the minibatches that one alone draws.
    """
    at = (share(p, shard) for p in positions(len(whole), size, drop_last, first))
    while block := list(islice(at, max(1, BLOCK // size))):
        rows = whole.at(np.concatenate([np.arange(p.start, p.stop, p.step) for p in block]))
        end = 0
        for p in block:
            start, end = end, end + len(range(p.start, p.stop, p.step))
            yield rows[start:end]


def positions(n: int, size: int, drop_last: bool = False, first: int = 0) -> Iterator[slice]:
    """Where each minibatch stands in an order of n rows; the last is smaller, or is dropped."""
    if size < 1:
        raise DataError(f"a minibatch has at least one example, not {size}")
    end = n - n % size if drop_last else n
    for start in range(first * size, end, size):
        yield slice(start, min(start + size, end), 1)


def share(at: slice, shard: Shard) -> slice:
    """The positions of a minibatch that process k of n draws: every n-th."""
    k, n = shard
    if not 0 <= k < n:
        raise DataError(f"shard=(k, n) is process k of n, with 0 <= k < n, not {shard}")
    return slice(at.start + k, max(at.start + k, at.stop), n)
