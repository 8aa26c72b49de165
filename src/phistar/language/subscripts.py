"""What may stand between a tensor's brackets besides indices: pad, first, last, groups.

subscript ::= integer expression | pad(expression, low, high, value) | first + n | last - n
            | (index, index, ...) | ...
"""

from __future__ import annotations

from typing import Any, TypeAlias

from phistar.errors import SubscriptError
from phistar.language.expression import Expr, Index, Number, lift


class Padded:
    """A position on an axis lengthened by `low` and `high` elements of `value`."""

    __slots__ = ("high", "low", "position", "value")

    def __init__(self, position: Expr, low: int, high: int, value: Number) -> None:
        self.position = position
        self.low = low
        self.high = high
        self.value = value


class Edge:
    """The first or the last position of the axis in whose place it stands, plus an offset."""

    __slots__ = ("is_last", "offset")

    def __init__(self, is_last: bool, offset: Expr) -> None:
        self.is_last = is_last
        self.offset = offset

    def __add__(self, other: Any) -> Edge:
        return Edge(self.is_last, self.offset + lift(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Edge:
        return Edge(self.is_last, self.offset - lift(other))

    def __repr__(self) -> str:
        from phistar.language.notation import show_subscript

        return show_subscript(self)


first = Edge(False, lift(0))
last = Edge(True, lift(0))

Subscript: TypeAlias = Any  # Expr | Padded | Edge | tuple[Index, ...] | Ellipsis


def pad(position: Any, low: int, high: int | None = None, value: Number = 0) -> Padded:
    """A position on the axis *after* padding: `x[b, ph.pad(p + r, 1)]` reads x[b, p + r - 1].

    low, high: how many elements of `value` are added before and after (high: as many as low).
    Raises SubscriptError for negative or fractional widths.
    """
    high = low if high is None else high
    for width in (low, high):
        if isinstance(width, bool) or not isinstance(width, int) or width < 0:
            raise SubscriptError(f"ph.pad adds whole numbers of elements, not {width!r}")
    return Padded(lift(position), low, high, value)


def normalize(subscripts: Any, owner: str) -> tuple[Subscript, ...]:
    """What stood between the brackets, as a tuple of subscripts; SubscriptError for the rest."""
    parts = subscripts if isinstance(subscripts, tuple) else (subscripts,)
    return tuple(normalize_one(part, owner) for part in parts)


def normalize_one(part: Any, owner: str) -> Subscript:
    from phistar.language.tensors import Tensor

    if part is Ellipsis or isinstance(part, Padded | Edge):
        return part
    if isinstance(part, tuple):
        if len(part) < 1 or not all(isinstance(i, Index) for i in part):
            raise SubscriptError(f"a group in {owner}[...] is made of indices: ({owner}[(h, d)])")
        return part
    if isinstance(part, slice):
        raise SubscriptError(
            f"{owner}[{_slice_text(part)}]: slices are written with an index, "
            f"as in {owner}[i + {part.start or 0}]"
        )
    if isinstance(part, Tensor) and part.rank != 0:
        raise SubscriptError(
            f"{part.name} is a tensor here, not an index: to gather by it write {part.name}[...]"
        )
    if isinstance(part, float):
        raise SubscriptError(f"{owner}[{part!r}]: a subscript is a whole number, not a float")
    if isinstance(part, str) or part is None:
        raise SubscriptError(f"{owner}[{part!r}]: a subscript is an index or a whole number")
    return lift(part)


def _slice_text(s: slice) -> str:
    return ":".join("" if x is None else str(x) for x in (s.start, s.stop))


def subscript_expressions(subscripts: tuple[Subscript, ...]) -> tuple[Expr, ...]:
    """The expressions inside the subscripts, for free indices and walks."""
    out: list[Expr] = []
    for s in subscripts:
        match s:
            case Expr():
                out.append(s)
            case Padded():
                out.append(s.position)
            case Edge():
                out.append(s.offset)
            case tuple():
                out.extend(s)
    return tuple(out)
