"""A tensor and a loop variable of one name are two things in C."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar.backends.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
b, n, j = ph.indices("b n j")


def f(x: Any, y: Any) -> Any:
    """The tensor n is made inside the program, after loops over n."""
    s, z, m = ph.tensors("s n m")
    s[n, j] = ph.tanh(x[n, j])
    z[n, j] = s[n, j] * y[j]
    m[j] = ph.sum[n](z[n, j] ** 2)
    return ph.sum[j](m[j])


def test_a_tensor_named_as_an_index() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 30)), rng.normal(size=30)
    for backend in ("numpy", "c"):
        value, (dx, _) = ph.value_and_grad(f, backend=backend)(x, y)
        assert_allclose(value, ((np.tanh(x) * y) ** 2).sum(), rtol=1e-12)
        assert dx.shape == x.shape
