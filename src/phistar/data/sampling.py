"""Data sets made of others: examples drawn by weight, and sets one after the other.

row[p] = the first row whose weights, added up, exceed u[p] of all, u = U(seed, epoch)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from phistar.data.columns import Column, column
from phistar.data.dataset import Dataset
from phistar.data.lazy import Array, Lazy
from phistar.data.mapping import generator
from phistar.errors import DataError

DRAWING = -2  # the "row" whose random numbers draw an epoch's rows


class Weighted(Dataset):
    """Examples drawn with replacement, anew in each epoch.

    weights: a number for each example, from 0 on; or the name of a column of classes, all of which
    then come equally often. size: how many are drawn in an epoch; as many as there are if None.
    Raises DataError for weights that do not fit.
    """

    def __init__(self, data: Dataset, weights: Any, size: int | None = None) -> None:
        self.data = data
        self.ends = np.cumsum(numbers(data, weights))
        self.drawn = len(data) if size is None else size
        if isinstance(self.drawn, bool) or not isinstance(self.drawn, int) or self.drawn < 1:
            raise DataError(f"weighted draws a whole number of examples, not {size!r}")
        super().__init__(**self.chosen(0, 0).columns)

    def chosen(self, seed: int, epoch: int) -> Dataset:
        u = generator(seed, epoch, DRAWING).random(self.drawn) * self.ends[-1]
        rows = np.searchsorted(self.ends, u, side="right")
        made: Dataset = self.data.at(seed, epoch)[np.minimum(rows, len(self.data) - 1)]
        return made

    def at(self, seed: int, epoch: int) -> Dataset:
        return self.chosen(seed, epoch)


def numbers(data: Dataset, weights: Any) -> Array:
    """A weight for each example."""
    if isinstance(weights, str):
        _, place, counts = np.unique(data.column(weights), return_inverse=True, return_counts=True)
        weights = 1 / counts[place.reshape(-1)]
    found: Array = np.asarray(weights, np.float64)
    if found.shape != (len(data),):
        raise DataError(f"weights have shape {found.shape}, but there are {len(data):,} examples")
    if not np.isfinite(found).all() or (found < 0).any() or not found.any():
        raise DataError("weights are finite numbers from 0 on, not all of them 0")
    return found


class Joined(Lazy):
    """The rows of several columns, one after the other."""

    def __init__(self, parts: list[Column]) -> None:
        self.parts = parts
        self.starts = np.cumsum([0, *map(len, parts)])
        self.shape = (int(self.starts[-1]), *parts[0].shape)
        self.dtype = parts[0].dtype.numpy

    def at(self, seed: int, epoch: int, found: dict[int, Any]) -> Lazy:
        moved = [Dataset(part=part).at(seed, epoch).columns["part"] for part in self.parts]
        return (
            self if all(a is b for a, b in zip(moved, self.parts, strict=True)) else Joined(moved)
        )

    def read(self, rows: Array) -> Array:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for n in np.unique(which):
            here = which == n
            out[here] = self.parts[n][rows[here] - self.starts[n]]
        return out


def concatenate(*sets: Dataset) -> Dataset:
    """The examples of several data sets, one set after the other; nothing is copied.

    Raises DataError if they do not have the same columns, shapes and types.
    """
    if not sets:
        raise DataError("concatenate takes at least one data set")
    first = sets[0].columns
    for number, other in enumerate(sets[1:], 2):
        if (found := set(other.columns)) != set(first):
            raise DataError(
                f"data set {number} has the columns {', '.join(sorted(found))}, "
                f"the first has {', '.join(sorted(first))}"
            )
        for name, c in other.columns.items():
            one, two = (first[name].shape, first[name].dtype), (c.shape, c.dtype)
            if one != two:
                raise DataError(
                    f"column {name!r} is {one[1].value} of shape {one[0]} in the first data set, "
                    f"{two[1].value} of shape {two[0]} in number {number}"
                )
    return Dataset(
        **{name: column(Joined([s.columns[name] for s in sets]), name=name) for name in first}
    )
