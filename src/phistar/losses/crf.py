"""Linear-chain conditional random fields (Lafferty et al. 2001): a score for a whole chain of tags.

s(y) = start[y_0] + Σ_t e[t, y_t] + Σ_t A[y_t, y_(t+1)] + end[y_T]
-ln P(y) = ln Σ_y' e^s(y') - s(y)        α[t, j] = e[t, j] + logsumexp_i(α[t - 1, i] + A[i, j])
"""

from dataclasses import dataclass
from typing import Any

from phistar.errors import ShapeError
from phistar.language.expression import Expr, Index, lift
from phistar.language.functions import cast, equal, where
from phistar.language.reductions import argmax, logsumexp, max, sum
from phistar.language.scans import scan
from phistar.language.subscripts import first, last, pad
from phistar.language.tensors import Tensor
from phistar.losses.operands import (
    Indices,
    axes,
    expect_rank,
    expect_shape,
    floats,
    reduced,
    wholes,
)

t, i, j = Index("t"), Index("i"), Index("j")


@dataclass(frozen=True, eq=False)
class Chain:
    """The scores of a chain's tags: e[b, t, j], A[i, j] from i to j, start[j], end[j]; lengths."""

    e: Tensor
    A: Tensor
    start: Tensor
    end: Tensor
    n: Indices  # of the examples
    steps: Expr  # how many count

    def inside(self, u: Any) -> Expr:
        """Whether a step counts."""
        return lift(u) < self.steps


def chain(emissions: Any, transitions: Any, start: Any, end: Any, lengths: Any, what: str) -> Chain:
    """The arguments, checked; no start or end scores are zeros."""
    e = floats(emissions, "emissions")
    expect_rank(e, 2, f"emissions of {what}")
    n, tags = axes(len(e.shape) - 2, skip="tuij"), e.shape[-1]
    A = floats(transitions, "transitions", e)
    expect_shape(A, (tags, tags), f"transitions of {what}")
    ends = [
        floats([0.0] * tags if given is None else given, name, e)
        for name, given in (("start", start), ("end", end))
    ]
    for name, made in zip(("start", "end"), ends, strict=True):
        expect_shape(made, (tags,), f"{name} of {what}")
    steps = lift(e.shape[-2])
    if lengths is not None:
        given = wholes(lengths, "lengths")
        expect_shape(given, e.shape[:-2], f"lengths of {what}")
        steps = cast(given[n], "i64")
    if e.shape[-2] == 0:
        raise ShapeError(f"emissions of {what} have no steps: {e.shape}")
    return Chain(e, A, ends[0], ends[1], n, steps)


def crf_nll(
    emissions: Any,
    tags: Any,
    transitions: Any,
    start: Any = None,
    end: Any = None,
    lengths: Any = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """-ln P(tags) of a linear chain: ln Σ over all chains of e^score, less the score of the tags.

    emissions: scores [t, j] or [b, t, j]; tags: [t] or [b, t]; transitions: scores [i, j] of tag j
    after tag i; start, end: scores [j] of the first and the last tag (None: 0); lengths: [b], the
    steps that count (None: all; a chain of length 0 costs 0). reduction: over the chains.
    Raises ShapeError, DTypeError; tags out of range are IndexRangeErrors when the program runs.
    """
    c = chain(emissions, transitions, start, end, lengths, "crf_nll")
    y = wholes(tags, "tags")
    expect_shape(y, c.e.shape[:-1], "tags of crf_nll")
    l = where(c.steps > 0, partition(c) - score(c, y), 0)
    return reduced(l, c.n, reduction)


def partition(c: Chain) -> Expr:
    """ln Σ over all chains of e^score: the forward recurrence in log space."""
    n, a, lnZ = c.n, Tensor("a"), Tensor("lnZ")
    a[(*n, first - 1, j)] = cast(0.0, c.e.dtype)
    with scan(t):
        before = logsumexp[i](a[(*n, t - 1, i)] + c.A[i, j])
        a[(*n, t, j)] = where(
            c.inside(t),
            c.e[(*n, t, j)] + where(t > 0, before, c.start[j]),
            a[(*n, t - 1, j)],
        )
    lnZ[n] = logsumexp[j](a[(*n, last, j)] + c.end[j])
    return lnZ[n]


def score(c: Chain, tags: Tensor) -> Expr:
    """The score of one chain of tags."""
    n, y, s = c.n, Tensor("y"), Tensor("score")
    y[(*n, t)] = where(c.inside(t), cast(tags[(*n, t)], "i64"), 0)
    here = sum[t : c.inside(t)](c.e[(*n, t, y[(*n, t)])])
    ends = c.start[y[(*n, 0)]] + sum[t : equal(t, c.steps - 1)](c.end[y[(*n, t)]])
    after = c.A[y[(*n, pad(t, 1, 0))], y[(*n, t)]]
    s[n] = here + ends + sum[t : c.inside(t) & (t > 0)](after)
    return s[n]


def crf_decode(
    emissions: Any,
    transitions: Any,
    start: Any = None,
    end: Any = None,
    lengths: Any = None,
    *,
    padding: int = -1,
) -> Tensor:
    """The best chain of tags, by the Viterbi algorithm (1967): whole numbers [t] or [b, t].

    Arguments as for `crf_nll`. padding: what stands after the end of a chain. Of equal chains the
    one with the smaller tags, from the last on, wins.
    """
    c = chain(emissions, transitions, start, end, lengths, "crf_decode")
    n, v, before = c.n, Tensor("v"), Tensor("before")
    v[(*n, first - 1, j)] = cast(0.0, c.e.dtype)
    with scan(t):
        best = max[i](v[(*n, t - 1, i)] + c.A[i, j])
        before[(*n, t, j)] = where(
            c.inside(t) & (t > 0), argmax[i](v[(*n, t - 1, i)] + c.A[i, j]), j
        )
        v[(*n, t, j)] = where(
            c.inside(t), c.e[(*n, t, j)] + where(t > 0, best, c.start[j]), v[(*n, t - 1, j)]
        )
    return followed_back(c, v, before, padding)


def followed_back(c: Chain, v: Tensor, before: Tensor, padding: int) -> Tensor:
    """From the best last tag, the tag before each: w[t] is that of step t - 1."""
    n, w, y, tags = c.n, Tensor("w"), Tensor("y"), Tensor("tags")
    w[(*n, last + 1)] = argmax[j](v[(*n, last, j)] + c.end[j])
    with scan(t, backwards=True):
        y[(*n, t)] = w[(*n, t + 1)]
        w[(*n, t)] = before[(*n, t, w[(*n, t + 1)])]
    tags[(*n, t)] = where(c.inside(t), y[(*n, t)], padding)
    return tags
