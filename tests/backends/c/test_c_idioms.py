"""Expressions that the run time computes at once give the same numbers."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate
from phistar.backends.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
b = ph.index("b")


def total(x: Any) -> Any:
    return ph.sum[b](ph.gelu(x[b]))


def other(x: Any, y: Any) -> Any:
    """As the partial of gelu, but of two different numbers."""
    c = 0.5 * (1 + ph.erf(x[b] * 0.7071067811865476))
    return ph.sum[b](c + y[b] * (0.3989422804014327 * ph.exp(-0.5 * ph.square(y[b]))))


def source(f: Any, *args: Any) -> str:
    return generate(compiler.lower(f.program(*args).source)).source


@pytest.mark.parametrize(("dtype", "bound"), [("f4", 3e-7), ("f8", 1e-14)])
def test_the_partial_of_gelu(dtype: str, bound: float) -> None:
    scipy = pytest.importorskip("scipy.stats", reason="scipy is compared with")
    special = [0.0, -0.0, 1e-30, 20.0, -20.0, 1e30, -1e30]
    x = np.concatenate([np.linspace(-12, 12, 20001), special]).astype(dtype)
    slope = ph.grad(total, backend="c")
    assert f"gelu_slope_{'f32' if dtype == 'f4' else 'f64'}(" in source(slope, x)
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        want = scipy.norm.cdf(wide) + wide * scipy.norm.pdf(wide)
    assert_allclose(slope(x), want, rtol=0, atol=bound)
    assert np.isnan(slope(np.array([np.nan, 1.0], dtype))).tolist() == [True, False]


def test_what_only_looks_like_it() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    f = ph.jit(other, backend="c")
    assert "gelu_slope_f64(" not in source(f, x, y)
    assert_allclose(f(x, y), ph.jit(other, backend="numpy")(x, y), rtol=1e-12)
