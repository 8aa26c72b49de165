"""Data sets out of files of numbers: .npy and .npz, idx, CSV, HDF5, Parquet.

.npy, HDF5 and Parquet stay on the disk and are read a minibatch at a time; the others are read
whole. A damaged file is a DataError that names it; nothing is ever unpickled.
"""

import csv as csv_format
import io
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.columns import Array, column
from phistar.data.dataset import Dataset
from phistar.data.idx import read_idx
from phistar.data.lazy import Lazy
from phistar.data.needs import damage, existing, need
from phistar.errors import DataError

DEFLATE = 1100  # no packed byte becomes more than so many
GROUPS = 4  # row groups of a Parquet file that are kept
LARGEST = float(np.finfo(np.float32).max)  # that an f32 holds


def npy(**paths: Any) -> Dataset:
    """A column of each .npy file: `npy(x="images.npy", label="labels.npy")`; they stay on disk.

    Raises DataError for a file that is damaged or holds no numbers.
    """
    return Dataset(**{name: column(mapped(existing(p)), name=name) for name, p in paths.items()})


def mapped(path: Path) -> Array:
    """A memory map of the array in a .npy file."""
    with damage(path, ".npy"):
        found = np.lib.format.open_memmap(path, mode="r")
        return np.asanyarray(found)


def npz(path: Any) -> Dataset:
    """The arrays of a .npz file, each a column. Raises DataError for a damaged file."""
    path = existing(path)
    with damage(path, ".npz"), zipfile.ZipFile(path) as archive:
        found = {info.filename: unpacked(archive, info) for info in archive.infolist()}
    return Dataset(**{named(name.removesuffix(".npy")): array for name, array in found.items()})


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """One array: its header must fit the bytes that are there before any memory is taken."""
    if info.file_size > DEFLATE * info.compress_size + DEFLATE:
        raise ValueError(f"{info.filename} says that it unpacks to {info.file_size:,} bytes")
    return parse_npy(archive.read(info), info.filename)


def parse_npy(content: bytes, name: str) -> Array:
    """The array in the content of a .npy file; ValueError if it does not fit its header."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has the format {version}")
    shape, fortran, dtype = getattr(np.lib.format, f"read_array_header_{version[0]}_0")(file)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or min(shape, default=0) < 0 or len(content) - file.tell() != size:
        raise ValueError(f"{name} does not hold the shape {shape} of type {dtype}")
    found = np.frombuffer(content, dtype, math.prod(shape), file.tell())
    return found.reshape(shape, order="F" if fortran else "C")


def idx(**paths: Any) -> Dataset:
    """A column of each idx file of bytes, gzipped or not: `idx(x="images", label="labels")`."""
    return Dataset(**{name: read_idx(existing(path), None) for name, path in paths.items()})


def csv(
    path: Any,
    columns: Mapping[str, str | list[str]] | None = None,
    *,
    classes: tuple[str, ...] = (),
    separator: str = ",",
) -> Dataset:
    """A table whose first line names its columns: whole numbers are i64, others f32.

    columns: what to take, new names to old ones; a list of old names makes one column of vectors.
    classes: columns of text, whose values are numbered from 0 in the order of the alphabet.
    Raises DataError for what is no number, naming the line.
    """
    table = numbered(table_of(existing(path), separator), set(classes), str(path))
    if columns is None:
        return Dataset(**{named(name): values for name, values in table.items()})
    return Dataset(**{name: taken(table, old) for name, old in columns.items()})


def taken(table: dict[str, Array], old: str | list[str]) -> Array:
    names = [old] if isinstance(old, str) else old
    if missing := [name for name in names if name not in table]:
        raise DataError(f"there is no column {missing[0]!r}; the table has {', '.join(table)}")
    return table[names[0]] if isinstance(old, str) else np.stack([table[n] for n in names], 1)


def table_of(path: Path, separator: str) -> dict[str, list[str]]:
    """The text of each column."""
    lines = lines_of(path, separator)
    head = [name.strip() for name in next(lines, [])]
    if not head or len(set(head)) < len(head):
        raise DataError(f"{path}: the first line names the columns, each once, but it is {head}")
    table: list[list[str]] = [[] for _ in head]
    for number, line in enumerate(lines, 2):
        if line and len(line) != len(head):
            raise DataError(
                f"{path}, row {number} has {len(line)} values, but there are {len(head)} columns"
            )
        for values, value in zip(table, line, strict=False):
            values.append(value.strip())
    return dict(zip(head, table, strict=True))


def lines_of(path: Path, separator: str) -> Iterator[list[str]]:
    with damage(path, "CSV"), path.open(newline="", encoding="utf-8-sig") as file:
        yield from csv_format.reader(file, delimiter=separator)


def numbered(table: dict[str, list[str]], classes: set[str], path: str) -> dict[str, Array]:
    if unknown := classes - set(table):
        raise DataError(f"{path} has no column {min(unknown)!r}, but {', '.join(table)}")
    return {
        name: classes_of(values) if name in classes else numbers_of(values, f"{path}: {name!r}")
        for name, values in table.items()
    }


def classes_of(values: list[str]) -> Array:
    number = {value: n for n, value in enumerate(sorted(set(values)))}
    return np.array([number[value] for value in values], np.int64)


def numbers_of(values: list[str], what: str) -> Array:
    """Whole numbers if all are, else f32; an empty field is not a number."""
    try:
        return np.array([int(value) for value in values], np.int64)
    except (ValueError, OverflowError):
        pass
    found = np.empty(len(values), np.float32)
    for n, value in enumerate(values):
        try:
            number = float(value) if value else math.nan
        except ValueError:
            raise DataError(
                f"{what} has {value[:40]!r} in row {n + 2}, no number; classes=(...) numbers text"
            ) from None
        if LARGEST < abs(number) < math.inf:
            raise DataError(f"{what} has {value[:40]} in row {n + 2}, more than f32 can hold")
        found[n] = number
    return found


def named(name: str) -> str:
    """A word that can name a column: sepal length (cm) -> sepal_length_cm."""
    word = re.sub(r"\W+", "_", name).strip("_")
    return word if word.isidentifier() else f"column_{word}"


class OnDisk(Lazy):
    """Rows of an HDF5 data set."""

    def __init__(self, source: Any) -> None:
        self.source, self.shape, self.dtype = source, source.shape, np.dtype(source.dtype)

    def read(self, rows: Array) -> Array:
        sorted_rows, back = np.unique(rows, return_inverse=True)
        found: Array = np.asarray(self.source[sorted_rows])[back.reshape(-1)]
        return found


def hdf5(path: Any, columns: Mapping[str, str] | None = None) -> Dataset:
    """The data sets at the top of an HDF5 file, or those that `columns` names: new name to path.

    Rows are read from the disk when they are asked for. Needs phistar[hdf5].
    """
    h5py = need("h5py", "hdf5")
    path = existing(path)
    with damage(path, "HDF5"):
        file = h5py.File(path, "r")
        names = columns or {named(k): k for k, v in file.items() if isinstance(v, h5py.Dataset)}
        for old in names.values():
            if not isinstance(file.get(old), h5py.Dataset):
                raise DataError(f"{path} has no data set {old!r}, but {', '.join(file)}")
        return Dataset(**{name: column(OnDisk(file[old])) for name, old in names.items()})


class RowGroups(Lazy):
    """One column of a Parquet file: a few groups of rows are in memory at a time."""

    def __init__(self, file: Any, name: str, path: Path) -> None:
        self.file, self.name, self.path = file, name, path
        counts = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        self.starts = np.cumsum([0, *counts])
        self.kept: dict[int, Array] = {}
        first = self.group(0) if counts else np.empty(0, np.float32)
        self.shape = (int(self.starts[-1]), *first.shape[1:])
        self.dtype = first.dtype

    def group(self, number: int) -> Array:
        kept = self.kept.get(number)
        if kept is None:
            with damage(self.path, "Parquet"):
                table = self.file.read_row_group(number, columns=[self.name])
                kept = array_of(table.column(0))
            while len(self.kept) >= GROUPS:
                self.kept.pop(next(iter(self.kept), -1), None)
            self.kept[number] = kept
        return kept

    def read(self, rows: Array) -> Array:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for n in np.unique(which):
            here = which == n
            out[here] = self.group(int(n))[rows[here] - self.starts[n]]
        return out


def array_of(values: Any) -> Array:
    """A column of numbers, or of lists that are all equally long."""
    if str(values.type).startswith(("list", "large_list", "fixed_size_list")):
        return np.array(values.to_pylist())
    found: Array = values.to_numpy()
    return found


def parquet(path: Any, columns: Mapping[str, str] | None = None) -> Dataset:
    """The columns of a Parquet file, or those that `columns` names: new name to old.

    Groups of rows are read when they are asked for. Needs phistar[data].
    """
    formats = need("pyarrow.parquet", "data")
    path = existing(path)
    with damage(path, "Parquet"):
        file = formats.ParquetFile(path, memory_map=True)
        there = list(file.schema_arrow.names)
    names = columns or {named(name): name for name in there}
    if missing := [old for old in names.values() if old not in there]:
        raise DataError(f"{path} has no column {missing[0]!r}, but {', '.join(there)}")
    return Dataset(**{n: column(RowGroups(file, o, path), name=n) for n, o in names.items()})
