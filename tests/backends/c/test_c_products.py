"""Products and convolutions large enough to be recognised: values and gradients equal numpy's.

Random programs elsewhere are so small that loops are quicker. PHISTAR_FUZZ=n tries n times as many.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreeing import agrees

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate
from phistar.backends.c.toolchain import find_compiler
from phistar.errors import IndexRangeError

pytestmark = [
    pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler"),
    pytest.mark.usefixtures("one_home"),
]
FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))
b, t, c, k, p, q, i, j, h, u, d = ph.indices("b t c k p q i j h u d")


def convolution(rng: np.random.Generator, dtype: Any) -> tuple[Callable[..., Any], list[Any]]:
    """A convolution over two axes with random sizes, stride, padding and dilation."""
    rows, channels, filters = (int(n) for n in rng.integers((2, 1, 2), (6, 5, 19)))
    size, kernel = rng.integers(6, 20, 2), rng.integers(1, 6, 2)
    stride, dilation = (int(n) for n in rng.integers(1, 4, 2)), int(rng.integers(1, 3))
    low, high = (int(n) for n in rng.integers(0, 3, 2))
    s0, s1 = stride
    steps = bool(rng.integers(2))
    lead = (rows, 3) if steps else (rows,)
    at = (b, t) if steps else (b,)
    x = rng.normal(size=(*lead, channels, *size)).astype(dtype)
    K = rng.normal(size=(filters, channels, *np.minimum(kernel, size // dilation))).astype(dtype)

    def f(x: Any, K: Any) -> Any:
        y = ph.tensors("y")
        P, Q = ph.pad(s0 * p + dilation * i, low, high), ph.pad(s1 * q + dilation * j, low, high)
        y[(*at, k, p, q)] = K[k, c, i, j] * x[(*at, c, P, Q)]
        return ph.mean[(*at, k, p, q)](ph.square(y[(*at, k, p, q)]) + y[(*at, k, p, q)])

    return f, [x, K]


@pytest.mark.parametrize("seed", range(12 * FUZZ))
def test_random_convolutions(seed: int) -> None:
    agrees(*flat(convolution(np.random.default_rng(seed), np.float64)))


def flat(made: tuple[Callable[..., Any], list[Any]]) -> list[Any]:
    return [made[0], *made[1]]


def product(rng: np.random.Generator) -> tuple[Callable[..., Any], list[Any]]:
    """A product with up to two batch axes, each factor's axes in any order; maybe scaled."""
    sizes = dict(zip((b, h, i, j, k), map(int, rng.integers(1, 40, 5)), strict=True))
    sizes[b], sizes[h] = sizes[b] % 5 + 1, sizes[h] % 4 + 1
    batch = [b, h][: int(rng.integers(0, 3))]
    one, two, out = ([*batch, *rest] for rest in ((i, k), (k, j), (i, j)))
    for axes in (one, two, out):
        rng.shuffle(axes)  # type: ignore[arg-type]
    arrays = [rng.normal(size=tuple(sizes[n] for n in axes)) for axes in (one, two)]
    scaled = int(rng.integers(3))

    def f(x: Any, y: Any) -> Any:
        z = ph.tensors("z")
        left: Any = x[tuple(one)]
        left = ph.tanh(left) if scaled == 2 else left
        value = left * y[tuple(two)] / (3.0 if scaled == 1 else 1.0)
        z[tuple(out)] = ph.sum[k](value)
        return ph.sum[tuple(out)](ph.sin(z[tuple(out)]))

    return f, arrays


@pytest.mark.parametrize("seed", range(16 * FUZZ))
def test_random_products(seed: int) -> None:
    agrees(*flat(product(np.random.default_rng(100 + seed))))


def attention(q_: Any, k_: Any, v: Any) -> Any:
    P, o = ph.tensors("P o")
    scores = q_[b, h, t, d] * k_[b, h, u, d] / ph.sqrt(d.size)
    P[b, h, t, u] = ph.softmax[u : u <= t](scores)
    o[b, t, (h, d)] = P[b, h, t, u] * v[b, h, u, d]
    return ph.sum[b, t, j](o[b, t, j] ** 3)


def recurrence(W: Any, U: Any, x: Any) -> Any:
    s, y = ph.tensors("s y")
    s[b, t, j] = W[j, i] * x[b, t, i]
    y[b, ph.first - 1, j] = 0
    with ph.scan(t):
        y[b, t, j] = ph.tanh(s[b, t, j] + U[j, k] * y[b, t - 1, k])
    return ph.mean[b, t, j](y[b, t, j] ** 2)


def two_layers(x: Any, K: Any, L: Any) -> Any:
    """One layer after the other, an example at a time."""
    y, z = ph.tensors("y z")
    y[b, k, p, q] = ph.relu(K[k, c, i, j] * x[b, c, ph.pad(p + i, 1), ph.pad(q + j, 1)])
    z[b, h, p, q] = L[h, k, i, j] * y[b, k, 2 * p + i, 2 * q + j]
    return ph.mean[b, h, p, q](z[b, h, p, q] ** 2)


rng = np.random.default_rng(0)
# name: (function, arguments, what its C must have)
CASES: dict[str, tuple[Callable[..., Any], list[Any], str]] = {
    "attention": (attention, [rng.normal(size=(3, 2, 24, 20)) for _ in range(3)], ".left"),
    "recurrence": (
        recurrence,
        [
            rng.normal(size=(48, 30)) / 8,
            rng.normal(size=(48, 48)) / 8,
            rng.normal(size=(17, 9, 30)),
        ],
        ".turned",
    ),
    "two layers": (
        two_layers,
        [
            rng.normal(size=(5, 3, 17, 18)),
            rng.normal(size=(16, 3, 3, 3)),
            rng.normal(size=(8, 16, 3, 3)),
        ],
        "product_picture_f64(",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_laid_out(name: str) -> None:
    f, args, wanted = CASES[name]
    assert wanted in agrees(f, *args)


def test_the_first_of_a_masked_definition_is_a_choice() -> None:
    """A condition on what is defined becomes a choice of values, in one store."""
    x = rng.normal(size=(9, 40))

    def f(x: Any) -> Any:
        y = ph.tensors("y")
        y[t, u] = ph.where(u <= t, x[t, u] ** 2, 0)
        return ph.sum[t, u](y[t, u])

    agrees(f, x)


def test_memory_is_used_in_turn() -> None:
    """A chain of eight layers needs no more than a few of its tensors at once."""
    x = np.ones((64, 256))

    def f(x: Any) -> Any:
        for _ in range(8):
            y, j = ph.tensors("y"), ph.index("j", 256)
            y[b, j] = ph.sum[i : i <= j](x[b, i])
            x = y
        return ph.sum[b, j](x[b, j])

    lowered = compiler.lower(ph.trace(f, x).source)
    assert generate(lowered).arena <= 3 * x.nbytes + 4096


def test_the_rows_of_the_next_minibatch_come_nearer() -> None:
    """The gather is known a step in advance; rows that are out of range still fail by name."""
    n = 256
    data = ph.data.Dataset(x=np.ones((40, n), np.float32))
    model = Wide(n)
    algorithm = ph.compile(wide_loss, model, optimizer=ph.SGD(0.1), batch=data.spec(8), backend="c")
    rows = np.arange(40).reshape(5, 8)
    algorithm.steps(algorithm.initial_values(0), {"x": data.columns["x"]}, rows)
    source = list(algorithm._loops.values())[-1].compiled.generated.source
    assert "ahead_begin(run.x_data, 1024, 40, " in source
    rows[3, 2] = 41
    with pytest.raises(IndexRangeError, match="41"):
        algorithm.steps(algorithm.initial_values(0), {"x": data.columns["x"]}, rows)


class Wide(ph.Model):
    def __init__(self, n: int) -> None:
        self.W = ph.param(64, n)


def wide_loss(model: Wide, x: Any) -> Any:
    y = ph.tensors("y")
    y[b, j] = model.W[j, i] * x[b, i]
    return ph.sum[j](y[b, j] ** 2)


@pytest.mark.parametrize(("rows", "channels", "size"), [(16, 64, 3), (8, 40, 2), (40, 33, 3)])
def test_small_pictures_with_many_channels(rows: int, channels: int, size: int) -> None:
    """The products of a convolution's gradients are those of turned pictures."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, channels, size, size))
    K = rng.normal(size=(channels, channels, 3, 3))

    def f(x: Any, K: Any) -> Any:
        y = ph.tensors("y")
        y[b, k, p, q] = K[k, c, i, j] * x[b, c, ph.pad(p + i, 1), ph.pad(q + j, 1)]
        return ph.mean[b, k, p, q](y[b, k, p, q] ** 2)

    assert "x.grad.padded.windows" in agrees(f, x, K)
