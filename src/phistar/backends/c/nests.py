"""The leaves of a group as loop nests: ordered, fused, their temporaries made small.

ordered    the innermost variable moves along memory in most of what is read and written
fused      two loops become one where neither touches another's elements at other positions
local      a tensor that lives inside one loop loses the axis of that loop's variable
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

from phistar.backends.c.tree import (
    Access,
    Leaf,
    Loop,
    Node,
    Product,
    Var,
    Window,
    accesses,
    initial,
    leaves,
)
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Assign, Const, Expr, Index, Kind, Load, Tensor
from phistar.ir.walk import affine_indices, free_indices, nodes

ROW = 32  # turns of an inner loop beside which single numbers a row cost little
MANY = 16  # assignments in one innermost loop: more want too many registers
NEAR = 16  # elements between neighbours that share few cache lines, but share some
LARGE = 4096  # settings in a turn of a loop that make up for doing products one by one
LOCAL = 4096  # elements that a local array may have
SHORT = 4  # turns of a loop that make no vectors, are fewer
TURNS = 16  # of loops that are done one after another, at most
UNROLLED = 64  # parts of expressions in them
ROOM = 1 << 18  # likewise, of one that a product reads or writes


# Order --------------------------------------------------------------------------------------------


def nest(leaf: Leaf, shared: Var | None) -> list[Node]:
    """The leaf inside its loops; before it, where the sum is not innermost, its first values."""
    if unrolls(leaf):
        inside = wrapped(leaf, leaf, leaf.assign.over, unrolled=True)
        outside = set(leaf.indices) - set(leaf.assign.over)
        return [wrapped(inside, leaf, loop_order(leaf, shared, outside))]
    order = loop_order(leaf, shared)
    over = set(leaf.assign.over)
    if not leaf.define or not over or not outer_reduction(order, over):
        return [wrapped(leaf, leaf, order)]
    later = replace(leaf, define=False)
    if leaf.chunk is not None:  # cleared where its chunk begins
        return [wrapped(later, later, order)]
    first = first_values(leaf)
    kept = [i for i in order if i not in over]
    return [wrapped(first, first, kept), wrapped(later, later, order)]


def wrapped(node: Node, leaf: Leaf, order: Iterable[Index], unrolled: bool = False) -> Node:
    """The node inside loops of the leaf's variables, outermost first."""
    for index in reversed(list(order)):
        node = Loop(leaf.bind[index], [node], unrolled=unrolled)
    return node


def unrolls(leaf: Leaf) -> bool:
    """It reduces so few that all its elements are done at once, each in a register."""
    a = leaf.assign
    turns = math.prod(i.size for i in a.over)
    if not a.over or a.op is Op.SET or a.condition is not None or leaf.chunk is not None:
        return False
    if not 0 < turns <= TURNS or turns * sum(1 for _ in nodes(a.value)) > UNROLLED:
        return False
    if any(isinstance(s, Expr) for access in accesses(leaf) for s in access.load.subscripts):
        return False
    inner = max(leaf.indices, key=lambda i: score(i, leaf), default=None)
    return inner is not None and inner not in a.over and inner.size >= SHORT


def outer_reduction(order: list[Index], over: set[Index]) -> bool:
    """Some index of the target runs inside one that is reduced."""
    seen = False
    for index in order:
        if index in over:
            seen = True
        elif seen:
            return True
    return False


def first_values(leaf: Leaf) -> Leaf:
    a = leaf.assign
    value = Const(initial(a.op, a.target.dtype), a.target.dtype)
    return replace(leaf, assign=replace(a, op=Op.SET, value=value, over=(), condition=None))


def loop_order(leaf: Leaf, shared: Var | None, some: Container[Index] | None = None) -> list[Index]:
    """The leaf's indices, or some of them, outermost first."""
    a, order = leaf.assign, [i for i in leaf.indices if some is None or i in some]
    if not order:
        return order
    if (a.op in (Op.ARGMAX, Op.ARGMIN) and some is None) or not spread(a):
        return order  # the first of equals counts; the last one written stays
    if leaf.chunk is not None:  # its chunk is where the shared variable's loop is: outside
        order.sort(key=lambda i: leaf.bind[i] is not shared)
        head, order = order[:1], order[1:]
        if not order:
            return head
    else:
        head = []
    inner = max(order, key=lambda i: (score(i, leaf), order.index(i)))
    order.remove(inner)
    order.sort(key=lambda i: leaf.bind[i] is not shared)  # stable
    return [*head, *order, inner]


def spread(a: Assign) -> bool:
    """Two settings never write one element, unless they are summed."""
    if a.op is not Op.SET:
        return True
    at = [s.bare if isinstance(s, Affine) else None for s in a.target.subscripts]
    return {i for i in at if i is not None} >= set(free_target(a))


def free_target(a: Assign) -> tuple[Index, ...]:
    return free_indices(a.target)


def score(index: Index, leaf: Leaf) -> float:
    """How well the index runs along memory: more for more, and for the target most."""
    if index.size < SHORT:
        return -10.0 + index.size
    total = 0.0
    for number, access in enumerate(accesses(leaf)):
        step = stride(access.load, index)
        weight = 2.0 if number == 0 else 1.0
        if step is None:
            total -= 3 * weight
        elif step in (0, 1):
            total += weight if step else 0.0
        else:
            total -= weight if abs(step) <= NEAR else 3 * weight
    return total + min(index.size, 64) / 1024


def stride(load: Load, index: Index) -> int | None:
    """Elements between two neighbours along the index; None where that is not constant."""
    total, step = 0, 1
    for s, n in zip(reversed(load.subscripts), reversed(load.tensor.storage), strict=True):
        if isinstance(s, Expr):
            if index in free_indices(s):
                return None
        else:
            affine = s if isinstance(s, Affine) else s.position
            for atom, coefficient in affine.terms:
                if atom == index:
                    total += coefficient * step
                elif not isinstance(atom, Index) and index in affine_indices(atom.affine):
                    return None
        step *= n
    return total


# Fusion -------------------------------------------------------------------------------------------


def fuse(nodes: list[Node], shared: Var | None) -> list[Node]:
    """Neighbouring loops of one size as one loop, where that changes nothing; inside them too."""
    fused = neighbours(nodes, shared)
    while len(fused) < len(nodes):  # what was too little to be one with a product may be more now
        nodes, fused = fused, neighbours(fused, shared)
    for node in fused:
        if isinstance(node, Loop):
            node.body = fuse(node.body, shared)
    return fused


def neighbours(nodes: list[Node], shared: Var | None) -> list[Node]:
    fused: list[Node] = []
    for node in nodes:
        last = fused[-1] if fused else None
        if isinstance(node, Loop) and isinstance(last, Loop) and fusible(last, node, shared):
            rename(node.body, node.var, last.var)
            last.body.extend(node.body)
        else:
            fused.append(node)
    return fused


def fusible(one: Loop, two: Loop, shared: Var | None) -> bool:
    if (one.var is shared) != (two.var is shared):
        return False
    if one.scan or two.scan or one.var.size != two.var.size:
        return False
    if one.unrolled or two.unrolled:
        return False
    innermost = [loop.innermost for loop in (one, two)]
    products = [
        any(isinstance(node, Product | Window) for node in loop.body) for loop in (one, two)
    ]
    if any(products) and min(settings(one), settings(two)) < LARGE:
        return False
    if all(innermost) and len(one.body) + len(two.body) > MANY:
        return False
    if any(innermost) and not all(innermost) and longest(one, two) < ROW:
        return False
    if all(innermost) and vectorises(one) != vectorises(two):
        return False
    first = [access for leaf in leaves(one.body) for access in accesses(leaf)]
    second = [access for leaf in leaves(two.body) for access in accesses(leaf)]
    written = {a.tensor for a in (*first, *second) if a.write}
    both = {a.tensor for a in first} & {a.tensor for a in second} & written
    for t in both:
        axes = [a.axes(one.var) for a in first if a.tensor == t]
        axes += [a.axes(two.var) for a in second if a.tensor == t]
        if not frozenset.intersection(*axes):
            return False
    return True


def settings(loop: Loop) -> int:
    """How many settings of its indices the largest assignment in a loop has, a turn of the loop."""
    return max(
        (math.prod(i.size for i in leaf.indices) // max(loop.var.size, 1))
        for leaf in leaves(loop.body)
    )


def longest(*loops: Loop) -> int:
    """How many turns the longest loop inside these takes."""
    inside = [node for loop in loops for node in loop.body]
    inner = [node for node in inside if isinstance(node, Loop) and not node.unrolled]
    return max((max(loop.var.size, longest(loop)) for loop in inner), default=0)


def rename(nodes: Iterable[Node], old: Var, new: Var) -> None:
    for leaf in leaves(nodes):
        leaf.bind = {i: new if var is old else var for i, var in leaf.bind.items()}


def vectorises(loop: Loop) -> bool:
    return all(vector_leaf(leaf, loop.var) for leaf in leaves(loop.body))


def vector_leaf(leaf: Leaf, var: Var) -> bool:
    """The leaf's settings of this variable may be done at once: no gather in it can fail, and what
    it writes is either one element a setting or a sum that a register holds.
    """
    a = leaf.assign
    moving = {i for i, v in leaf.bind.items() if v is var}
    if a.op in (Op.ARGMAX, Op.ARGMIN) and moving & set(a.over):
        return False
    for access in accesses(leaf):
        for s in access.load.subscripts:
            if isinstance(s, Expr) and moving & set(free_indices(s)):
                return False
    if moving & set(a.over):
        return not moving & set(free_indices(a.target)) and a.op is not Op.SET
    return any(
        isinstance(s, Affine) and s.bare is not None and s.bare in moving
        for s in a.target.subscripts
    )


# Local tensors ------------------------------------------------------------------------------------


@dataclass
class Local:
    """A tensor that lives inside a loop: which axes are left of it."""

    tensor: Tensor
    axes: tuple[int, ...]
    loop: Loop

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.storage[axis] for axis in self.axes)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass
class Localising:
    """Finds the tensors of a group that live inside one loop. `uses`: how often the whole program
    touches each tensor.
    """

    uses: dict[Tensor, int]
    outputs: frozenset[Tensor]
    found: dict[Tensor, Local] = field(default_factory=dict)
    multiplied: set[Tensor] = field(default_factory=set)

    def run(self, nodes: list[Node]) -> None:
        self.multiplied = set(multiplied(nodes))  # products want them as they are
        for node in nodes:
            if isinstance(node, Loop):
                self.loop(node, {})

    def loop(self, loop: Loop, dropped: dict[Tensor, tuple[int, ...]]) -> None:
        """Tensors that only this loop touches, always at its own position, lose that axis."""
        touched: dict[Tensor, list[Access]] = {}
        for leaf in leaves(loop.body):
            for access in accesses(leaf):
                touched.setdefault(access.tensor, []).append(access)
        inside: dict[Tensor, tuple[int, ...]] = {}
        for t, found in touched.items():
            if t.kind is not Kind.VALUE or t in self.outputs:
                continue
            if len(found) != self.uses[t]:
                continue
            gone = dropped.get(t, ())
            axes = frozenset.intersection(*(a.axes(loop.var) for a in found)) - set(gone)
            axes = frozenset(axis for axis in axes if t.storage[axis] == loop.var.size)
            if not axes or (t in self.multiplied and not self.outermost(t, axes, loop)):
                continue
            gone = (*gone, min(axes))
            inside[t] = gone
            self.found[t] = Local(t, tuple(n for n in range(len(t.storage)) if n not in gone), loop)
        for node in loop.body:
            if isinstance(node, Loop):
                self.loop(node, {t: gone for t, gone in inside.items() if within(t, node, touched)})

    def outermost(self, t: Tensor, axes: frozenset[int], loop: Loop) -> bool:
        """Products take steps through all axes of a tensor but the outermost."""
        return axes == {0} and not any(
            t in {access.tensor for access in accesses(node.leaf)} and loop.var in used(node)
            for node in products_in(loop.body)
        )

    def locals(self) -> dict[Tensor, Local]:
        return {
            t: local
            for t, local in self.found.items()
            if local.size <= (ROOM if t in self.multiplied else LOCAL)
        }


def multiplied(nodes: Iterable[Node]) -> Iterator[Tensor]:
    """The tensors that products read and write."""
    for node in products_in(nodes):
        yield from (access.tensor for access in accesses(node.leaf))


def products_in(nodes: Iterable[Node]) -> Iterator[Product | Window]:
    for node in nodes:
        if isinstance(node, Product | Window):
            yield node
        elif isinstance(node, Loop):
            yield from products_in(node.body)


def used(node: Product | Window) -> set[Var]:
    """The variables that run inside the product."""
    if isinstance(node, Product):
        sides = node.sides
    else:
        sides = [node.rows, node.width, *node.sums, *node.columns]
        sides += [node.height] if node.height is not None else []
    return {node.leaf.bind[i] for side in sides for i in side.all}


def within(t: Tensor, loop: Loop, touched: dict[Tensor, list[Access]]) -> bool:
    """The loop has all accesses that its parent has."""
    count = sum(1 for leaf in leaves(loop.body) for a in accesses(leaf) if a.tensor == t)
    return count == len(touched[t])
