"""Indices that are only divided evenly become two: `x[b, p // 2]` is `x[b, p1]` where p = (p1, p2).

What would be read through index arrays (upsampling and its gradient, say) is then a view.
"""

from collections.abc import Iterator
from dataclasses import replace

from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Assign,
    Atom,
    Expr,
    Index,
    Load,
    Pad,
    Quotient,
    Random,
    Remainder,
    Subscript,
)
from phistar.ir.walk import (
    affine_indices,
    all_indices,
    expressions,
    nodes,
    rewrite,
    substitute,
    target_indices,
)


def split_indices(a: Assign, scans: tuple[Index, ...]) -> Assign:
    """The assignment with each index that // and % always divide by one number split in two."""
    for index in all_indices(a):
        divisor = None if index in scans else even_divisor(a, index)
        if divisor is not None:
            a = split(a, index, divisor)
    return a


def even_divisor(a: Assign, index: Index) -> int | None:
    """The number that every // and % of an index divides by, if its size is a multiple of it."""
    found: set[int | None] = set()
    for atom in divided(a):
        if index in affine_indices(atom.affine):
            found.add(atom.divisor if atom.affine.bare == index else None)
    if len(found) != 1:
        return None
    (divisor,) = found
    fits = divisor is not None and divisor > 1 and index.size % divisor == 0
    return divisor if fits and index.size else None


def divided(a: Assign) -> Iterator[Quotient | Remainder]:
    """Every // and % in the subscripts of an assignment."""
    for e in (a.target, *expressions(a)):
        for node in nodes(e):
            if isinstance(node, Load):
                for s in node.subscripts:
                    affine = s.position if isinstance(s, Pad) else s
                    if isinstance(affine, Affine):
                        yield from divided_atoms(affine)


def divided_atoms(a: Affine) -> Iterator[Quotient | Remainder]:
    for atom, _ in a.terms:
        if not isinstance(atom, Index):
            yield atom
            yield from divided_atoms(atom.affine)


def split(a: Assign, index: Index, divisor: int) -> Assign:
    """a with index = divisor * high + low."""
    high = Index(f"{index.name}//{divisor}", index.size // divisor)
    low = Index(f"{index.name}%{divisor}", divisor)
    whole = Affine(((high, divisor), (low, 1)))

    def atom(old: Atom) -> Atom:
        match old:
            case Index():
                return old
            case Quotient(affine=inner) if inner.bare == index:
                return high
            case Remainder(affine=inner) if inner.bare == index:
                return low
        return replace(old, affine=affine(old.affine))

    def affine(old: Affine) -> Affine:
        return replace(old, terms=tuple((atom(t), step) for t, step in old.terms))

    def subscript(s: Subscript) -> Subscript:
        match s:
            case Affine():
                return affine(s)
            case Pad():
                return replace(s, position=affine(s.position))
        return s

    def node(e: Expr) -> Expr:
        match e:
            case Load():
                return Load(e.tensor, tuple(subscript(s) for s in e.subscripts))
            case Random():
                return replace(e, indices=two(e.indices))
        return e

    def two(indices: tuple[Index, ...]) -> tuple[Index, ...]:
        return tuple(i for old in indices for i in ((high, low) if old == index else (old,)))

    def rewritten(e: Expr) -> Expr:
        return substitute(rewrite(e, node), {index: whole})

    target = rewritten(a.target)
    assert isinstance(target, Load)
    condition = None if a.condition is None else rewritten(a.condition)
    new = replace(a, target=target, value=rewritten(a.value), condition=condition, over=two(a.over))
    lost = tuple(i for i in two(target_indices(a)) if i not in all_indices(new))
    if lost and new.op not in (Op.ADD, Op.MUL, Op.MAX, Op.MIN):
        return a
    return replace(new, over=(*new.over, *lost))
