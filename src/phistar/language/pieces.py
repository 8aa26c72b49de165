"""The pieces of a tensor that is defined by several `=`: concatenation, stacking, initial values.

Each piece is a box: on every axis an interval of positions. Boxes must be disjoint and leave no
hole. Positions before 0 or past the end belong to a recurrence's halo.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from phistar.errors import DefinitionError
from phistar.language.expression import Expr, Index
from phistar.language.ranges import Linear, Sizes, SizeUnknown, bounds, linearize
from phistar.language.subscripts import Edge

if TYPE_CHECKING:
    from phistar.language.equations import Equation
    from phistar.language.tensors import Definition

Interval: TypeAlias = tuple[int, int]  # first and last position
Box: TypeAlias = tuple[Interval | None, ...]  # None: a halo position past an end not known yet


def left_interval(s: Any, sizes: Sizes, size: int | None) -> Interval | None:
    """The positions a subscript on the left covers on an axis of `size`; None: not known yet."""
    match s:
        case tuple():
            if any(i not in sizes for i in s):
                return None
            return 0, math.prod(sizes[i] for i in s) - 1
        case Edge():
            offset = linearize(s.offset, sizes)
            assert offset is not None
            if not s.is_last:
                return offset.offset, offset.offset
            return None if size is None else (size - 1 + offset.offset,) * 2
        case Expr():
            return expr_interval(s, sizes, size)
    return None


def expr_interval(s: Expr, sizes: Sizes, size: int | None) -> Interval | None:
    try:
        linear = linearize(s, sizes)
    except SizeUnknown:
        return None
    if linear is None or any(i not in sizes for i in linear.indices()):
        return None
    if not linear.terms and linear.offset < 0:  # a negative constant counts from the end
        return None if size is None else (size + linear.offset,) * 2
    if any(sizes[i] == 0 for i in linear.indices()):
        return linear.offset, linear.offset - 1
    return bounds(linear, sizes)


def box_of(equation: Equation) -> Box:
    """What one equation covers, as far as it is known."""
    sizes = equation.definition.sizes or []
    return tuple(
        left_interval(s, equation.sizes, n)
        for s, n in zip(equation.target.subscripts, sizes, strict=True)
    )


def extend(definition: Definition, whole: bool = False) -> None:
    """Let the sizes and the halo of a tensor follow from the boxes of its equations.

    whole: only on axes where all of them are known, as long as others may still be found: a piece
    that is known would else be taken for all.
    """
    if definition.sizes is None:
        return
    boxes = [box_of(e) for e in definition.equations]
    for axis in range(len(definition.sizes)):
        intervals = [box[axis] for box in boxes]
        known = [i for i in intervals if i is not None]
        if whole and len(known) < len(intervals):
            continue
        if not definition.declared:
            core = [
                last + 1
                for first, last in known
                if first >= 0 and not _past_end(definition, axis, last)
            ]
            definition.sizes[axis] = max(core, default=definition.sizes[axis])
        size = definition.sizes[axis]
        low = max((-first for first, _ in known if first < 0), default=0)
        high = 0
        if size is not None:
            high = max((last - size + 1 for _, last in known), default=0)
        definition.halo[axis] = (low, max(high, 0))


def _past_end(definition: Definition, axis: int, last: int) -> bool:
    """Whether a position was written as `last + n`: it lies past the end, it does not set it."""
    return any(
        isinstance(s := e.target.subscripts[axis], Edge)
        and s.is_last
        and left_interval(s, e.sizes, (definition.sizes or [])[axis]) == (last, last)
        for e in definition.equations
    )


def overlaps(definition: Definition, subscripts: tuple[Any, ...]) -> bool:
    """Whether a new `=` could meet an old one; undecided counts as overlapping.

    Used where a notebook defines a tensor again: constants that differ on one axis, or `first - 1`
    against an index, keep both; everything else starts a new definition.
    """
    return all(
        not _disjoint_patterns(subscripts, e.target.subscripts) for e in definition.equations
    )


def _disjoint_patterns(new: tuple[Any, ...], old: tuple[Any, ...]) -> bool:
    return len(new) == len(old) and any(_distinct(a, b) for a, b in zip(new, old, strict=True))


def _distinct(a: Any, b: Any) -> bool:
    """Whether two subscripts of one axis are written so that they cannot meet."""
    return bool(_class(a) != _class(b))


def _class(s: Any) -> Any:
    match s:
        case Index() | tuple():
            return "whole"
        case Edge():
            return ("edge", s.is_last, str(s))
        case Expr():
            return ("at", str(s))
    return "whole"


def check_new_piece(equation: Equation) -> None:
    """Refuse an `=` that meets an earlier `=` of the same tensor."""
    if equation.op != "=":
        return
    mine = box_of(equation)
    for other in equation.definition.equations:
        if other is equation or other.op != "=":
            continue
        if _boxes_meet(mine, box_of(other)):
            from phistar.language.notation import place

            equation.fail(
                DefinitionError,
                f"{equation.definition.owner.shown_name} is defined twice",
                f"it was defined by {other.text} ({place(other.origin)})"
                if other.origin
                else f"it was defined by {other.text}",
            )


def _boxes_meet(a: Box, b: Box) -> bool:
    for x, y in zip(a, b, strict=True):
        if x is None or y is None:
            if x is not y:
                return False
            continue
        if x[1] < y[0] or y[1] < x[0]:
            return False
    return True


def check_no_hole(definition: Definition) -> str | None:
    """What is missing of a tensor's core, if its `=` equations leave a hole; else None."""
    shape = definition.shape
    settings = [e for e in definition.equations if e.op == "="]
    if shape is None or len(settings) != len(definition.equations) or not settings:
        return None
    covered = sum(_core_volume(box_of(e), shape) for e in settings)
    if covered == math.prod(shape):
        return None
    return f"{covered} of its {math.prod(shape)} elements are defined"


def _core_volume(box: Box, shape: tuple[int, ...]) -> int:
    volume = 1
    for interval, n in zip(box, shape, strict=True):
        if interval is None:
            return 0
        volume *= max(min(interval[1], n - 1) - max(interval[0], 0) + 1, 0)
    return volume


def linear_of(s: Any, sizes: Sizes, size: int | None) -> Linear | None:
    """A subscript as a Linear position on its axis, or None for a gather; raises SizeUnknown.

    `first` and `last` are resolved, groups flattened, negative constants counted from the end.
    """
    match s:
        case tuple():
            total, step = Linear({}), 1
            for index in reversed(s):
                if index not in sizes:
                    raise SizeUnknown(index.name)
                total.terms[index] = step
                step *= sizes[index]
            total.terms = dict(reversed(total.terms.items()))
            return total
        case Edge():
            offset = linearize(s.offset, sizes)
            if offset is not None and s.is_last:
                if size is None:
                    raise SizeUnknown("last")
                return Linear(offset.terms, offset.offset + size - 1)
            return offset
        case Expr():
            linear = linearize(s, sizes)
            if linear is not None and not linear.terms and linear.offset < 0:
                if size is None:
                    raise SizeUnknown("size")
                return Linear({}, linear.offset + size)
            return linear
    raise TypeError(f"not a subscript: {s!r}")
