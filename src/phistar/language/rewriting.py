"""Rewriting what was written, before ranges are known: `...`, scopes, and over-deep expressions.

`...` becomes one index for each axis that is not named. Each reduction's indices become objects of
their own, so that one name in two scopes is two indices. Expressions nested deeper than Python can
walk are cut into statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from phistar.errors import SubscriptError
from phistar.language.expression import (
    Element,
    Expr,
    Index,
    RandomField,
    Reduced,
    SizeOf,
    same_index,
    with_children,
)
from phistar.language.subscripts import Edge, Padded
from phistar.language.tensors import Tensor

DEEPEST = 150


# `...` --------------------------------------------------------------------------------------------


def expand_ellipsis(
    target: Tensor, subscripts: tuple[Any, ...], value: Expr, fail: Any
) -> tuple[Element, Expr]:
    """Both sides with `...` replaced by indices, the same in the whole statement."""
    left = Element(target, subscripts)
    if not (left.has_ellipsis or value.has_ellipsis):
        return left, value
    holders = [e for e in (left, *elements_of(value)) if has_dots(e)]
    for e in holders:
        if sum(s is Ellipsis for s in e.subscripts) > 1:
            fail(SubscriptError, "`...` stands once between a tensor's brackets", "", (e,))
    known = [e for e in holders if e.definition.rank is not None]
    if not known:
        fail(
            SubscriptError,
            "`...` stands for the axes that are not named, but no tensor here has known axes",
            "",
            tuple(holders),
        )
    counts = {e: (e.definition.rank or 0) - len(e.subscripts) + 1 for e in known}
    first = known[0]
    for e in known:
        if counts[e] != counts[first] or counts[e] < 0:
            fail(
                SubscriptError,
                "`...` stands for the same axes everywhere in a statement",
                f"in {e.target.shown_name} it stands for {counts[e]} axes, "
                f"in {first.target.shown_name} for {counts[first]}",
                (e, first),
            )
    dots = dot_indices(known, counts[first], set(left.free) | set(value.free) | bound_names(value))
    return fill(left, dots), map_elements(value, lambda e: fill(e, dots))


def has_dots(e: Element) -> bool:
    return any(s is Ellipsis for s in e.subscripts)


def elements_of(e: Expr) -> Iterator[Element]:
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, Element):
            yield node
        stack.extend(reversed(node.children))


def bound_names(e: Expr) -> set[str]:
    names: set[str] = set()
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, Reduced):
            names |= {i.name for i in node.indices}
        stack.extend(node.children)
    return names


def dot_indices(known: list[Element], count: int, taken: set[str]) -> tuple[Index, ...]:
    """Fresh indices for the axes behind `...`, named as the axes were named before if possible."""
    names: list[str] = []
    for n in range(count):
        wishes = [e.definition.index_names[_dots_at(e) + n] for e in known]
        wish = next((w for w in wishes if w and w not in taken), None)
        name, k = wish, 1
        while name is None or name in taken:
            name, k = f"n{k}", k + 1
        taken = taken | {name}
        names.append(name)
    return tuple(Index(name) for name in names)


def _dots_at(e: Element) -> int:
    return next(n for n, s in enumerate(e.subscripts) if s is Ellipsis)


def fill(e: Element, dots: tuple[Index, ...]) -> Element:
    if not has_dots(e):
        return e
    at = _dots_at(e)
    return same_element(e, (*e.subscripts[:at], *dots, *e.subscripts[at + 1 :]))


def same_element(e: Element, subscripts: tuple[Any, ...]) -> Element:
    """The same tensor, as it was when e was written, at other subscripts."""
    new = Element(e.target, subscripts)
    new.definition = e.definition
    new.written = e.written
    return new


def map_elements(e: Expr, f: Callable[[Element], Expr]) -> Expr:
    """e with each element passed through f (and the elements in its subscripts first)."""
    match e:
        case Element():
            return f(same_element(e, tuple(map_subscript(s, f) for s in e.subscripts)))
        case Index() | RandomField():
            return e
    if not e.children:
        return e
    return with_children(e, tuple(map_elements(c, f) for c in e.children))


def map_subscript(s: Any, f: Any) -> Any:
    return map_elements(s, f) if isinstance(s, Expr) else s


# Scopes -------------------------------------------------------------------------------------------


def give_scopes(left: Element, value: Expr, outer: Mapping[str, Index]) -> tuple[Element, Expr]:
    """Both sides with one Index object for each name and scope."""
    scopes = dict(outer)
    for name, index in {**left.free, **value.free}.items():
        if name not in scopes:
            scopes[name] = Index(name, index.declared)
    for name, index in declared_indices((left, value)):
        scopes[name].declared = same_index(scopes[name], index).declared
    new_left = rescope(left, scopes)
    assert isinstance(new_left, Element)
    return new_left, rescope(value, scopes)


def declared_indices(sides: tuple[Expr, ...]) -> Iterator[tuple[str, Index]]:
    for side in sides:
        yield from side.free.items()


def rescope(e: Expr, scopes: Mapping[str, Index]) -> Expr:
    match e:
        case Index():
            return scopes.get(e.name, e)
        case SizeOf():
            return SizeOf(scopes[e.index.name]) if e.index.name in scopes else e
        case RandomField():
            return RandomField(
                e.distribution, tuple(scopes.get(i.name, i) for i in e.indices), e.place
            )
        case Element():
            return same_element(e, tuple(rescope_subscript(s, scopes) for s in e.subscripts))
        case Reduced():
            return rescope_reduced(e, scopes)
    if not e.children:
        return e
    return with_children(e, tuple(rescope(c, scopes) for c in e.children))


def rescope_reduced(e: Reduced, scopes: Mapping[str, Index]) -> Reduced:
    if e.reduction.keeps_indices:
        bound = tuple(scopes[i.name] for i in e.indices)
        inner = scopes
    else:
        bound = tuple(Index(i.name, declared_in(e, i)) for i in e.indices)
        inner = {**scopes, **{i.name: i for i in bound}}
    condition = None if e.condition is None else rescope(e.condition, inner)
    made = Reduced(e.reduction, bound, rescope(e.body, inner), condition, e.implicit)
    made.written = e.written
    return made


def declared_in(e: Reduced, index: Index) -> int | None:
    """The size an index was declared with, here or where the body mentions it."""
    if index.declared is not None:
        return index.declared
    inside = e.body.free.get(index.name)
    return None if inside is None else inside.declared


def rescope_subscript(s: Any, scopes: Mapping[str, Index]) -> Any:
    match s:
        case Expr():
            return rescope(s, scopes)
        case Padded():
            return Padded(rescope(s.position, scopes), s.low, s.high, s.value)
        case Edge():
            return Edge(s.is_last, rescope(s.offset, scopes))
        case tuple():
            return tuple(scopes.get(i.name, i) for i in s)
    return s


# Depth --------------------------------------------------------------------------------------------


def shallow(value: Expr, kept: frozenset[str]) -> Expr:
    """value with its deepest parts made statements of their own, if it is too deep to walk.

    A part can be cut off where all its free indices are on the left or bound by a reduction around
    it: no implicit sum crosses it there.
    """
    if value.depth <= DEEPEST:
        return value
    rebuilt: dict[int, Expr] = {}
    keep: list[Expr] = []
    stack: list[tuple[Expr, bool, frozenset[str]]] = [(value, False, kept)]
    while stack:
        node, ready, kept = stack.pop()
        if id(node) in rebuilt:
            continue
        if not ready and node.depth > 1:
            stack.append((node, True, kept))
            bound = {i.name for i in node.indices} if isinstance(node, Reduced) else set()
            stack.extend((c, False, kept | bound) for c in node.children)
            continue
        new = node
        if node.children and not isinstance(node, Element | RandomField):
            new = with_children(node, tuple(rebuilt[id(c)] for c in node.children))
        if new.depth >= DEEPEST and node is not value and frozenset(new.free) <= kept:
            new = part(new)
        rebuilt[id(node)] = new
        keep.append(new)
    return rebuilt[id(value)]


def part(e: Expr) -> Expr:
    """e as an element of a new tensor with e's free indices as axes."""
    made = Tensor("part")
    indices = tuple(e.free.values())
    made[indices] = e
    return made[indices]
