"""Affine subscripts as positions in a stored axis: offset + moving part + sum of step * index.

A Line is a subscript that slices, windows and reshapes can do; one with // or % on an index that
is not scanned is none, and is read through index arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from phistar.backends.arrays.labelled import Env, Slots, Term
from phistar.ir.program import Affine, Atom, Index, Quotient
from phistar.ir.walk import affine_indices


@dataclass(frozen=True)
class Line:
    """Positions offset + moving + sum of step * index on an axis."""

    terms: tuple[Term, ...]
    offset: int
    moving: Affine | None

    @property
    def indices(self) -> tuple[Index, ...]:
        return tuple(index for index, _ in self.terms)


def line(a: Affine, shift: int, scans: tuple[Index, ...]) -> Line | None:
    """a + shift as a Line, if it is one."""
    terms: list[Term] = []
    moving: list[tuple[Atom, int]] = []
    for atom, step in a.terms:
        if isinstance(atom, Index) and atom not in scans:
            terms.append((atom, step))
        elif all(index in scans for index in affine_indices(Affine(((atom, step),)))):
            moving.append((atom, step))
        else:
            return None
    return Line(tuple(terms), a.offset + shift, Affine(tuple(moving)) if moving else None)


def is_group(terms: tuple[Term, ...]) -> bool:
    """Whether terms in this order step through a range evenly, like (h, d) does: each step is the
    next one's times the next one's size."""
    even = all(step == low * index.size for (_, step), (index, low) in pairwise(terms))
    return even and terms[-1][1] > 0


def grouped(terms: tuple[Term, ...]) -> tuple[Term, ...] | None:
    """The terms in an order in which they are a group, if there is one."""
    descending = tuple(sorted(terms, key=lambda term: -term[1]))
    return descending if is_group(descending) else None


def moving_number(a: Affine | None, slots: Slots) -> Callable[[Env], Any] | None:
    """The moving part of a line while the program runs."""
    if a is None:
        return None
    parts = [(atom_number(atom, slots), step) for atom, step in a.terms]
    offset = a.offset
    if len(parts) == 1:
        number, step = parts[0]
        if step == 1 and offset == 0:
            return number
        return lambda env: step * number(env) + offset
    return lambda env: sum((step * number(env) for number, step in parts), offset)


def atom_number(atom: Atom, slots: Slots) -> Callable[[Env], Any]:
    if isinstance(atom, Index):
        slot = slots[atom]
        return lambda env: env[slot]
    inner = moving_number(atom.affine, slots)
    assert inner is not None
    number, divisor = inner, atom.divisor
    if isinstance(atom, Quotient):
        return lambda env: number(env) // divisor
    return lambda env: number(env) % divisor
