"""Convolutions of many channels: arranged with the channels last, values and gradients numpy's.

PHISTAR_FUZZ=n tries n times as many.
"""

import os
from typing import Any

import numpy as np
import pytest
from agreeing import agrees
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.backends.c.channels import channels_last
from phistar.backends.c.generate import generate
from phistar.backends.c.toolchain import find_compiler
from phistar.transform.flatten import flatten
from phistar.transform.inline import inline

pytestmark = [
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
    pytest.mark.usefixtures("one_home"),
]
FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))
b, c, k, l, p, q, i, j = ph.indices("b c k l p q i j")


def chain(rng: np.random.Generator, axes: int, dtype: Any = np.float64) -> tuple[Any, list[Any]]:
    """Two convolutions with something between them, over one axis or two."""
    rows, channels = int(rng.integers(1, 5)), int(rng.choice([1, 3, 5, 8, 16, 20, 32]))
    first, second = (int(n) for n in rng.choice([8, 9, 16, 20, 31, 48, 50], 2))
    second = int(rng.choice([second, 7]))
    stride, low, high = int(rng.integers(1, 3)), int(rng.integers(0, 3)), int(rng.integers(0, 3))
    size, kernel = int(rng.integers(11, 20)), int(rng.integers(1, 5))
    x = rng.normal(size=(rows, channels, *[size] * axes)).astype(dtype)
    K = rng.normal(size=(first, channels, *[kernel] * axes)).astype(dtype)
    L = rng.normal(size=(second, first, *[3] * axes)).astype(dtype)
    gain = rng.normal(size=first).astype(dtype)
    P, Q = (ph.pad(stride * n + m, low, high) for n, m in ((p, i), (q, j)))

    def one(x: Any, K: Any, L: Any, gain: Any) -> Any:
        y, h, z = ph.tensors("y h z")
        y[b, k, p] = K[k, c, i] * x[b, c, P]
        h[b, k, p] = ph.tanh(y[b, k, p] * gain[k])
        z[b, l, p] = L[l, k, i] * h[b, k, ph.pad(p + i, 1)]
        return ph.mean[b, l, p](ph.square(z[b, l, p]))

    def two(x: Any, K: Any, L: Any, gain: Any) -> Any:
        y, h, z = ph.tensors("y h z")
        y[b, k, p, q] = K[k, c, i, j] * x[b, c, P, Q]
        h[b, k, p, q] = ph.tanh(y[b, k, p, q] * gain[k])
        z[b, l, p, q] = L[l, k, i, j] * h[b, k, ph.pad(p + i, 1), ph.pad(q + j, 1)]
        return ph.mean[b, l, p, q](ph.square(z[b, l, p, q]))

    return (one if axes == 1 else two), [x, K, L, gain]


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("seed", range(8 * FUZZ))
def test_random_pairs_of_convolutions(seed: int, axes: int) -> None:
    f, args = chain(np.random.default_rng([axes, seed]), axes)
    agrees(f, *args)


@pytest.mark.parametrize("seed", range(3))
def test_in_single_precision(seed: int) -> None:
    f, args = chain(np.random.default_rng(400 + seed), 2, np.float32)
    assert "product_picture_f32(" in agrees(f, *args, rtol=1e-4)


def picture(x: Any, K: Any) -> Any:
    y, h, z = ph.tensors("y h z")
    y[b, k, p, q] = K[k, c, i, j] * x[b, c, p + i, q + j]
    h[b, k, p, q] = ph.relu(y[b, k, p, q])
    z[b, k, p, q] = ph.sqrt(ph.abs(h[b, k, p, q]) + 1)
    return z[b, k, p, q]


def picture_arguments() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=size).astype("f4") for size in ((2, 3, 9, 9), (16, 3, 3, 3))]


def test_a_result_keeps_its_axes() -> None:
    x, K = picture_arguments()
    found, want = (ph.jit(picture, backend=name)(x, K) for name in ("c", "numpy"))
    assert found.shape == (2, 16, 7, 7)
    assert_allclose(found, want, rtol=1e-5)


def test_what_lies_between_has_its_channels_last() -> None:
    program = ph.jit(picture, backend="c").program(*picture_arguments()).source
    last, arranged = channels_last(inline(flatten(compiler.lower(program))))
    assert sorted((t.name, t.shape) for t in arranged) == [
        ("h", (2, 7, 7, 16)),
        ("x.turned", (2, 9, 9, 3)),
        ("y", (2, 7, 7, 16)),
        ("z", (2, 7, 7, 16)),
    ]
    assert [t.shape for t in last.outputs] == [(2, 16, 7, 7)]


def test_few_channels_stay_where_they_are() -> None:
    x, K = picture_arguments()
    source = generate(compiler.lower(ph.jit(picture).program(x, K[:7]).source)).source
    assert "turned" not in source


def test_channels_that_come_last_in_the_equations_need_no_turning() -> None:
    def f(x: Any, K: Any) -> Any:
        y = ph.tensors("y")
        y[b, p, q, k] = K[i, j, c, k] * x[b, p + i, q + j, c]
        return ph.mean[b, p, q, k](ph.square(y[b, p, q, k]))

    rng = np.random.default_rng(0)
    args = [rng.normal(size=size) for size in ((2, 9, 9, 16), (3, 3, 16, 32))]
    source = agrees(f, *args)
    assert "product_picture_f64(" in source and "turned" not in source.split("grad")[0]


def test_batch_normalization_between_convolutions() -> None:
    """The threads share examples, not channels; every sum over the batch is made in chunks."""

    def f(x: Any, K: Any, L: Any) -> Any:
        y, m, v, n, z = ph.tensors("y m v n z")
        y[b, k, p, q] = K[k, c, i, j] * x[b, c, p + i, q + j]
        m[k] = ph.mean[b, p, q](y[b, k, p, q])
        v[k] = ph.mean[b, p, q](ph.square(y[b, k, p, q] - m[k]))
        n[b, k, p, q] = ph.relu((y[b, k, p, q] - m[k]) / ph.sqrt(v[k] + 1e-5))
        z[b, l, p, q] = L[l, k, i, j] * n[b, k, p + i, q + j]
        return ph.mean[b, l, p, q](ph.square(z[b, l, p, q]) * z[b, l, p, q])

    rng = np.random.default_rng(1)
    args = [rng.normal(size=s) for s in ((40, 3, 12, 12), (16, 3, 3, 3), (32, 16, 3, 3))]
    assert "m.part[" in agrees(f, *args)


def test_a_flattened_picture_is_no_convolution() -> None:
    """Several axes as one are not slid along; a minibatch of 64 examples is no channels."""

    def f(W: Any, z: Any) -> Any:
        y, h = ph.tensors("y h")
        y[b, l, p, q] = ph.tanh(z[b, l, p, q])
        h[b, k] = W[k, (l, p, q)] * y[b, l, p, q]
        return ph.mean[b, k](ph.square(h[b, k]))

    rng = np.random.default_rng(0)
    args = [rng.normal(size=size) for size in ((10, 6 * 5 * 5), (64, 6, 5, 5))]
    assert "product_picture" not in agrees(f, *args)
    program = inline(flatten(compiler.lower(ph.value_and_grad(f).program(*args).source)))
    assert channels_last(program)[1] == frozenset()


def test_a_shifted_product_is_no_convolution() -> None:
    def f(g: Any, h: Any) -> Any:
        U = ph.tensors("U")
        U[j, k] = ph.sum[b, p](g[b, p, j] * h[b, p + 1, k])
        return ph.sum[j, k](ph.square(U[j, k]))

    rng = np.random.default_rng(0)
    args = [rng.normal(size=size) for size in ((8, 20, 32), (8, 21, 16))]
    assert "product_picture" not in agrees(f, *args)
