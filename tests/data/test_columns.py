"""What a column may hold, the type the model sees, and decoding a few rows at a time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.data.columns import column
from phistar.ir.dtypes import DType

BYTES = np.array([[0, 51], [102, 255]], np.uint8)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1.5, 2.0], DType.F32),
        ([[1.0], [2.0]], DType.F32),
        ([1, 2], DType.I64),
        ([True, False], DType.BOOL),
        (np.zeros(2), DType.F64),
        ([np.zeros(2), np.ones(2)], DType.F64),
        (np.zeros(2, np.float16), DType.F16),
        (np.zeros(2, np.uint8), DType.U8),
        (np.zeros(2, ">f4"), DType.F32),
    ],
)
def test_types(values: Any, dtype: DType) -> None:
    made = column(values)
    assert made.dtype is dtype
    assert made[:].dtype == dtype.numpy and made[:].dtype.isnative


def test_decoding() -> None:
    made = column(BYTES, divisor=255)
    assert (made.dtype, made.shape, len(made)) == (DType.F32, (2,), 2)
    assert made.array is BYTES
    assert_array_equal(made[[1, 0]], np.array([[0.4, 1.0], [0.0, 0.2]], np.float32))
    assert made[1].dtype == np.float32
    assert_array_equal(column(BYTES, "f64", divisor=255)[0], [0, 0.2])
    assert_array_equal(column(BYTES, "i64")[1], [102, 255])
    assert repr(made) == "2 x (2,)  f32 (stored as u8, divided by 255)"


def test_choosing_copies_nothing() -> None:
    made = column(np.arange(10))
    assert np.shares_memory(made.choose(slice(2, 8)).array, made.array)
    some = made.choose(np.array([7, 3, 5])).choose(slice(1, None))
    assert some.array is made.array
    assert len(some) == 2
    assert_array_equal(some[:], [3, 5])
    assert_array_equal(some[1], 5)


def test_a_memory_map_stays_one(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    made = column(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert isinstance(made.array, np.memmap)
    assert_array_equal(made[[2]], [[4.0, 5.0]])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b"], r"column 'x' holds text \(<U1\), but a model reads numbers"),
        ([{}, {}], r"column 'x' holds objects \(list\), but a model reads numbers"),
        (np.zeros(2, complex), "column 'x' holds complex128, but a model reads numbers"),
        (None, r"column 'x' holds objects \(NoneType\), but a model reads numbers"),
        (3.0, "column 'x' is a single number, 3.0; it needs a row for each example"),
        ([[1], [2, 3]], "the rows of column 'x' do not have one shape: "),
        (np.zeros(2, np.uint16), "'x' has the type uint16, which phistar does not have: .* int64"),
    ],
)
def test_what_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ph.DataError, match=message):
        column(values, name="x")


def test_decodings_that_are_refused() -> None:
    with pytest.raises(ph.DataError, match=r"a divisor is a number other than 0 .* it is 0 and"):
        column(BYTES, divisor=0)
    with pytest.raises(ph.DataError, match="gives floats, but it is 255 and the type is i64"):
        column(BYTES, "i64", divisor=255)
    with pytest.raises(ph.DataError, match="a column holds f64, which cannot be seen as i32"):
        column(np.zeros(2), "i32")
