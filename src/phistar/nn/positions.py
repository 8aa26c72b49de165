"""Where in a sequence an element stands: added to it, turned into it, or taken off a score.

sinusoidal  y[b, t, e] = x[b, t, e] + sin or cos (t / 10000^(2 (e // 2) / E))
learned     y[b, t, e] = x[b, t, e] + W[t, e]
rotary      (y[t, 2m], y[t, 2m + 1]) = (x[t, 2m], x[t, 2m + 1]) turned by t / 10000^(2m / D)
alibi       s[h, t, u] - slope[h] |t - u|
"""

from typing import Any

import phistar as ph
from phistar import cos, sin
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import expect, expect_size, whole


class SinusoidalPositions(ph.Model):
    """x[..., t, e] + sine (even e) or cosine (odd e) of t / base^(2 (e // 2) / dim).

    Without parameters. Raises UsageError for a size that is none, ShapeError for a tensor whose
    last axis has another. Vaswani et al. (2017), section 3.5.
    """

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        self.dim, self.base = whole(self, "dim", dim), base

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=2)
        expect_size(self, "features", self.dim, shape, -1)
        t, e = Index("t", shape[-2]), Index("e", self.dim)
        a, y = Tensor("a"), Tensor("y")
        a[t, e] = t * ph.cast(self.base ** (-2 * (e // 2) / self.dim), x.dtype)
        y[..., t, e] = x[..., t, e] + ph.where(ph.equal(e % 2, 0), sin(a[t, e]), cos(a[t, e]))
        return y


class LearnedPositions(ph.Model):
    """y[..., t, e] = x[..., t, e] + W[t, e]: x of up to `length` steps of `dim` features.

    init: as `ph.param` takes it; by default normal with deviation 0.02. Raises UsageError for sizes
    that are none, ShapeError for a longer sequence or another number of features.
    """

    def __init__(self, length: int, dim: int, init: Any = None, dtype: Any = "f32") -> None:
        self.length, self.dim = whole(self, "length", length), whole(self, "dim", dim)
        start = ph.init.normal(0.0, 0.02) if init is None else init
        self.weight = ph.param(length, dim, init=start, dtype=dtype)

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=2)
        expect_size(self, "features", self.dim, shape, -1)
        if shape[-2] > self.length:
            raise ShapeError(
                f"LearnedPositions has {self.length} positions, but axis -2 of shape {shape} "
                f"has {shape[-2]}"
            )
        t, e, y = Index("t", shape[-2]), Index("e", self.dim), Tensor("y")
        y[..., t, e] = x[..., t, e] + self.weight[t + 0, e]
        return y


def rotary(x: Any, base: float = 10000.0, first: int = 0, interleaved: bool = True) -> Tensor:
    """Pairs of features, turned by their position: x[..., t, d] -> y[..., t, d], d even.

    Pair m at position first + t turns by (first + t) base^(-2m / d). The pairs are (2m, 2m + 1) as
    in Su et al. (2021), equation 34; interleaved=False: (m, m + d / 2), as in GPT-NeoX and Llama.
    Raises UsageError or ShapeError if x is no tensor with an even last axis.
    """
    if not isinstance(x, Tensor):
        raise UsageError(f"rotary takes a tensor, not {type(x).__name__}: ph.tensor(x) makes one")
    if len(x.shape) < 2 or x.shape[-1] % 2:
        raise ShapeError(f"rotary takes a tensor [..., t, d] with an even d, not shape {x.shape}")
    half = x.shape[-1] // 2
    t, m, z = Index("t", x.shape[-2]), Index("m", half), Index("z", 2)
    a, r, y = Tensor("a"), Tensor("r"), Tensor("y")
    a[t, m] = (t + first) * ph.cast(base ** (-m / half), x.dtype)
    one, two = (2 * m, 2 * m + 1) if interleaved else (m + 0, m + half)
    real = x[..., t, one] * cos(a[t, m]) - x[..., t, two] * sin(a[t, m])
    imaginary = x[..., t, two] * cos(a[t, m]) + x[..., t, one] * sin(a[t, m])
    if not interleaved:
        y[..., t, m] = real
        y[..., t, half + m] = imaginary
        return y
    r[..., t, m, 0] = real
    r[..., t, m, 1] = imaginary
    y[..., t, (m, z)] = r[..., t, m, z]
    return y


def alibi_slopes(heads: int, dtype: Any = "f32") -> Tensor:
    """How much each head minds distance: 2^(-8 (h + 1) / n) for the n heads, a power of 2.

    Of other numbers of heads the first n, a power of 2, have these, the rest every second of those
    for 2n heads. Raises UsageError for heads that are none. Press et al. (2022), section 3 and
    their code.
    """
    if isinstance(heads, bool) or not isinstance(heads, int) or heads < 1:
        raise UsageError(f"heads of alibi is a whole number from 1 on, not {heads!r}")
    n = 1 << (heads.bit_length() - 1)
    h, m, slope = Index("h", n), Index("m", heads - n), Tensor("slope")
    slope[h] = ph.cast(2.0 ** (-8 * (h + 1) / n), dtype)
    if heads > n:
        slope[n + m] = ph.cast(2.0 ** (-4 * (2 * m + 1) / n), dtype)
    return slope


def alibi(heads: int, queries: int, keys: int, dtype: Any = "f32") -> Tensor:
    """What distance takes off the scores: -slope[h] |t - u|, a tensor [h, t, u].

    The bias of `scaled_dot_product_attention` for so many heads, queries and keys. Press et al.
    (2022); with keys after the query, as in attention that is not causal, the distance counts too.
    """
    slope, bias = alibi_slopes(heads, dtype), Tensor("bias")
    h, t, u = Index("h", heads), Index("t", queries), Index("u", keys)
    bias[h, t, u] = -slope[h] * ph.cast(ph.abs(t - u), dtype)
    return bias
