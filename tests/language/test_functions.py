"""The functions users call: what their types make of numbers."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph

x = ph.tensor(np.float64(2.0), name="x")


@pytest.mark.parametrize(
    ("chosen", "dtype", "number"),
    [
        (ph.where(x > 1, 0.1, 0.7), "f64", np.float64(0.1)),
        (ph.where(x > 1, 0.1, 0.7), "f32", np.float32(0.1)),
        (ph.where(x > 1, 7, 3), "f64", np.float64(7)),
        (ph.where(x > 1, 2.9, 3.1), "i32", np.int32(2)),
    ],
)
def test_cast_of_numbers_is_as_exact_as_its_type(chosen: Any, dtype: str, number: Any) -> None:
    y = ph.tensors("y")
    y[()] = ph.cast(chosen, dtype)
    assert_array_equal(y.value, number)
    assert y.value.dtype == number.dtype
