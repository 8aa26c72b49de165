"""What the c backend makes of statements before it makes loops of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreeing import agrees
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate
from phistar.backends.c.prepare import prepare
from phistar.backends.c.toolchain import find_compiler
from phistar.backends.c.tree import leaves
from phistar.ir.printer import print_assign

pytestmark = [
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
    pytest.mark.usefixtures("one_home"),
]
b, c, k, l, n, p, q, i, j = ph.indices("b c k l n p q i j")


def prepared(f: Callable[..., Any], *args: Any) -> list[str]:
    """The statements from which loops are made."""
    nodes, _ = prepare(compiler.lower(ph.value_and_grad(f, backend="c").program(*args).source))
    return [print_assign(leaf.assign) for leaf in leaves(nodes)]


def normal(*size: int) -> np.ndarray:
    return np.random.default_rng(len(size)).normal(size=size)


# A tensor that is made to be padded ---------------------------------------------------------------


def padded(x: Any, K: Any) -> Any:
    h, y = ph.tensors("h y")
    h[b, c, p] = ph.tanh(x[b, c, p])
    y[b, k, p] = K[k, c, i] * h[b, c, ph.pad(p + i, 1)]
    return ph.sum[b, k, p](ph.square(y[b, k, p]))


def test_what_is_padded_is_written_where_its_copy_would_be() -> None:
    args = normal(8, 16, 20), normal(3, 16, 3)
    found = prepared(padded, *args)
    assert "h.padded[b, p + 1, c] = tanh(x[b, c, p])" in found
    assert not any(line.startswith("h[") for line in found)
    agrees(padded, *args)


def test_what_is_written_twice_keeps_its_copy() -> None:
    def f(x: Any, K: Any) -> Any:
        h, y = ph.tensors("h y")
        h[b, c, p] = ph.tanh(x[b, c, p])
        h[b, c, p] += x[b, c, p]
        y[b, k, p] = K[k, c, i] * h[b, c, ph.pad(p + i, 1)]
        return ph.sum[b, k, p](ph.square(y[b, k, p]))

    args = normal(8, 16, 20), normal(3, 16, 3)
    assert any(line.startswith("h.padded[") and "h[" in line for line in prepared(f, *args))
    agrees(f, *args)


def test_what_is_gathered_elsewhere_keeps_its_copy() -> None:
    def f(x: Any, K: Any) -> Any:
        h, y, z = ph.tensors("h y z")
        h[b, c, p] = ph.tanh(x[b, c, p])
        y[b, k, p] = K[k, c, i] * h[b, c, ph.pad(p + i, 1)]
        z[b, c, q] = h[b, c, ph.pad(2 * q, 3, 1)]
        return ph.sum[b, k, p](ph.square(y[b, k, p])) + ph.sum[b, c, q](z[b, c, q] ** 3)

    args = normal(8, 16, 20), normal(3, 16, 3)
    assert any(line.startswith("h[") and "tanh" in line for line in prepared(f, *args))
    agrees(f, *args)


def test_a_result_that_is_padded_keeps_its_copy() -> None:
    def f(x: Any, K: Any) -> Any:
        h, y = ph.tensors("h y")
        h[b, c, p] = ph.tanh(x[b, c, p])
        y[b, k, p] = K[k, c, i] * h[b, c, ph.pad(p + i, 1)]
        return h, y

    args = normal(8, 16, 20), normal(3, 16, 3)
    results = [ph.jit(f, backend=name)(*args) for name in ("c", "numpy")]
    for found, want in zip(*results, strict=True):
        assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_padding_that_no_index_reaches_is_none() -> None:
    def f(x: Any, K: Any) -> Any:
        y = ph.tensors("y")
        y[b, k, p] = K[k, c, i] * x[b, c, ph.pad(2 * p + i, 0)]
        return ph.sum[b, k, p](ph.square(y[b, k, p]))

    args = normal(8, 16, 20), normal(3, 16, 1)
    assert not any("pad" in line for line in prepared(f, *args))
    agrees(f, *args)


# Gradients of pictures ----------------------------------------------------------------------------


def strided(stride: int, dilation: int, low: int) -> Callable[..., Any]:
    def f(x: Any, K: Any) -> Any:
        h, y = ph.tensors("h y")
        h[b, c, p, q] = ph.tanh(x[b, c, p, q])
        P, Q = (ph.pad(stride * m + dilation * o, low) for m, o in ((p, i), (q, j)))
        y[b, k, p, q] = K[k, c, i, j] * h[b, c, P, Q]
        return ph.sum[b, k, p, q](ph.square(y[b, k, p, q]))

    return f


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("low", [0, 1, 2, 5])
@pytest.mark.parametrize("channels", [16, 5])
def test_gradients_with_stride_1_are_gathered(dilation: int, low: int, channels: int) -> None:
    args = normal(2, channels, 12, 12), normal(16, channels, 3, 2)
    found = prepared(strided(1, dilation, low), *args)
    much_larger = low == 0  # than what the layer above has: most would be added to zeros
    assert any("K.flipped[" in line for line in found) == (channels == 16 and not much_larger)
    agrees(strided(1, dilation, low), *args)


def test_gradients_with_stride_2_are_scattered() -> None:
    args = normal(2, 16, 12, 12), normal(16, 16, 3, 3)
    assert not any("flipped" in line for line in prepared(strided(2, 1, 1), *args))
    agrees(strided(2, 1, 1), *args)


# Roots --------------------------------------------------------------------------------------------


def normalized(x: Any) -> Any:
    v, y = ph.tensors("v y")
    v[b] = ph.mean[n](ph.square(x[b, n]))
    y[b, n] = x[b, n] / ph.sqrt(v[b] + 1e-5)
    return ph.sum[b, n](y[b, n] ** 3)


def test_a_shared_root_is_divided_by_once() -> None:
    x = normal(12, 40)
    found = prepared(normalized, x)
    assert sum("sqrt" in line and ".rsqrt[b] = 1.0 / sqrt(" in line for line in found) == 1
    assert "y[b, n] = x[b, n] * y.rsqrt[b]" in found
    agrees(normalized, x)


def test_other_quotients_stay_exact() -> None:
    """The reciprocal of a small number is infinite, its quotients are not."""

    def f(x: Any, d: Any) -> Any:
        y = ph.tensors("y")
        y[b, n] = x[b, n] / d[b]
        return y[b, n]

    x, d = np.full((4, 40), 3e-39, "f4"), np.full(4, 1e-39, "f4")
    assert_allclose(ph.jit(f, backend="c")(x, d), x / d[:, None], rtol=1e-6)


def test_a_root_of_each_element_stays_where_it_is() -> None:
    def f(x: Any) -> Any:
        y = ph.tensors("y")
        y[b, n] = x[b, n] / ph.sqrt(x[b, n] ** 2 + 1)
        return ph.sum[b, n](y[b, n])

    assert not any("rsqrt" in line for line in prepared(f, normal(12, 40)))


@pytest.mark.parametrize("value", [0.0, 1e-45, 3e38, np.inf, np.nan])
def test_roots_of_extreme_numbers(value: float) -> None:
    def f(x: Any, v: Any) -> Any:
        y = ph.tensors("y")
        y[b, n] = x[b, n] / ph.sqrt(v[b])
        return y[b, n]

    x = np.tile(np.array([0, 1, -1, 3e38, 1e-38, np.inf, np.nan, 2], "f4"), (3, 4))
    v = np.full(3, value, "f4")
    found, want = (ph.jit(f, backend=name)(x, v) for name in ("c", "numpy"))
    assert_allclose(found, want, rtol=1e-6)


# Zeros --------------------------------------------------------------------------------------------


def test_a_whole_tensor_is_filled_in_one_loop() -> None:
    program = ph.jit(padded, backend="c").program(normal(8, 16, 20), normal(16, 16, 3))
    source = generate(compiler.lower(program.source)).source
    fill = source[source.index("h.padded[i0, i2, i1] = 0") :]
    assert "for (long i = 0; i < 352; i++)" in fill.split("tanh_f64")[0]


def test_threads_fill_their_own_part_of_a_tensor() -> None:
    """One example: they share its rows, and none clears what another has begun to sum."""

    def f(x: Any, K: Any) -> Any:
        y = ph.tensors("y")
        y[b, k, p, q] = K[k, c, i, j] * x[b, c, ph.pad(p + i, 2, 1), ph.pad(q + j, 2, 1)]
        return ph.mean[b, k, p, q](ph.square(ph.tanh(y[b, k, p, q])))

    agrees(f, normal(1, 1, 15, 15), normal(48, 1, 4, 4))
