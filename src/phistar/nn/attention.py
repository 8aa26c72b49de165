"""Attention: every query takes a mean of the values, weighted by how well their keys fit.

    p[b, h, t, u] = softmax[u : u <= t](q[b, h, t, d] k[b, h, u, d] / sqrt(D))
    o[b, h, t, d] = p[b, h, t, u] v[b, h, u, d]

What may not be seen stands outside the softmax's domain; a query that may see nothing gives 0.
With fewer heads of keys than of queries, the query heads (h, g) share the key head h.
"""

from collections.abc import Callable
from typing import Any

import phistar as ph
from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.lengths import batch, real_steps, without_padding
from phistar.nn.linear import Linear
from phistar.nn.noise import Dropout
from phistar.nn.positions import alibi, rotary
from phistar.nn.shapes import expect, expect_size, whole

Subscripts = tuple[Any, ...]
d, e = ph.indices("d e")


def scaled_dot_product_attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    scale: float | None = None,
    bias: Any = None,
) -> Tensor:
    """softmax(q k / sqrt(D) + bias) v: q[..., h, t, d], k[..., h, u, d] -> o[..., h, t, e].

    v[..., h, u, e]. k and v may have fewer heads, of which each serves as many query heads in a
    row. mask: truth values, true where a query may see a key; bias: numbers added to the scores;
    both of shape [..., h, t, u], or with fewer axes, or with 1 for some: the same for all. causal:
    query t sees the keys u <= t. scale: in place of 1 / sqrt(D). A query that sees nothing gives 0.
    Raises UsageError, ShapeError or DTypeError for what does not fit. Vaswani et al. (2017).
    """
    return attend(q, k, v, mask, causal, scale, bias)


def attend(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    causal: bool = False,
    scale: float | None = None,
    bias: Any = None,
    lengths: Tensor | None = None,
    drop: Callable[[Tensor], Tensor] = lambda p: p,
) -> Tensor:
    """The same, where keys from n[b] on are padding, and weights may be dropped."""
    check(q, k, v)
    b, own, shared, apart = subscripts(q.shape[:-2], k.shape[:-2])
    t, u = Index("t", q.shape[-2]), Index("u", k.shape[-2])
    sizes = (*q.shape[:-1], k.shape[-2])
    p, o = Tensor("p"), Tensor("o")
    score: Any = q[(*b, *own, t, d)] * k[(*b, *shared, u, d)]
    score = score / ph.sqrt(d.size) if scale is None else score * scale
    if bias is not None:
        floating(bias)
        score = score + bias[spread("bias", bias.shape, (*b, *own, t, u), sizes)]
    seen = [u <= t] if causal else []
    if lengths is not None:
        seen.append(u < lengths[b])
    if mask is not None:
        truth(mask)
        seen.append(mask[spread("mask", mask.shape, (*b, *own, t, u), sizes)])
    p[(*b, *apart, t, u)] = ph.softmax[domain(u, seen)](score)
    p = drop(p)
    o[(*b, *own, t, e)] = p[(*b, *apart, t, u)] * v[(*b, *shared, u, e)]
    return o


def domain(u: Index, conditions: list[Any]) -> Any:
    """u, or "u such that" all conditions hold."""
    if not conditions:
        return u
    together = conditions[0]
    for condition in conditions[1:]:
        together = together & condition
    return slice(u, together)


def subscripts(
    queries: tuple[int, ...], keys: tuple[int, ...]
) -> tuple[Subscripts, Subscripts, Subscripts, Subscripts]:
    """Of the batch; then of the heads: of the queries, of the keys, of the weights.

    With as many heads of each, h; else the queries' heads are a group (h, g).
    """
    b = batch(queries[:-1])
    if not queries:
        return b, (), (), ()
    if queries[-1] == keys[-1]:
        h = Index("h", queries[-1])
        return b, (h,), (h,), (h,)
    h, g = Index("h", keys[-1]), Index("g", queries[-1] // keys[-1])
    return b, ((h, g),), (h,), (h, g)


def spread(what: str, shape: tuple[int, ...], at: Subscripts, sizes: tuple[int, ...]) -> Subscripts:
    """The subscripts of a mask or bias, whose axes are the scores' last ones or have size 1."""
    last = sizes[len(sizes) - len(shape) :]
    if len(shape) > len(sizes) or any(n not in (1, m) for n, m in zip(shape, last, strict=True)):
        raise ShapeError(
            f"{what} has shape {shape}, which does not fit the scores' {sizes}: "
            "its axes are the last of these, or have size 1"
        )
    return tuple(0 if n == 1 else i for n, i in zip(shape, at[len(at) - len(shape) :], strict=True))


# What is refused ----------------------------------------------------------------------------------


def check(q: Any, k: Any, v: Any) -> None:
    """Queries, keys and values fit together; UsageError or ShapeError otherwise."""
    for x in (q, k, v):
        if not isinstance(x, Tensor):
            raise UsageError(
                f"attention takes tensors, not {type(x).__name__}: ph.tensor(x) makes one"
            )
    shapes = q.shape, k.shape, v.shape
    if len(q.shape) < 2 or len(k.shape) != len(q.shape) or k.shape[:-1] != v.shape[:-1]:
        refuse(shapes, "k and v have the same heads and steps, all three as many axes")
    if q.shape[-1] != k.shape[-1]:
        refuse(shapes, "q and k have the same last axis")
    if q.shape[:-3] != k.shape[:-3]:
        refuse(shapes, "all three have the same batch")
    if len(q.shape) > 2 and q.shape[-3] % k.shape[-3]:
        refuse(shapes, "the heads of q are a multiple of those of k")


def refuse(shapes: tuple[tuple[int, ...], ...], fact: str) -> None:
    q, k, v = shapes
    raise ShapeError(f"attention got q {q}, k {k} and v {v}: {fact}")


def truth(mask: Any) -> None:
    """A mask holds truth values; UsageError or DTypeError otherwise."""
    if not isinstance(mask, Tensor):
        raise UsageError(f"mask is a tensor of truth values, not {type(mask).__name__}")
    if mask.dtype is not DType.BOOL:
        raise DTypeError(
            f"mask holds truth values (true: may be seen), not {mask.dtype.value}: "
            "numbers that are added to the scores are the bias"
        )


def floating(bias: Any) -> None:
    """A bias holds floating numbers; UsageError or DTypeError otherwise."""
    if not isinstance(bias, Tensor):
        raise UsageError(f"bias is a tensor of numbers, not {type(bias).__name__}")
    if not bias.dtype.is_float:
        raise DTypeError(f"bias holds floating numbers, not {bias.dtype.value}")


# The layer ----------------------------------------------------------------------------------------


class MultiHeadAttention(ph.Model):
    """Attention with several heads: query[b, t, embed], key, value [b, u, embed] -> [b, t, embed].

    q[b, h, t, d] = W[D h + d, e] x[b, t, e] + c[D h + d], likewise k and v; attention over them;
    then out_proj over all heads side by side. Without key and value it is self-attention.

    kv_heads: fewer heads of keys and values than of queries (Ainslie et al. 2023). causal: query t
    sees the keys u <= t. dropout: of the weights, in training. rotary: queries and keys turn by
    their positions; alibi: distance is taken off the scores (see `phistar.nn.positions`).

    Parameters are PyTorch's: in_proj_weight (embed + 2 kv_heads D, embed) with the rows of q, k
    and v in this order, in_proj_bias, out_proj.weight, out_proj.bias; D = embed / heads.

    Called with `mask`: truth values [b, h, t, u], true where a query may see a key (PyTorch's
    layer has it the other way round), or with fewer axes, or 1 for some; `lengths`: a tensor [b],
    keys from there on are padding; `causal` in place of the layer's own. A query that sees nothing
    attends to 0. Raises UsageError for arguments that do not fit together, ShapeError for tensors
    that do not.
    """

    def __init__(
        self,
        embed: int,
        heads: int,
        kv_heads: int | None = None,
        causal: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
        rotary: bool = False,
        alibi: bool = False,
        init: Any = None,
        dtype: Any = "f32",
    ) -> None:
        self.embed, self.heads = whole(self, "embed", embed), whole(self, "heads", heads)
        self.kv_heads = whole(self, "kv_heads", heads if kv_heads is None else kv_heads)
        if embed % heads or heads % self.kv_heads:
            raise UsageError(
                f"MultiHeadAttention cannot share {embed} features among {heads} heads, "
                f"and these among {self.kv_heads} heads of keys: each must divide the one before"
            )
        self.size = embed // heads
        if rotary and self.size % 2:
            raise UsageError(
                f"rotary positions turn pairs of features, but a head has {self.size} of them"
            )
        self.causal, self.rotary, self.alibi, self.dtype = causal, rotary, alibi, dtype
        rows = embed + 2 * self.kv_heads * self.size
        start = ph.init.xavier_uniform() if init is None else init
        self.in_proj_weight = ph.param(rows, embed, init=start, dtype=dtype)
        self.in_proj_bias = ph.param(rows, init=0, dtype=dtype) if bias else None
        self.out_proj = Linear(embed, embed, bias=bias, init=init, dtype=dtype)
        self.dropped = Dropout(dropout)

    def __call__(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        mask: Any = None,
        lengths: Any = None,
        causal: bool | None = None,
    ) -> Any:
        key = query if key is None else key
        value = key if value is None else value
        shape, keys = self.shapes(query, key, value)
        n = None if lengths is None else real_steps(self, lengths, keys[:-2], keys[-2])
        if n is not None:
            b, one = batch(keys[:-2]), value is key
            key = without_padding(key, n, b, (Index("e", self.embed),))
            value = key if one else without_padding(value, n, b, (Index("e", self.embed),))
        q, k, v = self.projected(query, key, value)
        if self.rotary:
            q, k = rotary(q), rotary(k)
        bias = alibi(self.heads, shape[-2], keys[-2], self.dtype) if self.alibi else None
        causal = self.causal if causal is None else causal
        o = attend(q, k, v, mask, causal, None, bias, n, self.dropped)
        return self.out_proj(side_by_side(o))

    def shapes(self, query: Any, key: Any, value: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of queries and keys; ShapeError if they do not fit together."""
        found = [expect(x, self, least=2) for x in (query, key, value)]
        for shape in found:
            expect_size(self, "features", self.embed, shape, -1)
        queries, keys, values = found
        if queries[:-2] != keys[:-2] or keys != values:
            raise ShapeError(
                f"MultiHeadAttention got queries {queries}, keys {keys} and values {values}: "
                "their batches must be the same, and keys and values as many"
            )
        return queries, keys

    def projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values: [b, h, t, d] each."""
        n = self.kv_heads * self.size
        q = self.in_heads(query, 0, self.heads)
        k = self.in_heads(key, self.embed, self.kv_heads)
        return q, k, self.in_heads(value, self.embed + n, self.kv_heads)

    def in_heads(self, x: Tensor, row: int, heads: int) -> Tensor:
        """s[b, t, m] = W[row + m, e] x[b, t, e] + c[row + m], y[b, h, t, d] = s[b, t, (h, d)]."""
        b, t, m = batch(x.shape[:-2]), Index("t", x.shape[-2]), Index("m", heads * self.size)
        h, d, s, y = Index("h", heads), Index("d", self.size), Tensor("s"), Tensor("y")
        product: Any = self.in_proj_weight[row + m, e] * x[(*b, t, e)]
        if self.in_proj_bias is not None:
            product = product + self.in_proj_bias[row + m]
        s[(*b, t, m)] = product
        y[(*b, h, t, d)] = s[(*b, t, (h, d))]
        return y


def side_by_side(o: Tensor) -> Tensor:
    """o[b, h, t, d] -> y[b, t, (h, d)]."""
    b, y = batch(o.shape[:-3]), Tensor("y")
    h, t, d = (Index(i, n) for i, n in zip("htd", o.shape[-3:], strict=True))
    y[(*b, t, (h, d))] = o[(*b, h, t, d)]
    return y
