"""Running a program on a backend and comparing it with the reference."""

from collections.abc import Callable

import numpy as np
from building import Case
from numpy.testing import assert_allclose, assert_array_equal

from phistar.backends import reference
from phistar.backends.contract import Compiled
from phistar.ir.program import Program

Compile = Callable[[Program], Compiled]
SEED, STEP = 2**40 + 5, 17
TOLERANCE = {np.dtype("f4"): 1e-5, np.dtype("f8"): 1e-12, np.dtype("f2"): 5e-3}


def assert_agrees(compile: Compile, case: Case) -> None:
    """Same names, shapes, types and numbers as the reference, twice; the inputs are untouched."""
    before = {name: array.copy() for name, array in case.values.items()}
    expected = reference.compile(case.program)(case.values, SEED, STEP)
    compiled = compile(case.program)
    for _ in range(2):
        results = compiled(case.values, SEED, STEP)
        assert results.keys() == expected.keys()
        for name, array in results.items():
            assert_same(array, expected[name])
    for name, array in before.items():
        assert_array_equal(case.values[name], array)


def assert_same(array: np.ndarray, expected: np.ndarray) -> None:
    assert isinstance(array, np.ndarray)
    assert array.dtype == expected.dtype
    assert array.shape == expected.shape
    tolerance = TOLERANCE.get(expected.dtype, 0)
    assert_allclose(array, expected, rtol=tolerance, atol=tolerance)
