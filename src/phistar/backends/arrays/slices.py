"""Stores through slices: one index an axis, a group as one range, and windows unrolled.

`m.grad[b, 2*p + r, c] += e` runs over r slowly, one strided slice for each of its few values, and
over everything else at once. What a padded left side drops is clipped off the slices.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from phistar.backends.arrays.labelled import Array, Axes, Env, Node, Run, Term, aligned, extent
from phistar.backends.arrays.lines import Line, grouped, line, moving_number
from phistar.backends.arrays.namespace import Part
from phistar.backends.arrays.scope import Scope
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Expr, Index, Load, Pad, Tensor
from phistar.ir.walk import affine_bounds

Step = Callable[[Env], None]
LONG = 2048  # elements of a slice that are worth a call


@dataclass(frozen=True)
class Place:
    """The line on the left at one axis, and the axis's length; it clips if it leaves the axis."""

    line: Line
    length: int
    clips: bool


def places(target: Load, scans: Axes) -> list[Place] | None:
    """The lines on the left, or None if one of its subscripts is none."""
    found = [place(target.tensor, n, s, scans) for n, s in enumerate(target.subscripts)]
    lines = [p for p in found if p is not None]
    return lines if len(lines) == len(found) else None


def place(tensor: Tensor, n: int, subscript: Affine | Pad | Expr, scans: Axes) -> Place | None:
    first, last = tensor.bounds(n)
    if isinstance(subscript, Expr):
        return None
    padded = isinstance(subscript, Pad)
    affine = subscript.position if isinstance(subscript, Pad) else subscript
    shift = -first - (subscript.low if isinstance(subscript, Pad) else 0)
    least, most = affine_bounds(affine)
    length = last - first + 1
    clips = least + shift < 0 or most + shift >= length
    placed = line(affine, shift, scans)
    if placed is None or (clips and (placed.moving or not padded)):
        return None
    return Place(placed, length, clips)


@dataclass(frozen=True)
class Side:
    """One axis of the left side once the unrolled indices are numbers: its offset and the indices
    that step through it evenly."""

    place: Place
    indices: Axes
    step: int


def slice_store(target: Load, found: list[Place], op: Op, node: Node, scope: Scope) -> Step | None:
    """The store as op= of slices, or None if they would overlap or be too many."""
    unrolled = unrolled_indices(found)
    sides = [side(p, unrolled) for p in found]
    kept = tuple(index for s in sides for index in s.indices)
    if any(n > 1 for n in Counter(kept).values()):
        return None
    if extent(unrolled) > scope.arrays.many_pieces and extent(kept) < LONG:
        return None
    run = value_run(node, unrolled, sides, scope)
    settings = (
        dict(zip(unrolled, numbers, strict=True))
        for numbers in product(*(range(index.size) for index in unrolled))
    )
    pieces = (piece(target, sides, setting, op, node, scope) for setting in settings)
    stores = [store for store in pieces if store is not None]
    if len(stores) == 1:
        (only,) = stores
        return lambda env: only(env, run(env))

    def each(env: Env) -> None:
        array = run(env)
        for store in stores:
            store(env, array)

    return each


def unrolled_indices(found: list[Place]) -> Axes:
    """The shorter indices of each axis with several that are no group, or that must be clipped."""
    out: dict[Index, None] = {}
    for p in found:
        terms = [term for term in p.line.terms if term[0] not in out]
        while len(terms) > 1 and (p.clips or grouped(tuple(terms)) is None):
            shortest = min(terms, key=lambda term: term[0].size)
            out[shortest[0]] = None
            terms.remove(shortest)
    return tuple(out)


def side(p: Place, unrolled: Axes) -> Side:
    terms: tuple[Term, ...] = tuple(term for term in p.line.terms if term[0] not in unrolled)
    if len(terms) > 1:
        group = grouped(terms)
        assert group is not None
        terms = group
    return Side(p, tuple(index for index, _ in terms), terms[-1][1] if terms else 1)


def value_run(node: Node, unrolled: Axes, sides: list[Side], scope: Scope) -> Run:
    """The value with the axes unrolled, then one for each side that has indices, groups merged."""
    axes = (*unrolled, *(index for s in sides for index in s.indices))
    run = aligned(node, axes)
    shape = [index.size if index in node.axes else 1 for index in unrolled]
    merges = False
    for s in sides:
        if s.indices:
            held = [index in node.axes for index in s.indices]
            merges |= len(held) > 1
            if any(held) and not all(held):
                return value_run(broadcast(node, axes, scope), unrolled, sides, scope)
            shape.append(extent(s.indices) if any(held) else 1)
    missing = len(axes) - len(aligned_axes(node, axes))
    if not merges and not missing:
        return run
    final = tuple(shape)
    return lambda env: run(env).reshape(final)


def aligned_axes(node: Node, axes: Axes) -> Axes:
    """The axes that node's array has once it is aligned: all but the leading ones it lacks."""
    present = [n for n, index in enumerate(axes) if index in node.axes]
    return axes[present[0] :] if present else ()


def broadcast(node: Node, axes: Axes, scope: Scope) -> Node:
    """node with all of the axes."""
    run, full = aligned(node, axes), tuple(index.size for index in axes)
    stretch = scope.arrays.xp.broadcast_to
    return Node(lambda env: stretch(run(env), full), axes)


def piece(
    target: Load, sides: list[Side], at: dict[Index, int], op: Op, node: Node, scope: Scope
) -> Callable[[Env, Array], None] | None:
    """The store for one setting of the unrolled indices; None if all of it is clipped off."""
    key: list[object] = [n if index in node.axes else 0 for index, n in at.items()]
    parts: list[Part] = []
    for s in sides:
        placed = s.place.line
        start = placed.offset + sum(step * at[i] for i, step in placed.terms if i in at)
        count = extent(s.indices)
        first, stop = clipped(start, s.step, count, s.place) if s.place.clips else (0, count)
        if stop <= first:
            return None
        moving = moving_number(placed.moving, scope.slots)
        if not s.indices:
            parts.append(Part(start, moving=moving))
            continue
        parts.append(Part(start + s.step * first, stop - first, s.step, moving))
        held = s.indices[0] in node.axes
        key.append(slice(first, stop) if held and stop - first < count else slice(None))
    store = scope.arrays.slices(scope.slots[target.tensor], parts, target.tensor.storage, op)
    if all(k == slice(None) for k in key):
        return store
    chosen = tuple(key)
    return lambda env, array: store(env, array[chosen])


def clipped(start: int, step: int, count: int, p: Place) -> tuple[int, int]:
    """The range of n < count for which start + step * n is on the axis."""
    inside = [n for n in range(count) if 0 <= start + step * n < p.length]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
