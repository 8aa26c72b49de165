"""The narrow erf agrees with the wide one."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from phistar.backends import special
from phistar.backends.arrays.erf import erf


def test_narrow() -> None:
    x = np.linspace(-6, 6, 10001).astype(np.float32)
    assert erf(x).dtype == np.float32
    assert_allclose(erf(x), special.erf(x.astype(np.float64)), rtol=4e-7, atol=0)


def test_special_numbers() -> None:
    x = np.array([0.0, np.inf, -np.inf, np.nan], np.float32)
    assert_allclose(erf(x), [0, 1, -1, np.nan], rtol=4e-7)


def test_other_types_are_the_wide_one() -> None:
    x = np.linspace(-2, 2, 5)
    assert_array_equal(erf(x), special.erf(x))
