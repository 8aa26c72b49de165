"""Rows that are read when they are asked for: an array's shape and type without the array.

A column may hold one in place of an array: a file that is larger than memory, pictures in a folder,
what a function makes of other rows. Only `read` is to be written.
"""

import threading
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from phistar.errors import DataError

Array = np.ndarray[Any, Any]


class Lazy(ABC):
    """Rows of one shape and type. shape: of all of them, the number of rows first."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def read(self, rows: Array) -> Array:
        """These rows, whole numbers from 0 on in any order, some maybe twice: an array of them."""

    def at(self, seed: int, epoch: int, found: dict[int, Any]) -> "Lazy":
        """The rows as they are in an epoch, if that makes a difference."""
        return self

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """One row, a slice of rows, or rows by a list of whole numbers."""
        if isinstance(key, slice):
            return self.checked(np.arange(*key.indices(len(self)), dtype=np.int64))
        if isinstance(key, int | np.integer):
            one: Array = self.checked(np.array([range(len(self))[key]], np.int64))[0]
            return one
        rows = np.asarray(key)
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        return self.checked(rows.astype(np.int64, copy=False))

    def checked(self, rows: Array) -> Array:
        """What was read has the form that was promised, or DataError."""
        if not rows.size:
            return np.empty((0, *self.shape[1:]), self.dtype)
        found = self.read(rows)
        wanted = (len(rows), *self.shape[1:])
        if found.shape != wanted or found.dtype != self.dtype:
            raise DataError(
                f"{self!r} gave rows of shape {found.shape[1:]} and type {found.dtype}, "
                f"not {self.shape[1:]} and {self.dtype}"
            )
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self):,} rows"


class Reader(ABC):
    """Several columns that are read together: pictures with their labels, what a function makes.

    Columns ask for the same rows one after another: the last answer is kept.
    """

    def __init__(self) -> None:
        self.here = threading.local()  # each thread has minibatches of its own

    def at(self, seed: int, epoch: int, found: dict[int, Any]) -> "Reader":
        return self

    @abstractmethod
    def read_all(self, rows: Array) -> dict[str, Array]:
        """All columns of these rows."""

    def recall(self, rows: Array) -> dict[str, Array]:
        """As `read_all`, or what it gave the last time, if that was for the same rows."""
        key = rows.tobytes()
        last: tuple[bytes, dict[str, Array]] | None = getattr(self.here, "last", None)
        if last is None or last[0] != key:
            last = self.here.last = (key, self.read_all(rows))
        return last[1]


class Part(Lazy):
    """One column of a reader."""

    def __init__(
        self, reader: Reader, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.reader, self.name, self.shape, self.dtype = reader, name, shape, np.dtype(dtype)

    def at(self, seed: int, epoch: int, found: dict[int, Any]) -> Lazy:
        reader = self.reader.at(seed, epoch, found)
        return self if reader is self.reader else Part(reader, self.name, self.shape, self.dtype)

    def read(self, rows: Array) -> Array:
        return self.reader.recall(rows)[self.name]

    def __repr__(self) -> str:
        return f"column {self.name!r} of {type(self.reader).__name__}"
