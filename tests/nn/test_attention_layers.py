"""Attention and positions against PyTorch's, or the papers' equations written in PyTorch."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import DTypeError, IndexRangeError, ShapeError, UsageError
from phistar.nn import attention, positions

Array = np.ndarray[Any, Any]


def truths(*shape: int) -> Array:
    return np.random.default_rng(7).random(shape) < 0.6


# Attention by itself ------------------------------------------------------------------------------


def attention_row(*inputs: Array, **kwargs: Any) -> Row:
    """Against PyTorch's function."""

    def peer(torch: Any) -> Any:
        theirs = {"causal": "is_causal", "scale": "scale"}
        given = {theirs[name]: value for name, value in kwargs.items() if name in theirs}
        grouped = inputs[0].ndim > 2 and inputs[0].shape[-3] != inputs[1].shape[-3]

        def run(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
            f = torch.nn.functional.scaled_dot_product_attention
            return f(q, k, v, attn_mask=mask, enable_gqa=grouped, **given)

        return run

    def layer(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
        name = "mask" if mask is None or not mask.dtype.is_float else "bias"
        return nn.scaled_dot_product_attention(q, k, v, **{name: mask}, **kwargs)

    return Row(lambda: layer, peer, inputs)


def safe_attention(torch: Any) -> Any:
    """Attention whose queries may see nothing; then they give 0."""

    def run(q: Any, k: Any, v: Any, mask: Any, bias: Any) -> Any:
        s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + bias
        s = s.masked_fill(~mask, -1e30)
        p = torch.exp(s - s.amax(-1, keepdim=True)) * mask
        return p / p.sum(-1, keepdim=True).clamp_min(1e-30) @ v

    return run


def masked(q: Any, k: Any, v: Any, mask: Any, bias: Any) -> Any:
    return nn.scaled_dot_product_attention(q, k, v, mask=mask, bias=bias)


some = truths(2, 1, 4, 6)
some[0, 0, 2] = some[1] = False
q, k, v = normal(2, 4, 4, 3), normal(2, 4, 6, 3, seed=4), normal(2, 4, 6, 5, seed=5)
few, fewer = normal(2, 2, 6, 3), normal(2, 1, 6, 3)
FUNCTION = {
    "scaled_dot_product_attention": attention_row(q, k, v, causal=True),
    "scaled_dot_product_attention: all": attention_row(q, k, v),
    "scaled_dot_product_attention: scale": attention_row(q, k, v, scale=0.3),
    "scaled_dot_product_attention: no heads": attention_row(q[0, 0], k[0, 0], v[0, 0]),
    "scaled_dot_product_attention: no batch": attention_row(q[0], k[0], v[0], causal=True),
    "scaled_dot_product_attention: two batch axes": attention_row(q[None], k[None], v[None]),
    "scaled_dot_product_attention: one by one": attention_row(*(normal(1, 1, 1, 1),) * 3),
    "scaled_dot_product_attention: groups": attention_row(q, few, few, causal=True),
    "scaled_dot_product_attention: one group": attention_row(q, fewer, fewer),
    "scaled_dot_product_attention: mask": attention_row(q, k, v, truths(2, 4, 4, 6)),
    "scaled_dot_product_attention: mask, groups": attention_row(q, few, few, truths(2, 4, 4, 6)),
    "scaled_dot_product_attention: mask for all heads": attention_row(q, k, v, truths(2, 1, 4, 6)),
    "scaled_dot_product_attention: bias": attention_row(q, k, v, normal(4, 4, 6)),
    "scaled_dot_product_attention: queries that see nothing": Row(
        lambda: masked, safe_attention, (q, k, v, some, normal(4, 6)), everywhere=True
    ),
}

# The layer ----------------------------------------------------------------------------------------


class Called(ph.Model):
    """A layer called with keywords for its last arguments."""

    def __init__(self, layer: Any, *names: str) -> None:
        self.layer, self.names = layer, names

    def __call__(self, *inputs: Any) -> Any:
        plain = len(inputs) - len(self.names)
        return self.layer(*inputs[:plain], **dict(zip(self.names, inputs[plain:], strict=True)))


def of_torch(*inputs: Array, names: tuple[str, ...] = (), causal: bool = False) -> Row:
    """Against torch.nn.MultiheadAttention."""

    def peer(torch: Any) -> Any:
        layer = torch.nn.MultiheadAttention(6, 2, batch_first=True).double()

        def run(*tensors: Any, **p: Any) -> Any:
            plain = len(tensors) - len(names)
            given = dict(zip(names, tensors[plain:], strict=True))
            sequences = [tensors[min(n, plain - 1)] for n in range(3)]
            more = {"need_weights": False, "average_attn_weights": False}
            T, U = sequences[0].shape[-2], sequences[1].shape[-2]
            if causal:
                more["attn_mask"] = ~torch.ones(T, U, dtype=bool).tril()
            if "mask" in given:
                more["attn_mask"] = ~given["mask"]
            if "lengths" in given:
                more["key_padding_mask"] = torch.arange(U) >= given["lengths"][:, None]
            p = {
                n.removeprefix("layer_").replace("out_proj_", "out_proj."): t for n, t in p.items()
            }
            return torch.func.functional_call(layer, p, tuple(sequences), more)[0]

        return run

    def made() -> Any:
        return Called(nn.MultiHeadAttention(6, 2, causal=causal, dtype="f64"), *names)

    return Row(made, peer, inputs)


def of_paper(*inputs: Array, **kwargs: Any) -> Row:
    """Against the equations: heads in groups, rotary positions, ALiBi."""
    heads, kv = kwargs.get("heads", 4), kwargs.get("kv_heads", kwargs.get("heads", 4))

    def peer(torch: Any) -> Any:
        def run(x: Any, y: Any = None, **p: Any) -> Any:
            y = x if y is None else y
            E = x.shape[-1]
            size = E // heads
            a = y @ p["in_proj_weight"].T + p.get("in_proj_bias", 0)
            b = x @ p["in_proj_weight"].T + p.get("in_proj_bias", 0)

            def split(part: Any, n: int) -> Any:
                return part.unflatten(-1, (n, size)).transpose(1, 2)

            q = split(b[..., :E], heads)
            k, v = split(a[..., E : E + kv * size], kv), split(a[..., E + kv * size :], kv)
            if kwargs.get("rotary"):
                q, k = turned(torch, q), turned(torch, k)
            k, v = (z.repeat_interleave(heads // kv, 1) for z in (k, v))
            s = q @ k.transpose(-1, -2) / size**0.5
            if kwargs.get("alibi"):
                s = s + torch.tensor(distances(heads, s.shape[-2], s.shape[-1]))
            if kwargs.get("causal"):
                s = s.masked_fill(~torch.ones(s.shape[-2:], dtype=bool).tril(), -torch.inf)
            o = (torch.softmax(s, -1) @ v).transpose(1, 2).flatten(2)
            return o @ p["out_proj_weight"].T + p.get("out_proj_bias", 0)

        return run

    given = {"heads": 4, **kwargs}
    return Row(lambda: nn.MultiHeadAttention(8, **given, dtype="f64"), peer, inputs)


def turned(torch: Any, x: Any, base: float = 10000.0, first: int = 0, half: bool = False) -> Any:
    """Su et al. (2021): each pair as a complex number, times exp(i t θ)."""
    D = x.shape[-1]
    θ = base ** (-torch.arange(0, D, 2, dtype=torch.float64) / D)
    t = torch.arange(x.shape[-2], dtype=torch.float64) + first
    turn = torch.polar(torch.ones(len(t), D // 2, dtype=torch.float64), t[:, None] * θ)
    pairs = x.unflatten(-1, (2, D // 2)).transpose(-1, -2) if half else x.unflatten(-1, (-1, 2))
    y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    return (y.transpose(-1, -2) if half else y).flatten(-2)


def slopes(n: int) -> list[float]:
    """get_slopes of Press et al.'s code."""

    def powers(n: int) -> list[float]:
        start = 2.0 ** (-(2.0 ** -(np.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    if np.log2(n).is_integer():
        return powers(n)
    near = 2 ** int(np.floor(np.log2(n)))
    return powers(near) + slopes(2 * near)[0::2][: n - near]


def distances(heads: int, queries: int, keys: int) -> Array:
    t, u = np.indices((queries, keys))
    return -np.array(slopes(heads))[:, None, None] * np.abs(t - u)


x, y, w = normal(3, 4, 6), normal(3, 5, 6, seed=4), normal(3, 5, 6, seed=5)
x8, y8 = normal(2, 5, 8), normal(2, 3, 8)
n = np.array([3, 5, 1])
LAYER = {
    "MultiHeadAttention": of_torch(x),
    "MultiHeadAttention: causal": of_torch(x, causal=True),
    "MultiHeadAttention: cross": of_torch(x, y),
    "MultiHeadAttention: query, key, value": of_torch(x, y, w),
    "MultiHeadAttention: one step of one row": of_torch(normal(1, 1, 6), causal=True),
    "MultiHeadAttention: no batch": of_torch(normal(4, 6)),
    "MultiHeadAttention: lengths": of_torch(y, n, names=("lengths",)),
    "MultiHeadAttention: lengths 1": of_torch(y, np.ones(3, int), names=("lengths",)),
    "MultiHeadAttention: lengths, cross": of_torch(x, y, n, names=("lengths",)),
    "MultiHeadAttention: lengths, query, key, value": of_torch(x, y, w, n, names=("lengths",)),
    "MultiHeadAttention: mask": of_torch(
        x, y, truths(4, 5) | np.eye(4, 5, dtype=bool), names=("mask",)
    ),
    "MultiHeadAttention: groups": of_paper(x8, kv_heads=2, causal=True),
    "MultiHeadAttention: groups, cross": of_paper(x8, y8, kv_heads=2),
    "MultiHeadAttention: one head of keys": of_paper(x8, kv_heads=1, bias=False),
    "MultiHeadAttention: rotary": of_paper(x8, rotary=True, causal=True),
    "MultiHeadAttention: rotary, groups, cross": of_paper(x8, y8, rotary=True, kv_heads=2),
    "MultiHeadAttention: alibi": of_paper(x8, alibi=True, causal=True),
    "MultiHeadAttention: alibi, cross": of_paper(x8, y8, alibi=True),
}


# Positions ----------------------------------------------------------------------------------------


def sinusoids(torch: Any) -> Any:
    """Vaswani et al. (2017), section 3.5."""

    def run(x: Any) -> Any:
        t, dim = np.arange(x.shape[-2])[:, None], x.shape[-1]
        added = np.zeros(x.shape[-2:])
        added[:, 0::2] = np.sin(t / 10000 ** (np.arange(0, dim, 2) / dim))
        added[:, 1::2] = np.cos(t / 10000 ** (np.arange(0, dim, 2) / dim))[:, : dim // 2]
        return x + torch.tensor(added)

    return run


def rotary_row(x: Array, **kwargs: Any) -> Row:
    def peer(torch: Any) -> Any:
        theirs = dict(kwargs)
        theirs["half"] = not theirs.pop("interleaved", True)
        return lambda x: turned(torch, x, **theirs)

    return Row(lambda: lambda x: nn.rotary(x, **kwargs), peer, (x,))


def alibi_row(heads: int, queries: int, keys: int) -> Row:
    """A bias times its argument, so that there is a gradient."""

    def ours(x: Any) -> Any:
        bias, y = nn.alibi(heads, queries, keys, "f64"), ph.tensors("y")
        h, t, u = ph.indices("h t u")
        y[h, t, u] = bias[h, t, u] * x[h, t, u]
        return y

    shape = heads, queries, keys
    return Row(
        lambda: ours, lambda torch: lambda x: x * torch.tensor(distances(*shape)), (normal(*shape),)
    )


def slopes_row(heads: int) -> Row:
    def ours(x: Any) -> Any:
        slope, y, h = nn.alibi_slopes(heads, "f64"), ph.tensors("y"), ph.index("h")
        y[h] = slope[h] * x[h]
        return y

    return Row(
        lambda: ours, lambda torch: lambda x: x * torch.tensor(slopes(heads)), (normal(heads),)
    )


POSITIONS = {
    "SinusoidalPositions": Row(lambda: nn.SinusoidalPositions(6), sinusoids, (normal(2, 5, 6),)),
    "SinusoidalPositions: odd": Row(lambda: nn.SinusoidalPositions(5), sinusoids, (normal(3, 5),)),
    "LearnedPositions": Row(
        lambda: nn.LearnedPositions(7, 6, dtype="f64"),
        lambda torch: lambda x, weight: x + weight[: x.shape[-2]],
        (normal(2, 5, 6),),
    ),
    "LearnedPositions: all": Row(
        lambda: nn.LearnedPositions(5, 6, dtype="f64"),
        lambda torch: lambda x, weight: x + weight,
        (normal(5, 6),),
    ),
    "rotary": rotary_row(normal(2, 3, 5, 6)),
    "rotary: halves": rotary_row(normal(5, 6), interleaved=False),
    "rotary: base, first": rotary_row(normal(2, 5, 4), base=500.0, first=3),
    "alibi": alibi_row(4, 5, 5),
    "alibi: 5 heads": alibi_row(5, 3, 4),
    "alibi_slopes": slopes_row(8),
    "alibi_slopes: 1": slopes_row(1),
    "alibi_slopes: 12": slopes_row(12),
}
ROWS = {**FUNCTION, **LAYER, **POSITIONS}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((attention, positions), ROWS)


# Padding, dropout, start, names -------------------------------------------------------------------


def run(layer: Any, *args: Array, backend: str = "numpy", **kwargs: Array) -> Array:
    return np.asarray(ph.jit(lambda m, a, k: m(*a, **k), backend=backend)(layer, args, kwargs))


def made(*args: Any, **kwargs: Any) -> Any:
    layer = nn.MultiHeadAttention(*args, **kwargs, dtype="f64")
    layer.initialize(1)
    return layer


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_padded_keys_influence_nothing_even_if_they_are_nan(backend: str) -> None:
    layer, spoilt = made(6, 2), y.copy()
    for row, length in enumerate(n):
        spoilt[row, length:] = np.nan

    def loss(layer: Any, x: Any, y: Any, n: Any) -> Any:
        b, t, e = ph.indices("b t e")
        return ph.sum[b, t, e](ph.sin(layer(x, y, lengths=n)[b, t, e]))

    f = ph.grad(loss, backend=backend)
    clean, found = f(layer, x, y, n), f(layer, x, spoilt, n)
    for name, gradient in found.items():
        assert_array_equal(gradient, clean[name])
    of_y = ph.grad(lambda y, x, n: loss(layer, x, y, n), backend=backend)(spoilt, x, n)[0]
    for row, length in enumerate(n):
        assert_array_equal(of_y[row, length:], 0)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_a_row_without_keys_attends_to_nothing(backend: str) -> None:
    layer = made(6, 2)
    found = run(layer, x, y, lengths=np.array([0, 5, 0]), backend=backend)
    assert_array_equal(found[0], np.broadcast_to(layer.out_proj.bias.value, (4, 6)))
    assert np.isfinite(found).all()


def test_causal_may_be_chosen_at_the_call() -> None:
    layer, causal = made(6, 2), made(6, 2, causal=True)
    found = np.asarray(ph.jit(lambda m, x: m(x, causal=True), backend="numpy")(layer, x))
    assert_allclose(found, run(causal, x), rtol=1e-12)


def test_dropout_takes_weights_off_in_training_only() -> None:
    layer, plain = made(6, 2, dropout=0.5), made(6, 2)
    assert (np.abs(run(layer, y) - run(plain, y)) > 1e-3).any()
    layer.training = False
    assert_array_equal(run(layer, y), run(plain, y))


def test_parameters_have_pytorchs_names_and_shapes() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(6, 2)
    want = {name: tuple(t.shape) for name, t in theirs.named_parameters()}
    assert {name: t.shape for name, t in made(6, 2).parameters.items()} == want
    assert made(6, 3, kv_heads=1).in_proj_weight.shape == (10, 6)


def test_values_at_the_start() -> None:
    layer = nn.MultiHeadAttention(40, 4)
    layer.initialize(1)
    assert_array_equal(layer.in_proj_bias.value, 0)
    assert np.abs(layer.in_proj_weight.value).max() < 0.4
    learned = nn.LearnedPositions(50, 40)
    learned.initialize(1)
    assert_allclose(learned.weight.value.std(), 0.02, rtol=0.1)


# What is refused ----------------------------------------------------------------------------------

X, Y, Q, K = ph.tensor(x, "x"), ph.tensor(y, "y"), ph.tensor(q, "q"), ph.tensor(k, "k")
sdpa = nn.scaled_dot_product_attention


def layer(*args: Any, **kwargs: Any) -> Any:
    return nn.MultiHeadAttention(6, 2, dtype="f64")(*args, **kwargs)


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no tensor": (
        lambda: sdpa(q, K, K),
        UsageError,
        r"attention takes tensors, not ndarray: ph\.tensor\(x\) makes one",
    ),
    "steps of keys and values": (
        lambda: sdpa(Q, K, Q),
        ShapeError,
        r"attention got q \(2, 4, 4, 3\), k \(2, 4, 6, 3\) and v \(2, 4, 4, 3\): "
        "k and v have the same heads and steps",
    ),
    "features": (
        lambda: sdpa(Q, ph.tensor(v), ph.tensor(v)),
        ShapeError,
        "q and k have the same last axis",
    ),
    "batch": (
        lambda: sdpa(Q, ph.tensor(k[:1]), ph.tensor(k[:1])),
        ShapeError,
        "all three have the same batch",
    ),
    "heads": (
        lambda: sdpa(Q, ph.tensor(k[:, :3]), ph.tensor(k[:, :3])),
        ShapeError,
        "the heads of q are a multiple of those of k",
    ),
    "mask, no tensor": (
        lambda: sdpa(Q, K, K, mask=True),
        UsageError,
        "mask is a tensor of truth values, not bool",
    ),
    "mask of numbers": (
        lambda: sdpa(Q, K, K, mask=ph.tensor(normal(4, 6))),
        DTypeError,
        r"mask holds truth values \(true: may be seen\), not f64: numbers that are added",
    ),
    "mask's shape": (
        lambda: sdpa(Q, K, K, mask=ph.tensor(truths(4, 5))),
        ShapeError,
        r"mask has shape \(4, 5\), which does not fit the scores' \(2, 4, 4, 6\)",
    ),
    "mask's axes": (
        lambda: sdpa(Q, K, K, mask=ph.tensor(truths(1, 1, 1, 4, 6))),
        ShapeError,
        r"mask has shape \(1, 1, 1, 4, 6\), which does not fit",
    ),
    "bias, no tensor": (
        lambda: sdpa(Q, K, K, bias=1.0),
        UsageError,
        "bias is a tensor of numbers, not float",
    ),
    "bias of truth values": (
        lambda: sdpa(Q, K, K, bias=ph.tensor(truths(4, 6))),
        DTypeError,
        "bias holds floating numbers, not bool",
    ),
    "heads of a layer": (
        lambda: nn.MultiHeadAttention(6, 4),
        UsageError,
        "cannot share 6 features among 4 heads",
    ),
    "heads of keys": (
        lambda: nn.MultiHeadAttention(8, 4, kv_heads=3),
        UsageError,
        "cannot share 8 features among 4 heads, and these among 3 heads of keys",
    ),
    "pairs of features": (
        lambda: nn.MultiHeadAttention(6, 2, rotary=True),
        UsageError,
        "rotary positions turn pairs of features, but a head has 3 of them",
    ),
    "dropout": (
        lambda: nn.MultiHeadAttention(6, 2, dropout=-0.1),
        UsageError,
        "probability from 0 to below 1, not -0.1",
    ),
    "batches": (
        lambda: layer(X, ph.tensor(y[:2])),
        ShapeError,
        r"MultiHeadAttention got queries \(3, 4, 6\), keys \(2, 5, 6\) and values \(2, 5, 6\)",
    ),
    "features of a layer": (
        lambda: layer(ph.tensor(x8)),
        ShapeError,
        r"MultiHeadAttention has 6 features, but axis -1 of shape \(2, 5, 8\) has 8",
    ),
    "a length too long": (
        lambda: layer(X, Y, lengths=ph.tensor(np.array([1, 6, 2]))).value,
        IndexRangeError,
        "6 at b = 1",
    ),
    "more steps than positions": (
        lambda: nn.LearnedPositions(3, 6, dtype="f64")(X),
        ShapeError,
        r"LearnedPositions has 3 positions, but axis -2 of shape \(3, 4, 6\) has 4",
    ),
    "rotary, no tensor": (lambda: nn.rotary(x), UsageError, "rotary takes a tensor, not ndarray"),
    "rotary, odd": (
        lambda: nn.rotary(ph.tensor(normal(4, 5))),
        ShapeError,
        r"rotary takes a tensor \[..., t, d\] with an even d, not shape \(4, 5\)",
    ),
    "alibi": (
        lambda: nn.alibi_slopes(0),
        UsageError,
        "heads of alibi is a whole number from 1 on, not 0",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
