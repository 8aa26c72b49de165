"""Keras's files of weights: HDF5 (.h5), and a zip with one inside (.keras).

A data set is called by its path with dots: layers.dense.vars.0, model_weights.dense.dense.kernel.
HDF5 can point to other files, and say that it holds more than it has room for: both is refused.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from phistar.errors import WeightsError
from phistar.parameters.stored import (
    DEFLATED,
    Array,
    Damaged,
    Stored,
    as_read,
    checked_shape,
    numpy_type,
    unreadable,
)
from phistar.parameters.zips import Zip

WEIGHTS = "model.weights.h5"
MOST_OBJECTS = 1_000_000
LONGEST_NAME = 512
FILTERS = {"1", "2", "3", "32000"}  # deflate, shuffle, Fletcher's sum, LZF
TYPES = "biuf"

Opener = Callable[[], IO[bytes]]


def read_hdf5(path: Path) -> dict[str, Stored]:
    """The arrays of an HDF5 file by name; WeightsError if it is damaged, or h5py is not here."""
    return entries(path, lambda: path.open("rb"), path.stat().st_size)


def read_keras(path: Path) -> dict[str, Stored]:
    """The arrays of the HDF5 file inside a .keras file."""
    try:
        content = Zip(path).read(WEIGHTS)
    except Damaged as error:
        raise unreadable(path, "a file of Keras", error) from None
    return entries(path, lambda: io.BytesIO(content), len(content))


def entries(path: Path, opener: Opener, size: int) -> dict[str, Stored]:
    try:
        with opened(path, opener) as file:
            found: dict[str, Stored] = {}
            room = size
            for name, item in datasets(file):
                room -= item.id.get_storage_size()
                if room < 0:
                    raise Damaged("its data sets overlap")
                if (entry := stored(path, opener, name, item)) is not None:
                    put(found, plain(name), entry)
            return found
    except Damaged as error:
        raise unreadable(path, "a file of HDF5", error) from None


@contextmanager
def opened(path: Path, opener: Opener) -> Iterator[Any]:
    """The file by h5py; whatever a damaged one makes it raise becomes Damaged."""
    try:
        import h5py
    except ImportError:
        raise WeightsError(
            f"{path} is read by the package h5py, which is not here: pip install phistar[hdf5]"
        ) from None
    try:
        with opener() as raw, h5py.File(raw, "r") as file:
            yield file
    except (Damaged, WeightsError):
        raise
    except Exception as error:  # the library raises a dozen kinds for damaged files
        raise Damaged(str(error) or type(error).__name__) from None


def datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Every data set of a file with its path; Damaged if a link leads out, or to what was seen."""
    import h5py

    stack: list[tuple[str, Any]] = [("", file)]
    seen: set[Any] = set()
    while stack:
        path, item = stack.pop()
        if len(seen) > MOST_OBJECTS or len(path) > LONGEST_NAME:
            raise Damaged("it holds more than any weights")
        place = h5py.h5o.get_info(item.id).addr
        if place in seen:
            raise Damaged(f"{path.removeprefix('/')[:80]} has another name too")
        seen.add(place)
        if isinstance(item, h5py.Dataset):
            yield path.removeprefix("/"), item
        elif isinstance(item, h5py.Group):
            stack += [(f"{path}/{name}", linked(item, name)) for name in reversed(list(item))]


def linked(group: Any, name: str) -> Any:
    """What a name in a group stands for; Damaged if it is only a pointer."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise Damaged(f"{name[:80]} is a link to somewhere else")
    return group[name]


def plain(path: str) -> str:
    """layers/dense/kernel:0 -> layers.dense.kernel"""
    return path.replace("/", ".").removesuffix(":0")


def put(found: dict[str, Stored], name: str, entry: Stored) -> None:
    if name in found:
        raise Damaged(f"it holds {name} twice")
    found[name] = entry


def stored(path: Path, opener: Opener, name: str, item: Any) -> Stored | None:
    """A data set of numbers, to be read when it is asked for; None for words and the like."""
    if item.shape is None or (kind := type_of(item)) is None:
        return None
    file, memory = kind
    shape = checked_shape(item.shape, name)
    check_size(name, item, prod(shape) * file.itemsize)

    def read() -> Array:
        try:
            with opened(path, opener) as again:
                raw = np.asarray(again[name][()])
        except Damaged as error:
            raise unreadable(path, "a file of HDF5", error) from None
        if raw.shape != shape or raw.dtype != item_type:
            raise unreadable(path, "a file of HDF5", f"{name} has changed")
        return as_read(raw.view(file) if raw.dtype.kind == "V" else raw, memory)

    item_type = item.dtype
    return Stored(shape, memory, read)


def type_of(item: Any) -> tuple[np.dtype[Any], np.dtype[Any]] | None:
    """The type of a data set's elements in the file and in memory; None if they are no numbers."""
    dtype = item.dtype
    if dtype.kind in TYPES and dtype.names is None:
        return dtype, dtype.newbyteorder("=")
    if dtype == np.dtype("V2") and item.attrs.get("dtype") == "bfloat16":
        return numpy_type("bfloat16")
    return None


def check_size(name: str, item: Any, needed: int) -> None:
    """Damaged if a data set is in other files, or cannot have room for what it says in this one."""
    if item.external or item.is_virtual:
        raise Damaged(f"{name} is kept in another file")
    room = item.id.get_storage_size()
    if item.chunks is None:
        if needed > room:
            raise Damaged(f"{name} says that it is larger than it can be")
        return
    filters = item._filters
    if unknown := set(filters) - FILTERS - {"gzip", "shuffle", "fletcher32", "lzf"}:
        raise Damaged(f"{name} is packed in a way that is not read ({', '.join(unknown)})")
    most = room * (DEFLATED if filters else 1)
    if max(needed, prod(item.chunks) * item.dtype.itemsize) > most:
        raise Damaged(f"{name} says that it is larger than it can be")
