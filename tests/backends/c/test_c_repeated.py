"""Loop nests that come again are one C function, and only those."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate
from phistar.backends.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
b, t, e, f = ph.indices("b t e f")


def normed(x: Any, gain: Any) -> Any:
    mean, variance, y = ph.tensors("mean variance y")
    mean[b, t] = ph.mean[e](x[b, t, e])
    variance[b, t] = ph.mean[e]((x[b, t, e] - mean[b, t]) ** 2)
    y[b, t, e] = gain[e] * (x[b, t, e] - mean[b, t]) / ph.sqrt(variance[b, t] + 1e-5)
    return y


def layer(x: Any, gain: Any, W: Any) -> Any:
    y, n = ph.tensors("y"), normed(x, gain)
    y[b, t, e] = x[b, t, e] + ph.tanh(W[e, f] * n[b, t, f])
    return y


def network(layers: int) -> Any:
    def loss(x: Any, gains: Any, weights: Any) -> Any:
        for n in range(layers):
            gain, W = ph.tensors("gain W")
            gain[e] = gains[n, e]
            W[e, f] = weights[n, e, f]
            x = layer(x, gain, W)
        return ph.mean[b, t, e](x[b, t, e] ** 2)

    return loss


def arguments(layers: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in ((20, 4, 8), (layers, 8), (layers, 8, 8))]


def source(layers: int) -> str:
    made = ph.value_and_grad(network(layers), backend="c").program(*arguments(layers))
    return generate(compiler.lower(made.source)).source


def test_more_layers_are_calls() -> None:
    text = source(4)
    assert "static __attribute__((noinline)) void nest_1(" in text
    assert text.count("    nest_1(run, lo, hi, ") >= 3
    assert len(text.splitlines()) < 2 * len(source(2).splitlines())


def test_what_comes_once_is_no_function() -> None:
    assert "nest_1(" not in source(1)


def test_the_numbers_are_the_same() -> None:
    for layers in (1, 3):
        want = ph.value_and_grad(network(layers), backend="numpy")(*arguments(layers))
        found = ph.value_and_grad(network(layers), backend="c")(*arguments(layers))
        assert_allclose(found[0], want[0], rtol=1e-12)
        for one, right in zip(found[1], want[1], strict=True):
            assert_allclose(one, right, rtol=1e-9, atol=1e-12)
