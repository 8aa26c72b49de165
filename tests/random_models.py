"""Random models in the language: chains of convolutions, recurrences, attention under masks.

`random_model(seed)` gives a function of arrays that returns one number, and the arrays; everything
is f64. Kinks are avoided: no two backends may choose differently where two values are equal.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import phistar as ph

b, c, k, g, p, q, r, s, m = ph.indices("b c k g p q r s m")  # images
t, u, d, e, j = ph.indices("t u d e j")  # sequences

Array = np.ndarray[Any, Any]
Made = tuple[Callable[..., Any], list[Array]]
ACTIVATIONS = (ph.tanh, ph.sigmoid, ph.gelu, ph.softplus, ph.silu, ph.relu)


def random_model(seed: int) -> Made:
    """A function of the seed."""
    dice = Dice(seed)
    return dice.one_of((convolutions, recurrence, attention))(dice)


class Dice:
    """Random choices and arrays."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.arrays: list[Array] = []

    def one_of(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def upto(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def array(self, *shape: int) -> int:
        """A new argument of the function; its number."""
        return self.given(self.rng.normal(size=shape))

    def given(self, array: Array) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


# Chains of convolutions ---------------------------------------------------------------------------


def convolutions(dice: Dice) -> Made:
    """x[b, c, p, q] through layers that each keep four axes."""
    shape = [dice.upto(1, 3), dice.upto(1, 4), dice.upto(3, 8), dice.upto(3, 8)]
    dice.array(*shape)
    layers = []
    for _ in range(dice.upto(1, 4)):
        make = dice.one_of((convolution, convolution, pooling, normalisation, activation))
        layers.append(make(dice, shape))

    def f(*args: Any) -> Any:
        x = args[0]
        for layer in layers:
            x = layer(x, args)
        return ph.mean[b, c, p, q](x[b, c, p, q] ** 2 + x[b, c, p, q])

    return f, dice.arrays


def extent(size: int, window: int, stride: int, dilation: int, pads: int) -> int:
    return (size + pads - dilation * (window - 1) - 1) // stride + 1


def convolution(dice: Dice, shape: list[int]) -> Any:
    """Stride, dilation, padding with a value, groups of channels."""
    groups = dice.one_of([n for n in (1, 2, 3, 4) if shape[1] % n == 0])
    inside, filters = shape[1] // groups, dice.upto(1, 3)
    pads = dice.upto(0, 2), dice.upto(0, 2)
    stride, dilation = dice.upto(1, 3), dice.upto(1, 2)
    most = (min(shape[2:]) + sum(pads) - 1) // dilation + 1
    window = dice.upto(1, min(3, most))
    K, bias = dice.array(groups, filters, inside, window, window), dice.array(groups * filters)
    value = dice.one_of((0, 0.5))
    shape[1] = groups * filters
    for axis in (2, 3):
        shape[axis] = extent(shape[axis], window, stride, dilation, sum(pads))

    def layer(x: Any, args: Any) -> Any:
        y, z = ph.tensors("y z")
        rows = ph.pad(stride * p + dilation * r, *pads, value=value)
        columns = ph.pad(stride * q + dilation * s, *pads, value=value)
        y[b, (g, k), p, q] = args[K][g, k, m, r, s] * x[b, (g, m), rows, columns]
        z[b, c, p, q] = y[b, c, p, q] + args[bias][c]
        return z

    return layer


def pooling(dice: Dice, shape: list[int]) -> Any:
    """Windows that may overlap or leave gaps."""
    window, stride = dice.upto(1, min(3, *shape[2:])), dice.upto(1, 3)
    reduce = dice.one_of((ph.max, ph.mean, ph.logsumexp))
    i, j = ph.indices("i j", i=window, j=window)
    for axis in (2, 3):
        shape[axis] = extent(shape[axis], window, stride, 1, 0)

    def layer(x: Any, args: Any) -> Any:
        y = ph.tensors("y")
        y[b, c, p, q] = reduce[i, j](x[b, c, stride * p + i, stride * q + j])
        return y

    return layer


def normalisation(dice: Dice, shape: list[int]) -> Any:
    """Over the minibatch, or over an example."""
    over, rest = dice.one_of((((b, p, q), (c,)), ((c, p, q), (b,)), ((p, q), (b, c))))
    gain = dice.array(shape[1])

    def layer(x: Any, args: Any) -> Any:
        mean, variance, y = ph.tensors("mean variance y")
        mean[rest] = ph.mean[over](x[b, c, p, q])
        variance[rest] = ph.mean[over]((x[b, c, p, q] - mean[rest]) ** 2)
        scaled = (x[b, c, p, q] - mean[rest]) / ph.sqrt(variance[rest] + 0.1)
        y[b, c, p, q] = args[gain][c] * scaled
        return y

    return layer


def activation(dice: Dice, shape: list[int]) -> Any:
    function, residual = dice.one_of(ACTIVATIONS), dice.chance(0.4)

    def layer(x: Any, args: Any) -> Any:
        y = ph.tensors("y")
        y[b, c, p, q] = function(x[b, c, p, q]) + (x[b, c, p, q] if residual else 0)
        return y

    return layer


# Recurrences --------------------------------------------------------------------------------------


def recurrence(dice: Dice) -> Made:
    """Layers of recurrences, each in one direction, maybe with a length a row."""
    rows, steps, width = dice.upto(1, 3), dice.upto(1, 5), dice.upto(1, 4)
    dice.array(rows, steps, width)
    lengths = dice.given(dice.rng.integers(1, steps + 1, rows)) if dice.chance(0.5) else None
    layers = []
    for _ in range(dice.upto(1, 2)):
        hidden = dice.upto(1, 4)
        cell = dice.one_of((plain, gated))
        layers.append(cell(dice, width, hidden, dice.chance(0.4), lengths))
        width = hidden
    read_last = dice.chance(0.5)

    def f(*args: Any) -> Any:
        x = args[0]
        for layer in layers:
            x = layer(x, args)
        if read_last:
            return ph.mean[b, j](ph.sin(x[b, ph.last, j]))
        return ph.mean[b, t, j](x[b, t, j] ** 2)

    return f, dice.arrays


def plain(dice: Dice, width: int, hidden: int, back: bool, lengths: int | None) -> Any:
    """h[t] = tanh(W x[t] + U h[t - 1] + c); rows that have ended keep their state."""
    W, U = dice.array(hidden, width), dice.array(hidden, hidden)
    initial = dice.array(hidden) if dice.chance(0.5) else None

    def layer(x: Any, args: Any) -> Any:
        h, n = ph.tensors("h n")
        before = ph.last + 1 if back else ph.first - 1
        earlier = t + 1 if back else t - 1
        h[b, before, j] = 0 * x[b, 0, 0] + (0 if initial is None else args[initial][j])
        with ph.scan(t, backwards=back):
            n[b, t, j] = ph.tanh(args[W][j, e] * x[b, t, e] + args[U][j, k] * h[b, earlier, k])
            new = n[b, t, j]
            if lengths is not None:
                new = ph.where(t < args[lengths][b], new, h[b, earlier, j])
            h[b, t, j] = new
        return h

    return layer


def gated(dice: Dice, width: int, hidden: int, back: bool, lengths: int | None) -> Any:
    """A gate says how much of the state is kept (UGRNN)."""
    W, U = dice.array(2, hidden, width), dice.array(2, hidden, hidden)

    def layer(x: Any, args: Any) -> Any:
        h, a = ph.tensors("h a")
        before = ph.last + 1 if back else ph.first - 1
        earlier = t + 1 if back else t - 1
        h[b, before, j] = 0 * x[b, 0, 0] + 0 * args[U][0, j, 0]
        with ph.scan(t, backwards=back):
            a[b, t, g, j] = args[W][g, j, e] * x[b, t, e] + args[U][g, j, k] * h[b, earlier, k]
            gate = ph.sigmoid(a[b, t, 0, j])
            kept = gate * h[b, earlier, j] + (1 - gate) * ph.tanh(a[b, t, 1, j])
            if lengths is not None:
                kept = ph.where(t < args[lengths][b], kept, 0)
            h[b, t, j] = kept
        return h

    return layer


# Attention under masks ----------------------------------------------------------------------------


def attention(dice: Dice) -> Made:
    """Softmax, maximum or sum over the positions that random conditions leave; none may be left."""
    rows, steps, width = dice.upto(1, 3), dice.upto(1, 6), dice.upto(1, 4)
    for _ in range(3):
        dice.array(rows, steps, width)
    dice.given(dice.rng.random((rows, steps, steps)) < 0.6)
    causal, window = dice.chance(0.5), dice.upto(1, steps)
    limited, masked, banned = dice.chance(0.4), dice.chance(0.6), dice.chance(0.3)
    kind = dice.one_of(("softmax", "logsumexp", "max", "sum"))

    def f(x: Any, y: Any, v: Any, seen: Any) -> Any:
        a, o = ph.tensors("a o")
        condition = u <= t if causal else u >= 0
        if limited:
            condition = condition & (u > t - window)
        if masked:
            condition = condition & seen[b, t, u]
        score = x[b, t, d] * y[b, u, d] / ph.sqrt(d.size)
        a[b, t, u] = score
        score = a[b, t, u]
        if banned:
            score = ph.where(seen[b, u, t], score, -1e30)
        if kind == "softmax":
            weight = ph.tensors("weight")
            weight[b, t, u] = ph.softmax[u:condition](score)
            o[b, t, e] = weight[b, t, u] * v[b, u, e]
            return ph.mean[b, t, e](o[b, t, e] ** 2)
        if kind == "sum":
            o[b, t] = ph.sum[u:condition](ph.where(seen[b, u, t], ph.sin(a[b, t, u]), 0.5))
        elif kind == "max":
            o[b, t] = ph.max[u:condition](score)
        else:
            o[b, t] = ph.logsumexp[u:condition](score)
        finite = ph.where(ph.abs(o[b, t]) < 1e20, o[b, t], 0)
        return ph.mean[b, t](finite) + 0 * ph.sum[b, u, e](v[b, u, e])

    return f, dice.arrays
