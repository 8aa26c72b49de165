"""erf and erfc for NumPy, to a few units in the last place of float64.

W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969): three
ranges of |x|, split at 0.46875 and 4. Narrower types are computed in float64 and rounded once.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# fmt: off
A = (3.16112374387056560e00, 1.13864154151050156e02, 3.77485237685302021e02,
     3.20937758913846947e03, 1.85777706184603153e-1)
B = (2.36012909523441209e01, 2.44024637934444173e02, 1.28261652607737228e03,
     2.84423683343917062e03)
C = (5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e01,
     2.98635138197400131e02, 8.81952221241769090e02, 1.71204761263407058e03,
     2.05107837782607147e03, 1.23033935479799725e03, 2.15311535474403846e-8)
D = (1.57449261107098347e01, 1.17693950891312499e02, 5.37181101862009858e02,
     1.62138957456669019e03, 3.29079923573345963e03, 4.36261909014324716e03,
     3.43936767414372164e03, 1.23033935480374942e03)
P = (3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4, 1.63153871373020978e-2)
Q = (2.56852019228982242e00, 1.87295284992346725e00, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3)
# fmt: on
SMALL, LARGE = 0.46875, 4.0
ONE_OVER_ROOT_PI = 0.56418958354775628695


def erf(x: Array) -> Array:
    """2/√π times the integral of exp(-t²) from 0 to x; of x's type."""
    wide = np.asarray(x, np.float64)
    y = np.abs(wide)
    tail = np.copysign(1.0 - upper(y), wide)
    return np.where(y <= SMALL, near_zero(wide, y), tail).astype(np.asarray(x).dtype)[()]


def erfc(x: Array) -> Array:
    """1 - erf(x), exact for large x too; of x's type."""
    wide = np.asarray(x, np.float64)
    y = np.abs(wide)
    tail = upper(y)
    value = np.where(y <= SMALL, 1.0 - near_zero(wide, y), np.where(wide < 0, 2.0 - tail, tail))
    return value.astype(np.asarray(x).dtype)[()]


def near_zero(x: Array, y: Array) -> Array:
    """erf(x) for |x| <= 0.46875."""
    square = np.where(y > SMALL, 0.0, y * y)
    top, bottom = A[4] * square, square
    for a, b in zip(A[:3], B[:3], strict=True):
        top, bottom = (top + a) * square, (bottom + b) * square
    return x * (top + A[3]) / (bottom + B[3])


def upper(y: Array) -> Array:
    """erfc(y) for y > 0.46875; NaN stays NaN."""
    with np.errstate(all="ignore"):
        return np.where(y <= LARGE, middle(y), far(y)) * gaussian(y)


def middle(y: Array) -> Array:
    top, bottom = C[8] * y, y
    for c, d in zip(C[:7], D[:7], strict=True):
        top, bottom = (top + c) * y, (bottom + d) * y
    return (top + C[7]) / (bottom + D[7])


def far(y: Array) -> Array:
    square = 1.0 / (y * y)
    top, bottom = P[5] * square, square
    for p, q in zip(P[:4], Q[:4], strict=True):
        top, bottom = (top + p) * square, (bottom + q) * square
    return (ONE_OVER_ROOT_PI - square * (top + P[4]) / (bottom + Q[4])) / y


def gaussian(y: Array) -> Array:
    """exp(-y²), with y² split so that no digits are lost; 0 from where it underflows."""
    y = np.minimum(y, 30.0)
    head = np.trunc(y * 16.0) / 16.0
    return np.exp(-head * head) * np.exp(-(y - head) * (y + head))
