"""Arrays that stand in a file: known by shape and type, read one at a time.

What a file declares is believed only as far as its own size allows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np

from phistar.errors import BackendError, WeightsError
from phistar.ir.dtypes import DType

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

AXES = 64  # as many as NumPy has
BITS_OF_AN_ADDRESS = 63
LONGEST_REASON = 300
DEFLATED = 1032  # deflate makes nothing smaller than this part of it


class Damaged(Exception):
    """A file does not hold what it says; the text says where."""


@dataclass(frozen=True)
class Stored:
    """An array in a file. read: its values, row-major; raises Damaged or WeightsError."""

    shape: Shape
    dtype: np.dtype[Any]
    read: Callable[[], Array]


Contents = Mapping[str, Stored]


def held(array: Array) -> Stored:
    """An array that is in memory already."""
    return Stored(array.shape, array.dtype, lambda: array)


def checked_shape(shape: object, what: str) -> Shape:
    """A shape as a file declares it; Damaged if it is none."""
    if not isinstance(shape, list | tuple) or len(shape) > AXES:
        raise Damaged(f"the shape of {what} is not one")
    if not all(type(n) is int and 0 <= n < 2**BITS_OF_AN_ADDRESS for n in shape):
        raise Damaged(f"the shape of {what} is not made of sizes")
    if prod(n for n in shape if n).bit_length() > BITS_OF_AN_ADDRESS - 8:
        raise Damaged(f"the shape of {what} is larger than any memory")
    return tuple(shape)


def numpy_type(name: str) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """A type in a file and in memory: brain floats are widened where NumPy does not have them.

    A truth value in a file is a byte, and any but 0 is true.
    """
    if name in ("bool", "|b1"):
        return np.dtype(np.uint8), np.dtype(bool)
    if name != "bfloat16":
        dtype = np.dtype(name)
        return dtype, dtype.newbyteorder("=")
    try:
        brain = DType.BF16.numpy
    except BackendError:
        return np.dtype("<u2"), np.dtype(np.float32)
    return brain, brain


def as_read(raw: Array, memory: np.dtype[Any]) -> Array:
    """Raw elements in the type they have in memory."""
    if raw.dtype == memory:
        return raw
    if raw.dtype == np.uint16 and memory == np.float32:  # a brain float: half of a float
        return (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(memory)


def read_exactly(file: IO[bytes], size: int) -> bytes:
    """The next bytes of a file, that many; Damaged if it ends before."""
    data = file.read(size)
    if len(data) != size:
        raise Damaged("the file ends early")
    return data


def unreadable(path: object, kind: str, reason: object) -> WeightsError:
    """The error for a damaged file. A library's reason may hold half of the file."""
    said = str(reason)
    said = said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]}..."
    return WeightsError(f"{path} is not {kind}, or damaged: {said}")
