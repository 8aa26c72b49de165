"""Loads: views where a subscript is a line, index arrays where it is not.

A load goes through four stages: the axes that are padded are padded; lines become slices; axes
with several indices are split (a group) or seen through windows (a convolution); what is left is
read through index arrays: gathers, quotients, remainders and diagonals.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from phistar.backends.arrays.labelled import (
    Axes,
    Change,
    Env,
    Node,
    Run,
    Term,
    Windows,
    aligned,
    compose,
    merged,
    names,
)
from phistar.backends.arrays.lines import Line, grouped, line, moving_number
from phistar.backends.arrays.namespace import Arrays, Part
from phistar.backends.arrays.scope import Scope
from phistar.ir.build import settled
from phistar.ir.primitives import Primitive
from phistar.ir.program import Affine, Expr, Index, Load, Pad, Tensor
from phistar.ir.walk import affine_bounds, subscript_indices, subscript_value

# What an axis of an array on its way is: an index, the number of an axis that index arrays will
# read, or the terms of the windows that slide over it.
Side: TypeAlias = Index | int | tuple[Term, ...]


@dataclass(frozen=True)
class Axis:
    """One axis of a load: its subscript, as a line if that will do; its padding and its length."""

    subscript: Affine | Expr
    line: Line | None
    pad: tuple[int, int]
    value: float
    shift: int
    length: int


def lower_load(load: Load, scope: Scope) -> Node:
    """The array of everything a load reads."""
    axes = plan_axes(load, scope.scans)
    slot = scope.slots[load.tensor]
    changes, layout = slicing(axes, scope)
    changes = [*padding(axes, load.tensor, scope.arrays), *changes]
    opened, held = opening(layout, scope.arrays)
    grids = [(n, held.index(n), axis) for n, axis in enumerate(axes) if axis.line is None]
    behind = compose(lambda env: env[slot], changes)
    if not grids:
        windows = Windows(behind, only_sides(layout)) if opened else None
        text = "windows" if opened else ""
        return Node(compose(behind, opened), only_indices(held), text=text, windows=windows)
    indexed = [(at, grid(load, n, axis, scope)) for n, at, axis in grids]
    change, left = gathering(indexed, held, scope.order)
    run = compose(behind, [*opened, change])
    copies = any(node.axes for _, node in indexed)  # NumPy gives a view for numbers alone
    return Node(run, left, fresh=copies, text=f"gather {names(left)}")


# Which axes are lines -----------------------------------------------------------------------------


def plan_axes(load: Load, scans: Axes) -> list[Axis]:
    """The axes of a load. An axis that shares an index with a gather is read as one itself."""
    axes = [plan_axis(load, n, scans) for n in range(len(load.subscripts))]
    uses = Counter(i for axis in axes if axis.line for i in set(axis.line.indices))
    taken = {i for i, n in uses.items() if n > 1}
    while True:
        for n, axis in enumerate(axes):
            if axis.line is None:
                taken.update(i for i in subscript_indices(load.subscripts[n]) if i not in scans)
        clash = [n for n, a in enumerate(axes) if a.line and taken.intersection(a.line.indices)]
        if not clash:
            return axes
        for n in clash:
            axes[n] = gathered(axes[n])


def plan_axis(load: Load, n: int, scans: Axes) -> Axis:
    subscript, tensor = load.subscripts[n], load.tensor
    first, last = tensor.bounds(n)
    length = last - first + 1
    if isinstance(subscript, Expr):
        return Axis(subscript, None, (0, 0), 0.0, -first, length)
    if isinstance(subscript, Pad):
        low, high = affine_bounds(subscript.position)
        shift = -first - subscript.low
        before, after = max(0, -(low + shift)), max(0, high + shift - length + 1)
        affine = subscript.position
        placed = line(affine, shift + before, scans)
        total = length + before + after
        return Axis(affine, placed, (before, after), subscript.value, shift + before, total)
    low, high = affine_bounds(subscript)
    inside = first <= low and high <= last
    placed = line(subscript, -first, scans) if inside else None
    return Axis(subscript, placed, (0, 0), 0.0, -first, length)


def gathered(axis: Axis) -> Axis:
    return Axis(axis.subscript, None, axis.pad, axis.value, axis.shift, axis.length)


# Views --------------------------------------------------------------------------------------------


def padding(axes: list[Axis], tensor: Tensor, arrays: Arrays) -> list[Change]:
    """One change for each value to pad with."""
    values = dict.fromkeys(axis.value for axis in axes if axis.pad != (0, 0))
    return [
        arrays.pad(
            tuple(a.pad if a.value == value else (0, 0) for a in axes),
            tensor.dtype.numpy.type(value),
        )
        for value in values
    ]


def slicing(axes: list[Axis], scope: Scope) -> tuple[list[Change], list[Side]]:
    """The slices and splits, and what the axes are afterwards."""
    parts = [part(axis, scope) for axis in axes]
    changes: list[Change] = []
    if not all(p.is_whole(a.length) for p, a in zip(parts, axes, strict=True)):
        changes.append(scope.arrays.select(parts))
    layout: list[Side] = []
    shape: list[int] = []
    for n, p in enumerate(parts):
        if p.count is not None:
            new = sides(n, axes[n].line)
            layout += new
            shape += [p.count] if len(new) == 1 else [i.size for i in only_indices(new)]
    if len(shape) > sum(p.count is not None for p in parts):
        final = tuple(shape)
        changes.append(lambda env, array: array.reshape(final))
    return changes, layout


def sides(n: int, placed: Line | None) -> list[Side]:
    """What an axis is once it is sliced: itself, an index, a group's indices, or windows."""
    if placed is None:
        return [n]
    if len(placed.terms) == 1:
        return [placed.terms[0][0]]
    group = grouped(placed.terms)
    if group is not None:
        return [index for index, _ in group]
    return [tuple(sorted(placed.terms, key=lambda term: term[0].size))]


def opening(layout: list[Side], arrays: Arrays) -> tuple[list[Change], list[Side]]:
    """The changes that open windows, and the axes afterwards. In a window the short index comes
    first: copies then move long runs."""
    changes: list[Change] = []
    held: list[Side] = []
    for side in layout:
        if isinstance(side, tuple):
            sizes, steps = tuple(i.size for i, _ in side), tuple(step for _, step in side)
            changes.append(arrays.windows(len(held), sizes, steps))
            held += [index for index, _ in side]
        else:
            held.append(side)
    return changes, held


def part(axis: Axis, scope: Scope) -> Part:
    """The slice that covers an axis's line."""
    placed = axis.line
    if placed is None:
        return Part(0, axis.length)
    moving = moving_number(placed.moving, scope.slots)
    match placed.terms:
        case ():
            return Part(placed.offset, moving=moving)
        case ((index, step),):
            return Part(placed.offset, index.size, step, moving)
    group = grouped(placed.terms)
    if group is not None:
        size = 1
        for index, _ in group:
            size *= index.size
        return Part(placed.offset, size, group[-1][1], moving)
    low, high = affine_bounds(Affine(placed.terms, placed.offset))
    return Part(low, high - low + 1, 1, moving)


# Index arrays -------------------------------------------------------------------------------------


def grid(load: Load, n: int, axis: Axis, scope: Scope) -> Node:
    """The positions that an axis is read at."""
    subscript = axis.subscript
    if isinstance(subscript, Expr):
        return shifted(checked(load, n, subscript, scope), axis.shift, scope)
    low, high = affine_bounds(subscript)
    node = shifted(scope.lower(settled(subscript_value(subscript))), axis.shift, scope)
    if low + axis.shift >= 0 and high + axis.shift < axis.length:
        return node
    xp, run, last = scope.arrays.xp, node.run, axis.length - 1
    return Node(lambda env: xp.clip(run(env), 0, last), node.axes, fresh=True)


def shifted(node: Node, shift: int, scope: Scope) -> Node:
    if shift == 0:
        return node
    if node.constant:
        value = node.run([]) + shift
        return Node(lambda env: value, node.axes, constant=True)
    run = node.run
    return Node(lambda env: run(env) + shift, node.axes, fresh=True)


def checked(load: Load, n: int, subscript: Expr, scope: Scope) -> Node:
    """A run-time subscript, with its check where the guards hold."""
    node = scope.lower(subscript)
    site = scope.site(load, n, node.axes)
    run = scope.arrays.check(site, node.run, guard_over(node.axes, scope))
    return Node(run, node.axes, text="checked")


def guard_over(axes: Axes, scope: Scope) -> Run | None:
    """For each setting of some indices, whether anything is evaluated; None where all is."""
    node = guards(scope)
    if node is None:
        return None
    others = tuple(n for n, index in enumerate(node.axes) if index not in axes)
    if others:
        run = node.run
        kept = tuple(index for index in node.axes if index in axes)
        node = Node(lambda env: run(env).any(axis=others), kept, fresh=True)
    return aligned(node, axes)


def guards(scope: Scope) -> Node | None:
    """Whether the expression is evaluated at all, or None where it always is."""
    if not scope.guards:
        return None
    before = replace(scope, guards=scope.guards[:-1])
    last = before.lower(scope.guards[-1])
    rest = guards(before)
    if rest is None:
        return last
    axes = merged((rest, last), scope.order)
    one, two, both = aligned(rest, axes), aligned(last, axes), scope.arrays.functions[Primitive.AND]
    return Node(lambda env: both(one(env), two(env)), axes, fresh=True)


def gathering(grids: list[tuple[int, Node]], held: list[Side], order: Axes) -> tuple[Change, Axes]:
    """The change that uses index arrays at some axes, and the axes afterwards."""
    if len(grids) == 1:
        at, node = grids[0]
        run = node.run
        axes = (*held[:at], *node.axes, *held[at + 1 :])
        return lambda env, array: array.take(run(env), at, mode="clip"), only_indices(axes)
    nodes = [node for _, node in grids]
    union = merged(nodes, order)
    runs: list[tuple[int, Run]] = [(at, aligned(node, union)) for at, node in grids]
    places = [at for at, _ in grids]
    adjacent = places == list(range(places[0], places[-1] + 1))
    front = held[: places[0]] if adjacent else []
    rest = [i for n, i in enumerate(held) if n not in places and n >= len(front)]
    everything = [slice(None)] * len(held)

    def change(env: Env, array: object) -> object:
        key: list[object] = list(everything)
        for at, run in runs:
            key[at] = run(env)
        return array[tuple(key)]  # type: ignore[index]

    return change, only_indices((*front, *union, *rest))


def only_indices(sides: Iterable[Side]) -> Axes:
    axes = tuple(sides)
    assert all(isinstance(side, Index) for side in axes)
    return axes  # type: ignore[return-value]


def only_sides(sides: Iterable[Side]) -> tuple[Index | tuple[Term, ...], ...]:
    return tuple(side for side in sides if not isinstance(side, int))
