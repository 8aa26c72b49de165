"""One column of a data set: numbers as they are stored, and how the model sees them.

    seen[row] = cast(stored[row], dtype) / divisor

Rows are decoded when they are asked for, a minibatch at a time, so that a set of images stays a set
of bytes in memory, and a memory map stays on disk.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phistar.data.lazy import Lazy
from phistar.errors import DataError
from phistar.ir.dtypes import DType, as_dtype

Array = np.ndarray[Any, Any]
TEXT_KINDS = "USTm"


@dataclass(frozen=True, eq=False)
class Column:
    """Stored numbers, one row an example, and what the model sees of them.

    array: as stored, or Lazy, read when asked for. dtype: the type the model sees. divisor: what
    stored numbers are divided by. rows: which rows of the array these are, in this order; None
    means all.
    """

    array: Array | Lazy
    dtype: DType
    divisor: float | None = None
    rows: Array | None = None

    def __len__(self) -> int:
        return len(self.array) if self.rows is None else len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.array.shape[1:])

    def __getitem__(self, rows: Any) -> Array:
        """Rows as the model sees them."""
        array = self.array  # rows of a memory map are quicker if it is seen as a plain array
        array = np.asarray(array) if isinstance(array, np.memmap) else array
        return self.seen(array[rows if self.rows is None else self.rows[rows]])

    def take(self, rows: Array) -> Array:
        """As column[rows], for a list of whole numbers that are known to be rows; faster."""
        at = rows if self.rows is None else self.rows[rows]
        if isinstance(self.array, Lazy):
            return self.seen(self.array[at])
        return self.seen(np.asarray(self.array).take(at, axis=0, mode="clip"))

    def seen(self, stored: Array) -> Array:
        """Stored numbers as the model sees them."""
        if self.divisor is None:
            return np.asarray(stored, self.dtype.numpy)
        return np.asarray(np.divide(stored, self.divisor, dtype=self.dtype.numpy))

    def choose(self, rows: Any) -> "Column":
        """The column of these rows (a slice, or whole numbers); nothing is copied."""
        if self.rows is not None:
            return replace(self, rows=self.rows[rows])
        if isinstance(rows, slice) and isinstance(self.array, np.ndarray):
            return replace(self, array=self.array[rows])
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)), dtype=np.int64)
        return replace(self, rows=np.asarray(rows))

    def __repr__(self) -> str:
        return f"{len(self):,} x {self.shape}  {described(self)}"


def described(column: Column) -> str:
    """The type, and how it is stored if that differs: f32 (stored as u8, divided by 255)."""
    stored, seen = as_dtype(column.array.dtype), column.dtype
    notes = [] if stored is seen else [f"stored as {stored.value}"]
    notes += [] if column.divisor is None else [f"divided by {column.divisor:g}"]
    return seen.value + (f" ({', '.join(notes)})" if notes else "")


def column(
    values: Any,
    dtype: str | DType | None = None,
    *,
    divisor: float | None = None,
    name: str = "",
) -> Column:
    """A column from anything NumPy understands, arrays, memory maps, lists, or from Lazy rows.

    dtype: the type the model sees; else that of the array, f32 for Python floats and i64 for Python
    integers. divisor: what stored numbers are divided by when the model reads them; bytes with
    divisor=255 are f32 from 0 to 1. Raises DataError for what is no numbers or has no rows.
    """
    what = f"column {name!r}" if name else "a column"
    array = values if isinstance(values, Lazy) else numbers(values, what)
    stored = as_dtype(array.dtype)
    seen = (DType.F32 if divisor else stored) if dtype is None else as_dtype(dtype)
    if divisor is not None and not (divisor and seen.is_float):
        raise DataError(
            f"{what}: a divisor is a number other than 0 and gives floats, "
            f"but it is {divisor!r} and the type is {seen.value}"
        )
    if stored.is_float and not seen.is_float:
        raise DataError(f"{what} holds {stored.value}, which cannot be seen as {seen.value}")
    return Column(array, seen, divisor)


def numbers(values: Any, what: str) -> Array:
    """The values as an array of a type phistar has."""
    try:
        array: Array = np.asanyarray(values)
    except ValueError as error:
        raise DataError(f"the rows of {what} do not have one shape: {error}") from None
    if array.dtype.kind in TEXT_KINDS:
        raise DataError(f"{what} holds text ({array.dtype}), but a model reads numbers")
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise DataError(f"{what} holds {kind_of(array, values)}, but a model reads numbers")
    if array.ndim == 0:
        raise DataError(f"{what} is a single number, {array}; it needs a row for each example")
    if array.dtype.name in ("uint16", "uint32", "uint64", "longdouble", "float128"):
        raise DataError(
            f"{what} has the type {array.dtype}, which phistar does not have: "
            f"store it as {'float64' if array.dtype.kind == 'f' else 'int64'}"
        )
    if array.dtype.kind == "f" and is_python_float(values):
        array = array.astype(np.float32)
    return array


def kind_of(array: Array, values: Any) -> str:
    """How a message names what is no numbers."""
    return str(array.dtype) if array.dtype.kind != "O" else f"objects ({type(values).__name__})"


def is_python_float(values: Any) -> bool:
    """True if these are plain Python numbers, which have no NumPy type of their own."""
    while isinstance(values, list | tuple) and len(values):
        values = values[0]
    return not hasattr(values, "dtype")
