"""The range of every index of a statement, found before anything runs.

In rounds: declared sizes; axes on which an index stands alone; then, one unknown index a subscript,
the largest range that fits. What is left without a range is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Quotient, Remainder
from phistar.ir.program import Index as IRIndex
from phistar.language import scope
from phistar.language.expression import Call, Expr, Index, Literal, SizeOf

Sizes: TypeAlias = Mapping[Index, int]


class SizeUnknown(Exception):
    """A size that a subscript mentions is not known yet."""


@dataclass(eq=False)
class Division:
    """linear // divisor or, with `rest`, linear % divisor, inside a subscript."""

    linear: Linear
    divisor: int
    rest: bool


@dataclass(eq=False)
class Linear:
    """offset + sum of coefficient * (index or division): a subscript as the solver sees it."""

    terms: dict[Index | Division, int]
    offset: int = 0

    def indices(self) -> Iterator[Index]:
        for atom in self.terms:
            if isinstance(atom, Index):
                yield atom
            else:
                yield from atom.linear.indices()

    @property
    def bare(self) -> Index | None:
        if len(self.terms) == 1 and self.offset == 0:
            ((atom, coefficient),) = self.terms.items()
            if isinstance(atom, Index) and coefficient == 1:
                return atom
        return None


def size_of(index: Index, sizes: Sizes) -> int:
    """index.size: in its own scope, in another scope of the statement, or in statements before."""
    if index in sizes:
        return sizes[index]
    for other, size in sizes.items():
        if other.name == index.name:
            return size
    before = scope.last_size(index.name)
    if before is None:
        raise SizeUnknown(index.name)
    return before


def linearize(e: Expr, sizes: Sizes) -> Linear | None:
    """e as a Linear, or None if it is not one (then it is a gather); raises SizeUnknown."""
    match e:
        case Literal():
            whole = isinstance(e.value_, int) and not isinstance(e.value_, bool)
            return Linear({}, int(e.value_)) if whole else None
        case Index():
            return Linear({e: 1})
        case SizeOf():
            return Linear({}, size_of(e.index, sizes))
        case Call(function=P.ADD | P.SUB | P.NEG | P.MUL | P.FLOOR_DIV | P.MOD):
            parts = [linearize(a, sizes) for a in e.args]
            if any(p is None for p in parts):
                return None
            assert isinstance(e.function, P)
            return combine(e.function, [p for p in parts if p is not None])
    return None


def combine(function: P, parts: list[Linear]) -> Linear | None:
    match function, parts:
        case P.ADD, [a, b]:
            return plus(a, b, 1)
        case P.SUB, [a, b]:
            return plus(a, b, -1)
        case P.NEG, [a]:
            return plus(Linear({}), a, -1)
        case P.MUL, [a, b] if not a.terms:
            return plus(Linear({}), b, a.offset)
        case P.MUL, [a, b] if not b.terms:
            return plus(Linear({}), a, b.offset)
        case ((P.FLOOR_DIV | P.MOD), [a, b]) if not b.terms and b.offset > 0:
            rest = function is P.MOD
            if not a.terms:
                return Linear({}, a.offset % b.offset if rest else a.offset // b.offset)
            return Linear({Division(a, b.offset, rest): 1})
    return None


def plus(a: Linear, b: Linear, factor: int) -> Linear:
    """a + factor * b."""
    terms = dict(a.terms)
    for atom, coefficient in b.terms.items():
        terms[atom] = terms.get(atom, 0) + factor * coefficient
    return Linear({t: c for t, c in terms.items() if c}, a.offset + factor * b.offset)


def bounds(linear: Linear, sizes: Sizes) -> tuple[int, int]:
    """The smallest and largest value while the indices run; all of them must have sizes."""
    low = high = linear.offset
    for atom, coefficient in linear.terms.items():
        ends = [coefficient * end for end in atom_bounds(atom, sizes)]
        low, high = low + min(ends), high + max(ends)
    return low, high


def atom_bounds(atom: Index | Division, sizes: Sizes) -> tuple[int, int]:
    if isinstance(atom, Index):
        return 0, max(sizes[atom] - 1, 0)
    low, high = bounds(atom.linear, sizes)
    if atom.rest:
        same = low // atom.divisor == high // atom.divisor
        return (low % atom.divisor, high % atom.divisor) if same else (0, atom.divisor - 1)
    return low // atom.divisor, high // atom.divisor


def largest_fit(linear: Linear, low: int, high: int, sizes: Sizes) -> tuple[Index, int] | None:
    """The one index of `linear` without a size, and the largest range that keeps it in low..high.

    None if there is no such index, or if no range is the largest (as under %).
    """
    unknown = {i for i in linear.indices() if i not in sizes}
    if len(unknown) != 1:
        return None
    (index,) = unknown
    holders = [a for a in linear.terms if a is index or _mentions(a, index)]
    if len(holders) != 1:
        return None
    rest = Linear({a: c for a, c in linear.terms.items() if a is not holders[0]}, linear.offset)
    first, last = bounds(rest, sizes)
    return _fit(holders[0], linear.terms[holders[0]], low - first, high - last, index, sizes)


def _mentions(atom: Index | Division, index: Index) -> bool:
    return isinstance(atom, Division) and index in set(atom.linear.indices())


def _fit(
    atom: Index | Division, coefficient: int, low: int, high: int, index: Index, sizes: Sizes
) -> tuple[Index, int] | None:
    """The range of index such that low <= coefficient * atom <= high, for all its values."""
    most = high // coefficient if coefficient > 0 else low // coefficient
    if isinstance(atom, Index):
        return index, max(most + 1, 0)
    if atom.rest:
        return None
    return largest_fit(atom.linear, -(10**18), most * atom.divisor + atom.divisor - 1, sizes)


def to_affine(linear: Linear, names: Mapping[Index, IRIndex]) -> Affine:
    """A Linear in the records of the intermediate representation."""
    terms = tuple((_to_atom(atom, names), c) for atom, c in linear.terms.items())
    return Affine(terms, linear.offset)


def _to_atom(
    atom: Index | Division, names: Mapping[Index, IRIndex]
) -> IRIndex | Quotient | Remainder:
    if isinstance(atom, Index):
        return names[atom]
    record = Remainder if atom.rest else Quotient
    return record(to_affine(atom.linear, names), atom.divisor)
