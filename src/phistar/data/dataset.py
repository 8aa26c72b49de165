"""A data set: named columns of equal length, one row for each example.

Dataset(x=images, label=labels)      columns are stored as they come, and decoded batch by batch
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np

from phistar.data.columns import Array, Column, column
from phistar.data.lazy import Lazy
from phistar.data.mapping import Function, mapped, parameters
from phistar.data.order import Order, minibatches, order
from phistar.errors import DataError
from phistar.ir.dtypes import DType

Rows = Array | Sequence[int]

BLOCK = 1024  # rows at a time, where all are looked at
SPLITTING = -1  # the "epoch" whose order splits a data set: no epoch of training has it


@dataclass(frozen=True)
class ColumnSpec:
    """The form of one example in a column: its shape and its type."""

    shape: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True)
class BatchSpec:
    """The form of a minibatch: its columns and how many examples it has, of how many (if known)."""

    columns: Mapping[str, ColumnSpec]
    size: int
    examples: int | None = field(default=None, compare=False)

    def resized(self, size: int) -> BatchSpec:
        """The same columns with another number of examples."""
        return replace(self, size=size)


class Dataset:
    """Named columns of equal length.

    A column is anything NumPy reads as an array with one row for each example (a memory map stays
    one), or a Column. Lists of numbers become f32 and i64. Raises DataError if the lengths differ.
    """

    def __init__(self, /, **columns: Any) -> None:
        if not columns:
            raise DataError("a data set has at least one column: Dataset(x=..., label=...)")
        if wrong := [name for name in columns if not name.isidentifier()]:
            raise DataError(f"{wrong[0]!r} cannot name a column: take a word such as x or label")
        self._columns = {
            name: values if isinstance(values, Column) else column(values, name=name)
            for name, values in columns.items()
        }
        lengths = {name: len(c) for name, c in self._columns.items()}
        if len(set(lengths.values())) > 1:
            each = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise DataError(f"the columns do not have the same number of examples: {each}")

    @property
    def columns(self) -> dict[str, Column]:
        """The columns by name."""
        return dict(self._columns)

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def column(self, name: str) -> Array:
        """All examples of a column, as the model sees them."""
        if name not in self._columns:
            raise DataError(f"there is no column {name!r}; the data has {', '.join(self._columns)}")
        return self._columns[name][:]

    def batch(self, rows: Rows | slice) -> dict[str, Array]:
        """The examples in these rows, by column, as the model sees them."""
        at = self._rows(rows)
        if isinstance(at, slice):
            return {name: c[at] for name, c in self._columns.items()}
        return {name: c.take(at) for name, c in self._columns.items()}

    @overload
    def __getitem__(self, key: str) -> Array: ...
    @overload
    def __getitem__(self, key: int) -> dict[str, Array]: ...
    @overload
    def __getitem__(self, key: Rows | slice) -> Dataset: ...

    def __getitem__(self, key: Any) -> Any:
        """data["x"]: a column; data[3]: one example; data[2:8], data[rows]: the set of these rows.

        Values are as the model sees them; a data set of rows copies nothing.
        """
        if isinstance(key, str):
            return self.column(key)
        if isinstance(key, int | np.integer):
            row = range(len(self))[key]
            return {name: c[row] for name, c in self._columns.items()}
        at = self._rows(key)
        return Dataset(**{name: c.choose(at) for name, c in self._columns.items()})

    def spec(self, batch_size: int) -> BatchSpec:
        """The form of a minibatch of that many examples."""
        whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1:
            raise DataError(f"a minibatch has a whole number of examples, not {batch_size!r}")
        columns = {name: ColumnSpec(c.shape, c.dtype) for name, c in self._columns.items()}
        return BatchSpec(columns, int(batch_size), len(self))

    def batches(
        self,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = False,
    ) -> Iterator[dict[str, Array]]:
        """The minibatches of one pass over the data, in the order of (seed, epoch) if shuffled."""
        whole = Order(len(self), seed, epoch, shuffle)
        return (self.batch(rows) for rows in minibatches(whole, batch_size, drop_last))

    def split(self, *parts: float, seed: int = 0) -> tuple[Dataset, ...]:
        """Data sets drawn at random: `train, test = data.split(0.9)`, `data.split(50_000, 10_000)`.

        parts: fractions of the examples, or how many; the others, if there are any, make one more.
        """
        rows = order(len(self), seed, SPLITTING)
        ends = ends_of(parts, len(self))
        starts = [0, *ends[:-1]]
        return tuple(self[np.sort(rows[i:j])] for i, j in zip(starts, ends, strict=True))

    def folds(self, k: int, seed: int = 0) -> list[tuple[Dataset, Dataset]]:
        """k pairs (training, validation): each example is in one validation set, at random."""
        if isinstance(k, bool) or not isinstance(k, int) or not 2 <= k <= len(self):
            raise DataError(f"folds wants a number from 2 to the {len(self):,} examples, not {k!r}")
        rows = order(len(self), seed, SPLITTING)
        parts = [np.sort(part) for part in np.array_split(rows, k)]
        others = (np.sort(np.concatenate([*parts[:n], *parts[n + 1 :]])) for n in range(k))
        return [(self[rest], self[part]) for rest, part in zip(others, parts, strict=True)]

    def map(self, f: Function, *, workers: int = 0, batched: bool = False) -> Dataset:
        """The data after a function, which is called when examples are asked for.

        f: gets the columns that its parameters name, of one example, and returns a dict of columns:
        these replace or join the data's. A parameter `rng` gets random numbers that are a function
        of (seed, epoch, example). workers: threads that share a minibatch. batched: f gets a whole
        minibatch, the rows first. Raises DataError for columns that are not there, and for examples
        whose shapes differ.
        """
        return Dataset(**mapped(self, f, workers, batched))

    def filter(self, f: Callable[..., Any]) -> Dataset:
        """The examples for which f, of the columns that its parameters name, is true."""
        asked, _ = parameters(f, list(self._columns))
        kept = []
        for start in range(0, len(self), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(self)))
            given = {name: self._columns[name][rows] for name in asked}
            kept += [
                start + n
                for n in range(len(rows))
                if f(**{name: values[n] for name, values in given.items()})
            ]
        return self[np.array(kept, np.int64)]

    def weighted(self, weights: Any, size: int | None = None) -> Dataset:
        """Examples drawn with replacement, anew in each epoch: see `sampling.Weighted`."""
        from phistar.data.sampling import Weighted

        return Weighted(self, weights, size)

    def at(self, seed: int, epoch: int) -> Dataset:
        """The data as they are in an epoch of a training: with its random numbers, if any."""
        found: dict[int, Any] = {}
        columns = {}
        for name, c in self._columns.items():
            lazy = c.array.at(seed, epoch, found) if isinstance(c.array, Lazy) else c.array
            columns[name] = c if lazy is c.array else replace(c, array=lazy)
        return (
            Dataset(**columns) if any(columns[n] is not self._columns[n] for n in columns) else self
        )

    def __repr__(self) -> str:
        lines = [f"  {name}: {c!r}" for name, c in self._columns.items()]
        return "\n".join([f"Dataset of {len(self):,} examples", *lines])

    def _rows(self, rows: Rows | slice) -> Array | slice:
        """Rows that are there, or DataError."""
        if isinstance(rows, slice):
            return rows
        at = np.asarray(rows)
        if at.dtype == np.bool_ and at.shape == (len(self),):
            at = np.flatnonzero(at)
        if not at.size:
            at = at.astype(np.int64)
        if at.ndim != 1 or at.dtype.kind not in "iu":
            raise DataError(f"rows are a list of whole numbers or a slice, not {rows!r}")
        if at.size and not 0 <= at.min() <= at.max() < len(self):
            raise DataError(f"rows {at.min()} to {at.max()} do not fit {len(self)} examples")
        return at


def ends_of(parts: Sequence[float], examples: int) -> list[int]:
    """Where each part of a split ends, and where the rest does."""
    fractions = all(isinstance(part, float) and 0 < part < 1 for part in parts)
    counts = all(isinstance(part, int) and part > 0 for part in parts)
    if not parts or not (fractions or counts):
        raise DataError(
            "a split wants fractions, each a number between 0 and 1, or numbers of examples, "
            f"not {', '.join(map(repr, parts)) or 'nothing'}"
        )
    ends = [round(sum(parts[: k + 1]) * (examples if fractions else 1)) for k in range(len(parts))]
    if ends[-1] > examples:
        raise DataError(f"parts of {', '.join(map(str, parts))} exceed the {examples:,} examples")
    return ends if ends[-1] == examples else [*ends, examples]
