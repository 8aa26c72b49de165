"""Fans as the equations give them: how many products are summed, forwards and backwards."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import phistar as ph

b, t, i, j, k, c, p, q, r, v, g, h, d, e = ph.indices("b t i j k c p q r v g h d e")
B, T = 7, 11  # the sizes of a minibatch are no part of any fan


def ones(shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, "f4")


def linear(W: Any) -> Any:
    x = ones((B, 5))
    return lambda x: W[j, i] * x[b, i], (x,)


def convolution(K: Any) -> Any:
    x = ones((B, 3, 8, 8))
    return lambda x: K[k, c, r, v] * x[b, c, ph.pad(2 * p + r, 1), q + v], (x,)


def channels_last(K: Any) -> Any:
    x = ones((B, 8, 8, 3))
    return lambda x: K[r, v, c, k] * x[b, p + r, q + v, c], (x,)


def grouped(K: Any) -> Any:
    def layer(x: Any) -> Any:
        o = ph.tensors("o")
        o[b, (g, k), p] = K[g, k, c, r] * x[b, (g, c), p + r]
        return o

    return layer, (ones((B, 6, 8)),)


def depthwise(K: Any) -> Any:
    def layer(x: Any) -> Any:
        o = ph.tensors("o")
        o[b, c, p] = K[c, r] * x[b, c, p + r]
        return o

    return layer, (ones((B, 6, 8)),)


def transposed(K: Any) -> Any:
    return lambda x: ph.sum[c](K[c, k] * x[b, c]), (ones((B, 6)),)


def queries(W: Any) -> Any:
    return lambda x: W[h, d, e] * x[b, t, e], (ones((B, T, 12)),)


def heads(W: Any) -> Any:
    return lambda o: W[e, h, d] * o[b, t, h, d], (ones((B, T, 3, 4)),)


def heads_as_one(W: Any) -> Any:
    return lambda o: W[e, (h, d)] * o[b, t, h, d], (ones((B, T, 3, 4)),)


def table(E: Any) -> Any:
    return lambda word: E[word[b, t], d], (np.ones((B, T), int),)


def inside(W: Any) -> Any:
    """W stands inside a function that is summed again."""
    V = ph.param(2, 4, init=1)
    return lambda x: V[k, j] * ph.relu(W[j, i] * x[b, i]), (ones((B, 5)),)


def chained(W: Any) -> Any:
    V = ph.param(2, 4, init=1)
    return lambda x: V[k, j] * W[j, i] * x[b, i], (ones((B, 5)),)


def chained_last(V: Any) -> Any:
    W = ph.param(4, 5, init=1)
    return lambda x: V[k, j] * W[j, i] * x[b, i], (ones((B, 5)),)


def scaled(W: Any) -> Any:
    """The sum stands outside of a factor, a quotient and a cast."""
    return lambda x: ph.sum[i](-2 * W[j, i] / 3 * x[b, i] + 1), (ones((B, 5)),)


FANS: list[tuple[Callable[[Any], Any], tuple[int, ...], tuple[int, int]]] = [
    (linear, (4, 5), (5, 4)),
    (convolution, (4, 3, 3, 2), (18, 24)),
    (channels_last, (3, 2, 3, 4), (18, 24)),
    (grouped, (2, 4, 3, 5), (15, 20)),
    (depthwise, (6, 3), (3, 3)),
    (transposed, (6, 4), (6, 4)),
    (queries, (3, 4, 12), (12, 12)),
    (heads, (12, 3, 4), (12, 12)),
    (heads_as_one, (10, 12), (12, 10)),
    (table, (50, 8), (1, 8)),
    (inside, (4, 5), (5, 4)),
    (chained, (4, 5), (5, 4)),
    (chained_last, (2, 4), (4, 2)),
    (scaled, (4, 5), (5, 4)),
]


@pytest.mark.parametrize("layer, shape, fans", FANS, ids=lambda x: getattr(x, "__name__", ""))
def test_fans(layer: Any, shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    seen: list[tuple[int, int]] = []

    def note(rng: Any, shape: Any, fan_in: int, fan_out: int) -> Any:
        seen.append((fan_in, fan_out))
        return np.zeros(shape)

    W = ph.param(*shape, init=note)
    f, args = layer(W)
    ph.trace(f, *args)
    _ = W.value
    assert seen == [fans]


@pytest.mark.torch
@pytest.mark.parametrize("layer, shape", [(linear, (4, 5)), (convolution, (4, 3, 3, 2))])
def test_fans_are_those_of_pytorch(layer: Any, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    fans = next(f for name, _, f in FANS if name is layer)
    assert torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape)) == fans
