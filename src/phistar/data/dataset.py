"""A data set: named columns of equal length, one row for each example.

Dataset(x=images, label=labels)      columns are stored as they come, and decoded batch by batch
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from phistar.data.columns import Array, Column, column
from phistar.data.order import order
from phistar.errors import DataError
from phistar.ir.dtypes import DType

Rows = Array | Sequence[int]

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
        return {name: c[at] for name, c in self._columns.items()}

    def __getitem__(self, rows: Rows | slice) -> Dataset:
        """The data set of these rows; nothing is copied."""
        at = self._rows(rows)
        return Dataset(**{name: c.choose(at) for name, c in self._columns.items()})

    def spec(self, batch_size: int) -> BatchSpec:
        """The form of a minibatch of that many examples."""
        whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1:
            raise DataError(f"a minibatch has a whole number of examples, not {batch_size!r}")
        columns = {name: ColumnSpec(c.shape, c.dtype) for name, c in self._columns.items()}
        return BatchSpec(columns, int(batch_size), len(self))

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Two data sets drawn at random: that fraction of the examples, and the others."""
        if not 0 < fraction < 1:
            raise DataError(f"a split wants a fraction between 0 and 1, not {fraction!r}")
        rows = order(len(self), seed, SPLITTING)
        first = round(fraction * len(self))
        return self[np.sort(rows[:first])], self[np.sort(rows[first:])]

    def __repr__(self) -> str:
        lines = [f"  {name}: {c!r}" for name, c in self._columns.items()]
        return "\n".join([f"Dataset of {len(self):,} examples", *lines])

    def _rows(self, rows: Rows | slice) -> Array | slice:
        """Rows that are there, or DataError."""
        if isinstance(rows, slice):
            return rows
        at = np.asarray(rows)
        if not at.size:
            at = at.astype(np.int64)
        if at.ndim != 1 or at.dtype.kind not in "iu":
            raise DataError(f"rows are a list of whole numbers or a slice, not {rows!r}")
        if at.size and not 0 <= at.min() <= at.max() < len(self):
            raise DataError(f"rows {at.min()} to {at.max()} do not fit {len(self)} examples")
        return at
