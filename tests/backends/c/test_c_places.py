"""Places that argmax finds, and max-pools with their gradients: numpy's, ties and NaN included."""

from typing import Any

import numpy as np
import pytest
from agreeing import agrees
from numpy.testing import assert_array_equal

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate
from phistar.backends.c.toolchain import find_compiler

pytestmark = [
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
    pytest.mark.usefixtures("one_home"),
]
b, k, p, q, i, j = ph.indices("b k p q i j")


def pooling(height: int, width: int, last: bool) -> Any:
    """A max-pool of windows that do not overlap, squared and summed; channels last or not."""
    u, v = ph.indices("u v", u=height, v=width)

    def f(x: Any) -> Any:
        m = ph.tensors("m")
        if last:
            m[b, p, q, k] = ph.max[u, v](x[b, height * p + u, width * q + v, k])
        else:
            m[b, p, q, k] = ph.max[u, v](x[b, k, height * p + u, width * q + v])
        return ph.sum[b, p, q, k](ph.square(m[b, p, q, k]))

    return f


def picture(height: int, width: int, channels: int, last: bool, dtype: str) -> np.ndarray:
    """Few different numbers, so that many are equal."""
    rng = np.random.default_rng([height, width, channels])
    x = rng.integers(-2, 3, size=(3, height * 4, width * 5, channels)).astype(dtype)
    return x if last else np.ascontiguousarray(np.moveaxis(x, 3, 1))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("window", [(1, 1), (1, 4), (2, 2), (3, 3), (4, 4), (5, 5)])
@pytest.mark.parametrize("channels", [1, 3, 4, 20, 33])
def test_pools(window: tuple[int, int], channels: int, last: bool, dtype: str) -> None:
    x = picture(*window, channels, last, dtype)
    agrees(pooling(*window, last), x, rtol=1e-6 if dtype == "f4" else 1e-12)


def largest(x: Any) -> Any:
    u, v = ph.indices("u v", u=2, v=2)
    m, at, most = ph.tensors("m at most")
    m[b, p, q, k] = ph.max[u, v](x[b, 2 * p + u, 2 * q + v, k])
    at[b, p, q, k] = ph.argmax[u, v](x[b, 2 * p + u, 2 * q + v, k])
    most[b, p, q, k] = ph.argmin[u, v](x[b, 2 * p + u, 2 * q + v, k])
    return m[b, p, q, k], at[b, p, q, k], most[b, p, q, k]


@pytest.mark.parametrize("seed", range(4))
def test_the_first_of_equals_wins_and_so_does_the_first_nan(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.choice([np.nan, -np.inf, np.inf, -0.0, 0.0, 1.0, 2.0], size=(2, 6, 8, 19)).astype("f4")
    got, want = (ph.jit(largest, backend=name)(x) for name in ("c", "reference"))
    for one, other in zip(got, want, strict=True):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1"])
def test_integers(dtype: str) -> None:
    x = np.random.default_rng(3).integers(0, 2, size=(2, 4, 4, 9)).astype(dtype)
    got, want = (ph.jit(largest, backend=name)(x) for name in ("c", "reference"))
    for one, other in zip(got, want, strict=True):
        assert_array_equal(one, other)


def test_all_are_the_least_number() -> None:
    x = np.full((1, 2, 2, 5), np.iinfo(np.int32).min, "i4")
    assert_array_equal(ph.jit(largest, backend="c")(x)[1], np.zeros((1, 1, 1, 5)))


def test_places_that_stay_inside_have_32_bits() -> None:
    x = picture(2, 2, 20, True, "f4")
    source = agrees(pooling(2, 2, True), x, rtol=1e-6)
    assert "int32_t m_arg[" in source and "int64_t m_arg[" not in source


def test_places_that_leave_have_64() -> None:
    x = picture(2, 2, 20, True, "f4")
    source = generate(compiler.lower(ph.jit(largest).program(x).source)).source
    assert "int64_t *largest_1" in source


def test_a_place_is_a_subscript_and_a_number_too() -> None:
    def f(x: Any, y: Any) -> Any:
        at, z = ph.tensors("at z")
        at[b] = ph.argmax[k](x[b, k])
        z[b] = y[b, at[b]] * at[b] + ph.where(at[b] * 2 > b, 1.0, 0.0)
        return z[b]

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 5)), rng.normal(size=(7, 5))
    got, want = (ph.jit(f, backend=name)(x, y) for name in ("c", "numpy"))
    assert_array_equal(got, want)


def test_of_nothing_under_a_condition() -> None:
    """Where a condition leaves nothing to choose from, the place is 0."""

    e = ph.index("e", 6)

    def f(x: Any) -> Any:
        at = ph.tensors("at")
        at[b, e] = ph.argmax[j : j < e](x[b, j])
        return at[b, e]

    x = np.random.default_rng(0).normal(size=(3, 6))
    got, want = (ph.jit(f, backend=name)(x) for name in ("c", "reference"))
    assert_array_equal(got, want)
