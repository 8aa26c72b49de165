"""NumPy's files: .npy, a header and the elements of one array; .npz, a zip of such. No objects.

magic, version, length of the header, {'descr': '<f4', 'fortran_order': False, 'shape': (2,)}
"""

import io
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from phistar.parameters.stored import (
    Array,
    Damaged,
    Stored,
    checked_shape,
    read_exactly,
    unreadable,
)
from phistar.parameters.zips import Zip, damage_named

SUFFIX = ".npy"
LONGEST_HEADER = 10_000
READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
WIDTHS = {(1, 0): 2, (2, 0): 4}  # of the length of the header, in bytes


def read_npy(path: Path) -> dict[str, Stored]:
    """The one array of a .npy file, called as the file is."""
    try:
        with path.open("rb") as file:
            shape, dtype, _ = header(file, path.stat().st_size)
    except Damaged as error:
        raise unreadable(path, "a file of NumPy", error) from None
    return {path.stem: Stored(shape, dtype.newbyteorder("="), partial(from_npy, path))}


def from_npy(path: Path) -> Array:
    with path.open("rb") as file:
        return array_in(file, path.stat().st_size)


def read_npz(path: Path) -> dict[str, Stored]:
    """The arrays of a .npz file by name."""
    try:
        archive = Zip(path)
        members = [name for name in archive.names() if name.endswith(SUFFIX)]
        return {name.removesuffix(SUFFIX): member(archive, name) for name in members}
    except Damaged as error:
        raise unreadable(path, "a file of NumPy", error) from None


def member(archive: Zip, name: str) -> Stored:
    """An array in a member of an archive."""
    with archive.open(name) as file:
        shape, dtype, _ = header(file, archive.members[name].file_size)
    return Stored(shape, dtype.newbyteorder("="), partial(from_npz, archive, name))


def from_npz(archive: Zip, name: str) -> Array:
    with archive.open(name) as file:
        return array_in(file, archive.members[name].file_size)


def header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    """Shape, type and whether columns come first; Damaged unless the rest is as long as these."""
    with damage_named():
        version = npy.read_magic(file)
        if version not in READERS:
            raise Damaged("its version is not known")
        length = read_exactly(file, WIDTHS[version])
        if (count := int.from_bytes(length, "little")) > LONGEST_HEADER:
            raise Damaged(f"its header is longer than any is ({count:,} bytes)")
        text = io.BytesIO(length + read_exactly(file, count))
        shape, fortran, dtype = READERS[version](text, max_header_size=LONGEST_HEADER)
    if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biufc":
        raise Damaged(f"it holds {dtype}, not numbers")
    shape = checked_shape(shape, "an array")
    if prod(shape) * dtype.itemsize != size - file.tell():
        raise Damaged("an array has other bytes than it needs")
    return shape, dtype, fortran


def array_in(file: IO[bytes], size: int) -> Array:
    """The array of an open file."""
    shape, dtype, fortran = header(file, size)
    data = read_exactly(file, prod(shape) * dtype.itemsize)
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)
