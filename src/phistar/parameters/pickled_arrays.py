"""NumPy's arrays inside a pickle: a type, a shape, and exactly as many bytes as these need."""

import re
from math import prod
from typing import Any

import numpy as np

from phistar.parameters.pickles import OPAQUE, Buildable, Function
from phistar.parameters.stored import Array, Damaged, checked_shape

NUMBERS = re.compile(r"[<>|=]?([biu][1248]|f[248]|c8|c16|b1|\?)")


class PickledType(Buildable):
    """numpy.dtype("f4", ...); its state says which byte is first."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not NUMBERS.fullmatch(name):
            raise Damaged("an array does not hold numbers")
        self.dtype = np.dtype(name)

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Damaged("an array's type is not one")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray(Buildable):
    """numpy.ndarray, empty until its state says what is in it."""

    def __init__(self, *_: Any) -> None:
        self.array: Array | None = None

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise Damaged("an array's state is not one")
        _, shape, kind, fortran, data = state
        self.array = array_of(data, kind, shape, "F" if fortran is True else "C")

    def finished(self) -> Array:
        if self.array is None:
            raise Damaged("an array has no values")
        return self.array


def from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    """numpy._core.numeric._frombuffer"""
    made = PickledArray()
    made.array = array_of(data, kind, shape, "F" if order == "F" else "C")
    return made


def array_of(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    shape = checked_shape(shape, "an array")
    raw = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(kind, PickledType) or not isinstance(raw, bytes | bytearray):
        raise Damaged("an array does not hold numbers")
    if prod(shape) * kind.dtype.itemsize != len(raw):
        raise Damaged("an array has other bytes than it needs")
    array = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)
    return array.astype(kind.dtype.newbyteorder("="), copy=False)


def encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """_codecs.encode: how old pickles hold bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Damaged("its pickle encodes what are no bytes")
    return text.encode("latin-1")


# fmt: off
NUMPY_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"):                             OPAQUE,
    ("numpy", "dtype"):                               Function(PickledType),
    ("numpy.core.multiarray", "_reconstruct"):        Function(PickledArray),
    ("numpy._core.multiarray", "_reconstruct"):       Function(PickledArray),
    ("numpy.core.numeric", "_frombuffer"):            Function(from_buffer),
    ("numpy._core.numeric", "_frombuffer"):           Function(from_buffer),
    ("numpy.core.multiarray", "scalar"):              Function(lambda *_: OPAQUE),
    ("numpy._core.multiarray", "scalar"):             Function(lambda *_: OPAQUE),
    ("_codecs", "encode"):                            Function(encoded),
}
# fmt: on
