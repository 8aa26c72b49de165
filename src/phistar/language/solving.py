"""Settling equations: ranges, then proofs that every read is inside its axis, then types.

`settle` takes one equation, or all equations of a scan at once, since they share the scan's index
and read one another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from phistar.errors import DefinitionError, IndexRangeError
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Kind
from phistar.language import pieces, scope
from phistar.language.equations import Access, Equation, elements, shape_text
from phistar.language.expression import Call, Expr, Index, Reduced, SizeOf
from phistar.language.initial import note_fans
from phistar.language.ranges import (
    Linear,
    SizeUnknown,
    bounds,
    largest_fit,
    linearize,
    plus,
    size_of,
)
from phistar.language.subscripts import Edge, Padded
from phistar.language.typing import find_types

if TYPE_CHECKING:
    from phistar.language.scans import ScanBlock
    from phistar.language.tensors import Definition


class Group:
    """Equations settled together, the ranges found so far, and why each is what it is."""

    def __init__(self, equations: list[Equation]) -> None:
        self.equations = equations
        self.sizes: dict[Index, int] = {}
        self.why: dict[Index, tuple[str, Access | None]] = {}
        for equation in equations:
            equation.sizes = self.sizes

    def set(self, index: Index, size: int, why: str, access: Access | None = None) -> None:
        self.sizes[index] = size
        self.why[index] = (why, access)


def settle(equations: list[Equation], block: ScanBlock | None) -> None:
    """Find ranges and types of the equations, prove their reads, and enter them as definitions."""
    group = Group([*equations, *pending_of(equations)])
    if block is not None:
        block.declare(group)
    for equation in equations:
        if equation not in equation.definition.equations and not equation.is_update:
            equation.definition.equations.append(equation)
    try:
        solve(group)
        keep_sizes(group)
        if block is not None:
            block.check_orders(group)
        for equation in group.equations:
            finish(equation, group)
        find_types(group.equations)
        for index, size in group.sizes.items():
            scope.note_size(index.name, size)
    except BaseException:
        for equation in equations:  # a refused statement leaves no trace
            if equation in equation.definition.equations:
                equation.definition.equations.remove(equation)
        raise


def keep_sizes(group: Group) -> None:
    """Fix what `k.size` means where k does not run: how far it ran in the statements before."""
    for equation in group.equations:
        stack: list[Expr] = [equation.value, equation.target]
        while stack:
            node = stack.pop()
            stack.extend(node.children)
            if isinstance(node, SizeOf) and node.index not in group.sizes:
                with contextlib.suppress(SizeUnknown):
                    group.sizes[node.index] = size_of(node.index, group.sizes)


def pending_of(equations: list[Equation]) -> list[Equation]:
    """Earlier equations of the same tensors whose ranges had to wait (initial values)."""
    found: dict[int, Equation] = {}
    for equation in equations:
        for other in equation.definition.equations:
            if other not in equations and not other.settled:
                found[id(other)] = other
    return list(found.values())


# Ranges -------------------------------------------------------------------------------------------


def solve(group: Group) -> None:
    """The rounds, again and again until none finds anything new."""
    for equation in group.equations:
        for index in indices_of(equation):
            if index.declared is not None and index not in group.sizes:
                group.set(
                    index, index.declared, f"{index.name} was declared with size {index.declared}"
                )
    rounds: tuple[Callable[[Equation, Group], bool], ...] = (alone, fits, left_sizes)
    progress = True
    while progress:
        progress = False
        for round_ in rounds:
            found = [round_(equation, group) for equation in group.equations]
            if any(found):
                progress = True
                break
        grown = [equation.definition for equation in group.equations if not equation.is_update]
        whole = [grow(definition, whole=True) for definition in grown]
        progress = progress or any(whole) or any(grow(definition) for definition in grown)


def grow(definition: Definition, whole: bool = False) -> bool:
    """Sizes from the pieces of a tensor; whole: of the axes on which all pieces are known."""
    before = (list(definition.sizes or ()), list(definition.halo))
    pieces.extend(definition, whole)
    return before != (definition.sizes, definition.halo)


def indices_of(equation: Equation) -> list[Index]:
    """Every index of an equation, bound ones too, each once."""
    found: dict[Index, None] = dict.fromkeys(equation.left.values())
    stack: list[Expr] = [equation.value]
    while stack:
        node = stack.pop()
        found.update(dict.fromkeys(node.free.values()))
        if isinstance(node, Reduced):
            found.update(dict.fromkeys(node.indices))
        stack.extend(node.children)
    return list(found)


def axis_size(access: Access, equation: Equation) -> int | None:
    """The size of the axis an access stands on, where it can say something about ranges."""
    definition = access.definition
    size = definition.sizes[access.axis] if definition.sizes else None
    if access.is_target and not constrains(equation):
        return None
    return size


def constrains(equation: Equation) -> bool:
    """Whether the left side's sizes are known from elsewhere: a state, a declared shape, a +=."""
    definition = equation.definition
    if equation.is_update or definition.declared:
        return True
    return equation.op != "=" and any(e is not equation and e.settled for e in definition.equations)


def alone(equation: Equation, group: Group) -> bool:
    """Indices that stand alone on an axis of known size take that size; and the other way round."""
    found = False
    for access in equation.accesses:
        size = axis_size(access, equation)
        index = access.subscript if isinstance(access.subscript, Index) else None
        if isinstance(access.subscript, tuple) and size is not None:
            found = split_group(access, size, equation, group) or found
        if index is None:
            continue
        if size is None:
            found = size_parameter(access, index, group) or found
        elif index not in group.sizes:
            group.set(index, size, said(access, index.name, size), access)
            found = True
        elif group.sizes[index] != size:
            refuse_sizes(equation, index, access, size, group)
    return found


def size_parameter(access: Access, index: Index, group: Group) -> bool:
    """A parameter declared without a shape gets the size of the index that runs over its axis."""
    definition = access.definition
    if definition.owner.kind is Kind.VALUE or access.is_target or index not in group.sizes:
        return False
    assert definition.sizes is not None
    definition.sizes[access.axis] = group.sizes[index]
    return True


def split_group(access: Access, size: int, equation: Equation, group: Group) -> bool:
    """On an axis of known size, the one index of a group without a size gets the quotient."""
    unknown = [i for i in access.subscript if i not in group.sizes]
    known = 1
    for index in access.subscript:
        known *= group.sizes.get(index, 1)
    names = ", ".join(i.name for i in access.subscript)
    tensor = access.definition.owner.shown_name
    if len(unknown) == 1 and known and size % known == 0:
        group.set(
            unknown[0], size // known, f"({names}) covers {size} elements of {tensor}", access
        )
        return True
    if len(unknown) == 1 or (not unknown and known != size):
        equation.fail(
            IndexRangeError,
            f"the group ({names}) does not divide its axis",
            f"axis {access.axis} of {tensor} has {size} elements; the sizes known make {known}",
            (access.element,),
        )
    return False


def said(access: Access, name: str, size: int) -> str:
    tensor = access.definition.owner.shown_name
    return f"{tensor} has shape {shape_text(access.definition)}, so {name} runs to {size}"


def refuse_sizes(equation: Equation, index: Index, access: Access, size: int, group: Group) -> None:
    why, first = group.why[index]
    marked = (access.element,) if first is None else (first.element, access.element)
    equation.fail(
        IndexRangeError,
        f"index {index.name} has two sizes",
        f"{why}; {said(access, index.name, size)}",
        marked,
    )


def fits(equation: Equation, group: Group) -> bool:
    """One unknown index in a subscript: the largest range that fits, the smallest of several."""
    candidates: dict[Index, tuple[int, Access]] = {}
    for access in equation.accesses:
        size = axis_size(access, equation)
        if size is None:
            continue
        linear, low, high = position(access, size, group)
        if linear is None:
            continue
        fit = largest_fit(linear, low, high, group.sizes)
        if fit is not None and (fit[0] not in candidates or fit[1] < candidates[fit[0]][0]):
            candidates[fit[0]] = (fit[1], access)
    for index, (size, access) in candidates.items():
        tensor = access.definition.owner.shown_name
        group.set(index, size, f"{index.name} runs to {size} in {tensor}", access)
    return bool(candidates)


def position(access: Access, size: int, group: Group) -> tuple[Linear | None, int, int]:
    """An access as a linear position with its bounds; None for gathers and the unknown."""
    s = access.subscript
    low_halo, high_halo = access.definition.halo[access.axis]
    low, high = -low_halo, size - 1 + high_halo
    try:
        if isinstance(s, Padded):
            return linearize(s.position, group.sizes), 0, size + s.low + s.high - 1
        return pieces.linear_of(s, group.sizes, size), low, high
    except SizeUnknown:
        return None, low, high


def left_sizes(equation: Equation, group: Group) -> bool:
    """Last of all: an index on the left takes the size its tensor has from other equations."""
    found = False
    for access in equation.accesses:
        s = access.subscript
        sizes = access.definition.sizes
        if access.is_target and isinstance(s, Index) and s not in group.sizes and sizes is not None:
            size = sizes[access.axis]
            if size is not None:
                group.set(s, size, said(access, s.name, size), access)
                found = True
    return found


# Proofs -------------------------------------------------------------------------------------------


def finish(equation: Equation, group: Group) -> None:
    """Refuse what has no range or reads outside; then the equation is settled."""
    missing = [i for i in indices_of(equation) if i not in group.sizes]
    if missing and may_wait(equation):
        return
    if missing:
        refuse_missing(equation, missing[0])
    for definition in {e.definition for e in elements(equation.value)}:
        check_complete(definition, equation, group)
    for access in equation.accesses:
        prove(access, equation, group)
    if not equation.is_update:
        pieces.check_new_piece(equation)
    remember_names(equation)
    note_fans(equation)
    equation.settled = True


def may_wait(equation: Equation) -> bool:
    """An initial value (`h[b, first - 1, j] = 0`) may wait for the scan to give its ranges."""
    on_halo = any(isinstance(s, Edge) for s in equation.target.subscripts)
    return on_halo and not equation.is_update


def refuse_missing(equation: Equation, index: Index) -> None:
    equation.fail(
        IndexRangeError,
        f"index {index.name} has no range",
        f'nothing here says how far {index.name} runs: declare it, ph.index("{index.name}", 128)',
        (index,),
    )


def prove(access: Access, equation: Equation, group: Group) -> None:
    """Every affine subscript stays inside its axis, for all settings of the indices."""
    if access.is_target and not constrains(equation):
        prove_target(access, equation, group)
        return
    sizes = access.definition.sizes
    size = None if sizes is None else sizes[access.axis]
    name = access.definition.owner.shown_name
    if size is None:
        equation.fail(
            IndexRangeError,
            f"axis {access.axis} of {name} has no size",
            f"give {name} a shape, or define it with = before adding to it",
            (access.element,),
        )
    linear, low, high = position(access, size, group)
    if linear is None or any(group.sizes[i] == 0 for i in linear.indices()):
        return
    first, last = bounds(linear, group.sizes)
    if first >= low and last <= high:
        return
    conditions = known_conditions(access, group)
    if inside(linear, low, high, conditions, group):
        return
    refuse_outside(access, equation, first, last, size)


def prove_target(access: Access, equation: Equation, group: Group) -> None:
    """A definition may start at 0; before it, only `first - n` says that it means to."""
    if isinstance(access.subscript, Edge):
        return
    box = pieces.left_interval(access.subscript, group.sizes, None)
    if box is None and equation.op == "=" and not isinstance(access.subscript, Padded):
        sizes = access.definition.sizes
        box = pieces.left_interval(
            access.subscript, group.sizes, sizes[access.axis] if sizes else None
        )
    if box is None:
        name = access.definition.owner.shown_name
        equation.fail(
            IndexRangeError,
            f"axis {access.axis} of {name} has no size",
            f"give {name} a shape, or define it with = before adding to it",
            (access.element,),
        )
    if box[0] < 0 and box[1] >= box[0]:
        refuse_outside(access, equation, *box, box[1] + 1)


def inside(linear: Linear, low: int, high: int, conditions: list[Linear], group: Group) -> bool:
    """Whether low <= linear <= high follows by intervals, with the help of one condition a side."""
    above = plus(linear, Linear({}, low), -1)
    below = plus(Linear({}, high), linear, -1)
    return all(
        any(bounds(plus(side, c, -1), group.sizes)[0] >= 0 for c in (Linear({}), *conditions))
        for side in (above, below)
    )


def known_conditions(access: Access, group: Group) -> list[Linear]:
    """The conditions of the enclosing domains as linears that are known to be >= 0."""
    found = []
    for condition in access.conditions:
        match condition:
            case Call(function=P.LESS_EQUAL, args=(a, b)):
                sides = (b, a, 0)
            case Call(function=P.GREATER_EQUAL, args=(a, b)):
                sides = (a, b, 0)
            case Call(function=P.LESS, args=(a, b)):
                sides = (b, a, -1)
            case Call(function=P.GREATER, args=(a, b)):
                sides = (a, b, -1)
            case _:
                continue
        larger, smaller = linearize(sides[0], group.sizes), linearize(sides[1], group.sizes)
        if larger is not None and smaller is not None:
            found.append(plus(plus(larger, smaller, -1), Linear({}, sides[2]), 1))
    return found


def refuse_outside(access: Access, equation: Equation, first: int, last: int, size: int) -> None:
    name = access.definition.owner.shown_name
    what = "writes" if access.is_target else "reads"
    padded = isinstance(access.subscript, Padded)
    extent = size + access.subscript.low + access.subscript.high if padded else size
    after = " after padding" if padded else ""
    hint = ""
    if first < 0 and equation.blocks and not access.is_target:
        hint = f"; give {name} an initial value at ph.first - 1, before the scan"
    equation.fail(
        IndexRangeError,
        f"{access.element} {what} outside {name}",
        f"it {what} positions {first}..{last} of axis {access.axis}, "
        f"which has {extent} elements (0..{extent - 1}){after}{hint}",
        (access.element,),
    )


def check_complete(definition: Definition, equation: Equation, group: Group) -> None:
    """A tensor that is read (outside the scan that defines it) is defined everywhere."""
    if definition.owner.kind is not Kind.VALUE:
        return
    others = [e for e in definition.equations if e is not equation]
    if definition is equation.definition and (equation.blocks or others):
        return  # a recurrence, or a later piece that reads an earlier one
    if any(e in group.equations for e in others):
        return
    if not others and not definition.units:
        equation.fail(
            DefinitionError,
            f"{definition.owner.shown_name} is read before it is defined",
            f"define it first: {definition.owner.shown_name}[...] = ...",
        )
    if any(not e.settled for e in definition.equations):
        equation.fail(
            DefinitionError,
            f"{definition.owner.shown_name} has only an initial value",
            "the scan that computes the rest has to come first",
        )
    hole = pieces.check_no_hole(definition)
    if hole is not None:
        equation.fail(
            DefinitionError,
            f"{definition.owner.shown_name} is read, but has a hole",
            f"{hole}: define the rest first",
        )


def remember_names(equation: Equation) -> None:
    """Keep the names of the indices that run over each axis, for `...` later on."""
    for access in equation.accesses:
        names = access.definition.index_names
        if isinstance(access.subscript, Index) and names[access.axis] is None:
            names[access.axis] = access.subscript.name
