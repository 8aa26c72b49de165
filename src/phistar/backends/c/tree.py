"""The records between equations and C: loops with assignments as their leaves.

    node ::= loop variable { node* } | leaf
    leaf ::= assignment, with a loop variable for each of its indices

A group of nodes is shared among the threads by one of its loop variables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Assign, Expr, Index, Load, Pad, Subscript, Tensor
from phistar.ir.walk import all_indices
from phistar.ir.walk import nodes as expressions_in


@dataclass(eq=False)
class Var:
    """A loop variable: 0, 1, ..., size - 1."""

    name: str
    size: int


@dataclass(eq=False)
class Leaf:
    """An assignment inside its loops; `define` says that it is the first to write its target."""

    assign: Assign
    bind: dict[Index, Var]
    define: bool = False
    scans: frozenset[Index] = frozenset()  # the indices of the scans around it
    chunk: Index | None = None  # on its left: the chunk of the shared variable, for a partial sum
    found: tuple[object, tuple[Access, ...]] = field(default=(None, ()), init=False, repr=False)

    @property
    def indices(self) -> tuple[Index, ...]:
        """The indices that the leaf itself runs over: its target's, then those it reduces."""
        own = dict.fromkeys(all_indices(self.assign))
        return tuple(i for i in own if i not in self.scans and i != self.chunk)

    @property
    def target(self) -> Tensor:
        return self.assign.target.tensor

    @property
    def over(self) -> tuple[Var, ...]:
        """The variables that are summed over."""
        return tuple(self.bind[i] for i in self.assign.over)


@dataclass(eq=False)
class Loop:
    """Its body, for each value of its variable. A scan's steps are done in order.

    unrolled: the turns stand one after another in the source, as a part of the turns around them.
    """

    var: Var
    body: list[Node]
    scan: bool = False
    backwards: bool = False
    unrolled: bool = False

    @property
    def innermost(self) -> bool:
        """There is no loop inside, nor a call."""
        return all(isinstance(n, Leaf) or (isinstance(n, Loop) and n.unrolled) for n in self.body)


@dataclass(frozen=True)
class Side:
    """An index of a product: its steps in the two factors and in the result.

    Several that go through memory as one are one: `all` has them, `index` is the outermost.
    """

    index: Index
    size: int
    a: int
    b: int
    c: int
    all: tuple[Index, ...]


@dataclass(eq=False)
class Product:
    """A leaf that is a product of two matrices, a times b: see `products`.

    kind: "outer", "dot", "turned"; or "picture", which may sum over `outer` too: see `pictures`.
    """

    leaf: Leaf
    kind: str
    a: Load
    b: Load
    rows: Side
    columns: Side
    sum: Side
    outer: Side | None = None

    @property
    def sides(self) -> list[Side]:
        """What runs inside the product."""
        sides = [self.rows, self.columns, self.sum]
        return sides if self.outer is None else [*sides, self.outer]


@dataclass(eq=False)
class Window:
    """A leaf that is a product whose sums, or columns, move in several directions: a convolution.

    kind: "window", with columns (width) and maybe rows of columns (height), sums over `sums`; or
    "window_dot", whose sum runs over `width` and `sums`, and whose columns are `columns`.
    """

    leaf: Leaf
    kind: str
    a: Load
    b: Load
    rows: Side
    width: Side
    height: Side | None
    sums: tuple[Side, ...]
    columns: tuple[Side, ...] = ()


Node: TypeAlias = Loop | Leaf | Product | Window


@dataclass(eq=False)
class Access:
    """A tensor as a leaf reads or writes it: on each axis the variable that stands there alone."""

    tensor: Tensor
    alone: tuple[Var | None, ...]
    write: bool
    load: Load

    def axes(self, var: Var) -> frozenset[int]:
        """The axes at which the variable stands alone."""
        return frozenset(axis for axis, other in enumerate(self.alone) if other is var)


@dataclass(eq=False)
class Group:
    """Nodes between two barriers: `var` is shared among the threads, or thread 0 does all.

    solo: what thread 0 does beside them. chunk: which `step` values of the variable a partial sum
    has.
    """

    var: Var | None
    chunk: Var | None = None
    step: int = 1
    nodes: list[Node] = field(default_factory=list)
    solo: list[Node] = field(default_factory=list)
    work: float = 0.0


@dataclass(eq=False)
class Repeat:
    """A scan whose steps are groups: every thread goes through it, with barriers."""

    var: Var
    body: list[Part]
    backwards: bool


Part: TypeAlias = Group | Repeat


def leaves(nodes: Iterable[Node]) -> Iterator[Leaf]:
    for node in nodes:
        if isinstance(node, Leaf):
            yield node
        elif isinstance(node, Product | Window):
            yield node.leaf
        else:
            yield from leaves(node.body)


def every_leaf(parts: Iterable[Part]) -> Iterator[Leaf]:
    for part in parts:
        if isinstance(part, Repeat):
            yield from every_leaf(part.body)
        else:
            yield from leaves(part.nodes)
            yield from leaves(part.solo)


def accesses(leaf: Leaf) -> tuple[Access, ...]:
    """Every access of a leaf, the write first; found again only when its variables are others."""
    bind, found = leaf.found
    if bind is not leaf.bind:
        found = (access(leaf.assign.target, leaf, True), *reads(leaf))
        leaf.found = leaf.bind, found
    return found


def reads(leaf: Leaf) -> Iterator[Access]:
    for e in read_expressions(leaf.assign):
        yield from (access(n, leaf, False) for n in expressions_in(e) if isinstance(n, Load))


def read_expressions(a: Assign) -> Iterator[Expr]:
    """The value, the condition, and the gathers on the left."""
    yield a.value
    if a.condition is not None:
        yield a.condition
    yield from (s for s in a.target.subscripts if isinstance(s, Expr))


def access(load: Load, leaf: Leaf, write: bool) -> Access:
    alone = tuple(alone_at(s, leaf) for s in load.subscripts)
    return Access(load.tensor, alone, write, load)


def alone_at(s: Subscript, leaf: Leaf) -> Var | None:
    """The variable, if the subscript is nothing but one index."""
    if isinstance(s, Affine) and s.bare is not None:
        return leaf.bind[s.bare]
    return None


def moves(s: Subscript) -> Affine | None:
    """The affine part of a subscript; None for a gather."""
    return s if isinstance(s, Affine) else s.position if isinstance(s, Pad) else None


def initial(op: Op, dtype: DType) -> float | int | bool:
    """What a tensor holds before its first assignment, which has this op."""
    if op is Op.MUL:
        return 1
    if op in (Op.MAX, Op.MIN):
        if dtype.is_bool:
            return op is Op.MIN
        if dtype.is_float:
            return -math.inf if op is Op.MAX else math.inf
        bounds = np.iinfo(dtype.numpy)
        return int(bounds.min if op is Op.MAX else bounds.max)
    return 0
