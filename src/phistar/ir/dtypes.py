"""The element types of tensors, and what meets what.

Integers with floats give the float type; two float types never mix; truth values stay apart. A
literal, a size or an index value has no type of its own: it is *weak*, an INT or a FLOAT, and takes
the type of what it meets.
"""

from enum import Enum
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from phistar.errors import BackendError, DTypeError


class DType(Enum):
    """An element type; its value is the name users write."""

    BOOL = "bool"
    U8 = "u8"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    F16 = "f16"
    BF16 = "bf16"
    F32 = "f32"
    F64 = "f64"

    @property
    def is_float(self) -> bool:
        return self in FLOATS

    @property
    def is_integer(self) -> bool:
        return self in INTEGERS

    @property
    def is_bool(self) -> bool:
        return self is DType.BOOL

    @property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy type; bf16 needs the package ml_dtypes (it comes with phistar[xla])."""
        return numpy_dtype(self)

    def __repr__(self) -> str:
        return self.value


FLOATS = frozenset({DType.F16, DType.BF16, DType.F32, DType.F64})
INTEGERS = frozenset({DType.U8, DType.I8, DType.I16, DType.I32, DType.I64})
DEFAULT_FLOAT = DType.F32
DEFAULT_INTEGER = DType.I64

# fmt: off
NUMPY_NAMES = {
    DType.BOOL: "bool",  DType.U8:  "uint8",   DType.I8:  "int8",    DType.I16: "int16",
    DType.I32:  "int32", DType.I64: "int64",   DType.F16: "float16", DType.F32: "float32",
    DType.F64:  "float64",
}
# fmt: on
FROM_NUMPY = {name: dtype for dtype, name in NUMPY_NAMES.items()} | {"bfloat16": DType.BF16}
INTEGER_ORDER = (DType.I8, DType.U8, DType.I16, DType.I32, DType.I64)


@cache
def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    if dtype is not DType.BF16:
        return np.dtype(NUMPY_NAMES[dtype])
    try:
        import ml_dtypes
    except ImportError:
        raise BackendError("type bf16 needs the package ml_dtypes: pip install ml_dtypes") from None
    half: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return half


def as_dtype(name: "str | DType | np.dtype[Any] | type") -> DType:
    """The DType a user means: "f32", DType.F32, numpy.float32 or "float32"; else DTypeError."""
    if isinstance(name, DType):
        return name
    if isinstance(name, str) and name in {d.value for d in DType}:
        return DType(name)
    try:
        return FROM_NUMPY[np.dtype(name).name]
    except (TypeError, KeyError):
        known = ", ".join(d.value for d in DType)
        raise DTypeError(f"there is no type {name!r}; the types are {known}") from None


class Weak(Enum):
    """The type of a number that has not met a tensor yet."""

    INT = "int"
    FLOAT = "float"

    @property
    def default(self) -> DType:
        return DEFAULT_INTEGER if self is Weak.INT else DEFAULT_FLOAT


AnyType: TypeAlias = DType | Weak


def join(a: AnyType, b: AnyType) -> AnyType:
    """The type of a number made from an a and a b, or DTypeError."""
    if isinstance(a, DType) and isinstance(b, DType):
        return join_strong(a, b)
    if isinstance(a, Weak) and isinstance(b, Weak):
        return Weak.FLOAT if Weak.FLOAT in (a, b) else Weak.INT
    strong, weak = (a, b) if isinstance(a, DType) else (b, a)
    assert isinstance(strong, DType)
    if strong.is_bool:
        return join_strong(strong, DEFAULT_FLOAT if weak is Weak.FLOAT else DEFAULT_INTEGER)
    return DEFAULT_FLOAT if weak is Weak.FLOAT and strong.is_integer else strong


def join_strong(a: DType, b: DType) -> DType:
    if a is b:
        return a
    if a.is_bool or b.is_bool:
        raise DTypeError(
            f"a truth value does not mix with {(b if a.is_bool else a).value}: "
            'use ph.where(condition, a, b) or ph.cast(condition, "f32")'
        )
    if a.is_float and b.is_float:
        raise DTypeError(
            f"{a.value} does not mix with {b.value}: "
            f'write ph.cast(..., "{a.value}") or ph.cast(..., "{b.value}")'
        )
    if a.is_float or b.is_float:
        return a if a.is_float else b
    if {a, b} == {DType.I8, DType.U8}:
        return DType.I16
    return max(a, b, key=INTEGER_ORDER.index)
