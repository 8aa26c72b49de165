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


# gelu and its partial, row by row -----------------------------------------------------------------

n, k = ph.indices("n k")


def rows(x: Any, w: Any) -> Any:
    """One group: every row's values and gradients before the next row's."""
    u, h, s = ph.tensors("u h s")
    u[n, k] = x[n, k] * w[k]
    h[n, k] = ph.gelu(u[n, k])
    s[n] = ph.sum[k](h[n, k])
    return ph.sum[n, k](h[n, k] * s[n])


def rows_and_gradients(x: Any, w: Any) -> Any:
    return rows(x, w), *ph.grad(rows)(x, w)


@pytest.mark.parametrize(("dtype", "rtol"), [("f4", 2e-5), ("f8", 1e-10)])
def test_gelu_and_its_partial_are_taken_together(dtype: str, rtol: float) -> None:
    rng = np.random.default_rng(0)
    args = [rng.normal(size=size).astype(dtype) for size in ((64, 320), (320,))]
    f = ph.jit(rows_and_gradients, backend="c")
    lines = source(f, *args).splitlines()
    (slope,) = (number for number, line in enumerate(lines) if "= gelu_slope_" in line)
    assert any("= gelu_f" in line for line in lines[slope - 4 : slope])
    found, want = f(*args), ph.jit(rows_and_gradients, backend="numpy")(*args)
    for one, two in zip(found, want, strict=True):
        assert_allclose(one, two, rtol=rtol, atol=rtol * np.abs(two).max())


def test_a_partial_of_something_that_changed_is_taken_where_it_is() -> None:
    def f(x: Any) -> Any:
        h, y = ph.tensors("h y")
        h[n, k] = x[n, k]
        y[n, k] = ph.gelu(h[n, k])
        h[n, k] *= 2
        c = 0.5 * (1 + ph.erf(h[n, k] * 0.7071067811865476))
        y[n, k] *= c + h[n, k] * (0.3989422804014327 * ph.exp(-0.5 * ph.square(h[n, k])))
        return y[n, k]

    x = np.random.default_rng(0).normal(size=(64, 320))
    compiled = ph.jit(f, backend="c")
    assert ".slope" not in source(compiled, x)
    assert_allclose(compiled(x), ph.jit(f, backend="numpy")(x), rtol=1e-12, atol=1e-12)


def test_the_next_row_comes_nearer_while_this_one_is_worked_on() -> None:
    def f(x: Any) -> Any:
        y = ph.tensors("y")
        y[n, k] = ph.softmax[k](x[n, k] - ph.mean[k](x[n, k]))
        return y[n, k]

    compiled = ph.jit(f, backend="c")
    x = np.random.default_rng(0).normal(size=(100, 1024)).astype("f4")
    assert "ahead_row(&x[least(" in source(compiled, x)
    assert_allclose(compiled(x), ph.jit(f, backend="numpy")(x), rtol=2e-5)
    short = x[:, :100].copy()
    assert "ahead_row(" not in source(compiled, short)
