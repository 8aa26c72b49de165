"""Where the implicit sum goes.

An index that is neither on the left, nor bound by a reduction, nor run by a scan, is summed over
the product in which exactly two factors contain it. Each term of a + or -, and each argument of a
function, is looked at by itself; only * sums, never / or **. If such an index stands in one factor,
in three, or if a product inside one of the two factors also has it twice, phistar does not choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NoReturn

from phistar.errors import SummationError
from phistar.ir.primitives import Primitive, Reduction
from phistar.language.expression import Call, Element, Expr, Index, Reduced, with_children
from phistar.language.notation import show

# Raises SummationError with the equation: what is wrong, what to do, the nodes to mark, and the
# index, if it is one that stands in one factor only.
Refuse = Callable[..., NoReturn]


class StandsAlone(Exception):
    """An index of an expression without a left side that no product sums."""


def open_indices(e: Expr) -> tuple[Index, ...]:
    """The indices of an expression without a left side that no product sums: they are its axes."""
    kept: set[str] = set()

    def refuse(what: str, facts: str, marked: tuple[Expr, ...], single: str = "") -> NoReturn:
        if single:
            raise StandsAlone(single)
        raise SummationError(f"{what}\n  {show(e)}\n  {facts}")

    while True:
        try:
            place_sums(e, frozenset(kept), refuse)
        except StandsAlone as alone:
            kept.add(str(alone))
        else:
            return tuple(index for name, index in e.free.items() if name in kept)


def place_sums(e: Expr, kept: frozenset[str], refuse: Refuse) -> Expr:
    """e with every implicit sum written out; `kept` are the indices that are not summed."""
    names = frozenset(e.free) - kept
    return place(e, names, e, refuse) if names else e


def place(e: Expr, names: frozenset[str], term: Expr, refuse: Refuse) -> Expr:
    """e with the indices `names` summed inside it; `term` is what a refusal proposes to sum."""
    names = names & frozenset(e.free)
    if not names:
        return e
    match e:
        case Call(function=Primitive.MUL):
            return place_in_product(e, names, term, refuse)
        case Call(function=Primitive.ADD | Primitive.SUB | Primitive.NEG) if e is term:
            return with_children(e, tuple(place(a, names, a, refuse) for a in e.args))
        case Element() | Index():
            refuse_single(e, names, term, refuse)
        case Reduced():
            return with_children(e, tuple(place(c, names, c, refuse) for c in e.children))
    if not e.children:
        refuse_single(e, names, term, refuse)
    return with_children(e, tuple(place(c, names, term, refuse) for c in e.children))


def refuse_single(e: Expr, names: frozenset[str], term: Expr, refuse: Refuse) -> NoReturn:
    name = next(n for n in e.free if n in names)
    refuse(
        f"index {name} is neither on the left nor in exactly two factors of a product",
        f"if a sum is meant, write it: {proposal(name, term)}",
        (e,),
        name,
    )


def proposal(name: str, term: Expr) -> str:
    return f"ph.sum[{name}]({show(term)})"


def place_in_product(e: Expr, names: frozenset[str], term: Expr, refuse: Refuse) -> Expr:
    factors = tuple(product_factors(e))
    summed: list[Index] = []
    inner: set[str] = set()
    for name, index in e.free.items():
        if name not in names:
            continue
        having = tuple(f for f in factors if name in f.free)
        if len(having) == 1:
            inner.add(name)
        elif len(having) > 2:
            refuse(
                f"index {name} is in {len(having)} factors of one product, not in exactly two",
                f"if one sum over all of them is meant, write it: {proposal(name, e)}",
                having,
            )
        else:
            refuse_captured(name, having, e, refuse)
            summed.append(index)
    body = place_in_factors(e, frozenset(inner), refuse)
    return Reduced(Reduction.SUM, tuple(summed), body, implicit=True) if summed else body


def place_in_factors(e: Expr, names: frozenset[str], refuse: Refuse) -> Expr:
    """The product e with the sums that belong inside one factor placed there."""
    if not names:
        return e
    if isinstance(e, Call) and e.function is Primitive.MUL:
        return with_children(e, tuple(place_in_factors(a, names, refuse) for a in e.args))
    return place(e, names, e, refuse)


def refuse_captured(name: str, having: tuple[Expr, ...], e: Expr, refuse: Refuse) -> None:
    """A product inside one of the two factors that also has the index twice is ambiguous."""
    for factor in having:
        for product in inner_products(factor, name):
            refuse(
                f"index {name} is in two factors, one of which has a product "
                f"over {name} of its own",
                f"say which sum is meant: {proposal(name, product)} or {proposal(name, e)}",
                having,
            )


def product_factors(e: Expr) -> Iterator[Expr]:
    """The factors of a chain of *, in order."""
    if isinstance(e, Call) and e.function is Primitive.MUL:
        for a in e.args:
            yield from product_factors(a)
    else:
        yield e


def inner_products(e: Expr, name: str) -> Iterator[Expr]:
    """The products inside e of which two factors or more contain the index."""
    if name not in e.free:
        return
    if isinstance(e, Call) and e.function is Primitive.MUL:
        factors = tuple(product_factors(e))
        if sum(name in f.free for f in factors) > 1:
            yield e
        for factor in factors:
            yield from inner_products(factor, name)
        return
    if not isinstance(e, Element):
        for child in e.children:
            yield from inner_products(child, name)
