"""erf for NumPy: in f32 a quotient of two polynomials, many times faster than the wide one.

The coefficients are those of Eigen (generic_fast_erf); the error is below 4e-7 everywhere.
"""

from typing import Any

import numpy as np

from phistar.backends import special
from phistar.backends.arrays.labelled import Array

# fmt: off
TOP = tuple(np.float32(a) for a in (
    -2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
    -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02))
BOTTOM = tuple(np.float32(b) for b in (
    -1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
    -1.42647390514189e-02))
# fmt: on
FAR = np.float32(4)  # erf is 1 from here


def erf(x: Array) -> Array:
    """2/√π times the integral of exp(-t²) from 0 to x; of x's type."""
    if x.dtype != np.float32:
        return special.erf(x)
    x = np.minimum(np.maximum(x, -FAR), FAR)
    square = x * x
    top, bottom = polynomial(TOP, square), polynomial(BOTTOM, square)
    top *= x
    top /= bottom
    return top


def polynomial(coefficients: tuple[Any, ...], x: Array) -> Array:
    first, *middle, last = coefficients
    total = first * x
    for coefficient in middle:
        total += coefficient
        total *= x
    total += last
    return total
