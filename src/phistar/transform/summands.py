"""An expression as a sum of what a `+=` statement each can hold.

    summand ::= Σ_{indices : condition} body, with no Σ at the top of body

Signs and constant factors move inside the Σ; a Σ of a sum is taken apart where a term of it is a Σ
again; and everything at one level that has no Σ at its top stays together as one summand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from phistar.ir.build import apply, index_value, reduce
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import Affine, Apply, Expr, Index, Reduce
from phistar.ir.walk import fresh, mentioned_indices, substitute
from phistar.transform.guards import both, is_constant

SUMS = frozenset({Reduction.SUM, Reduction.MEAN, Reduction.CUMSUM})


@dataclass(frozen=True)
class Summand:
    """The sum of body over the indices, where the condition holds."""

    indices: tuple[Index, ...]
    condition: Expr | None
    body: Expr


def as_sum(e: Reduce) -> Expr:
    """A mean or a cumulative sum written with Σ; any other reduction as it is."""
    match e.reduction:
        case Reduction.MEAN:
            return _mean(e)
        case Reduction.CUMSUM:
            return _cumulative(e)
    return e


def _mean(e: Reduce) -> Expr:
    if e.condition is None:
        return reduce(Reduction.SUM, e.indices, e.body / prod(i.size for i in e.indices))
    count = reduce(Reduction.SUM, e.indices, apply(Primitive.WHERE, e.condition, 1, 0))
    total = reduce(Reduction.SUM, e.indices, e.body, e.condition)
    return total / apply(Primitive.MAXIMUM, count, 1)


def _cumulative(e: Reduce) -> Expr:
    (index,) = e.indices
    earlier = fresh(index, mentioned_indices(e))
    body = substitute(e.body, {index: Affine(((earlier, 1),))})
    condition = index_value(earlier) <= index_value(index)
    return reduce(Reduction.SUM, (earlier,), body, condition)


def exposes_sum(e: Expr) -> bool:
    """Whether a Σ stands at the top of e, or under nothing but + - and constant factors."""
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, Reduce) and node.reduction in SUMS and not _is_weighted(node):
            return True
        stack.extend(part for part, _ in linear_parts(node))
    return False


def _is_weighted(e: Reduce) -> bool:
    """Whether e is a mean whose count is only known when the program runs."""
    return e.reduction is Reduction.MEAN and e.condition is not None


Wrap = Callable[[Expr], Expr]


def linear_parts(e: Expr) -> list[tuple[Expr, Wrap]]:
    """What e is a linear combination of, and what is done to each; [] if it is none."""
    match e:
        case Apply(Primitive.ADD, (a, b)):
            return [(a, _same), (b, _same)]
        case Apply(Primitive.SUB, (a, b)):
            return [(a, _same), (b, _negative)]
        case Apply(Primitive.NEG, (a,)):
            return [(a, _negative)]
        case Apply(Primitive.MUL, (a, b)) if is_constant(a):
            return [(b, lambda x: a * x)]
        case Apply(Primitive.MUL | Primitive.DIV as f, (a, b)) if is_constant(b):
            return [(a, lambda x: apply(f, x, b))]
    return []


def _same(e: Expr) -> Expr:
    return e


def _negative(e: Expr) -> Expr:
    return -e


def terms(e: Expr) -> Iterator[tuple[Expr, tuple[Wrap, ...]]]:
    """The terms of e in order, each with what is done to it, innermost first.

    A term is a Σ, or has no Σ at its top.
    """
    stack: list[tuple[Expr, tuple[Wrap, ...]]] = [(e, ())]
    while stack:
        node, wraps = stack.pop()
        parts = linear_parts(node) if exposes_sum(node) else []
        if not parts:
            yield node, wraps
        stack.extend((part, (wrap, *wraps)) for part, wrap in reversed(parts))


def wrapped(e: Expr, wraps: tuple[Wrap, ...]) -> Expr:
    for wrap in wraps:
        e = wrap(e)
    return e


def summands(e: Expr) -> list[Summand]:
    """e as a sum of summands, in the order in which it is written."""
    out: list[Summand] = []
    rest: int | None = None  # where the terms without a Σ are collected
    for term, wraps in terms(e):
        if exposes_sum(term):
            assert isinstance(term, Reduce)
            out.extend(_inside(term, wraps))
        elif rest is None:
            rest = len(out)
            out.append(Summand((), None, wrapped(term, wraps)))
        else:
            out[rest] = Summand((), None, joined(out[rest].body, term, wraps))
    return out


def joined(total: Expr, term: Expr, wraps: tuple[Wrap, ...]) -> Expr:
    """total + term, or total - term where that is what the wraps say."""
    if wraps == (_negative,):
        return total - term
    return total + wrapped(term, wraps)


def _inside(term: Reduce, wraps: tuple[Wrap, ...]) -> Iterator[Summand]:
    """The summands of a Σ, its own indices and condition put to each."""
    total = as_sum(term)
    assert isinstance(total, Reduce)
    for inner in summands(total.body):
        yield Summand(
            (*total.indices, *inner.indices),
            both(total.condition, inner.condition),
            wrapped(inner.body, wraps),
        )
