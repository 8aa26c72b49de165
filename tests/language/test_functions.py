"""The functions users call: what their types make of numbers."""

import numpy as np
from numpy.testing import assert_array_equal

import phistar as ph


def test_cast_of_numbers_is_as_exact_as_its_type() -> None:
    x = ph.tensor(np.float64(2.0), name="x")
    assert_array_equal(ph.cast(ph.where(x > 1, 0.1, 0.7), "f64").value, np.float64(0.1))
    assert_array_equal(ph.cast(ph.where(x > 1, 0.1, 0.7), "f32").value, np.float32(0.1))
    assert_array_equal(ph.cast(ph.where(x > 1, 7, 3), "f64").value, np.float64(7))
    assert_array_equal(ph.cast(ph.where(x > 1, 2.9, 3.1), "i32").value, np.int32(2))
