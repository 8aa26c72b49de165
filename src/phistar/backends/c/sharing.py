"""Which thread does what: statements gathered into groups, with a barrier between two of them.

A group is shared among the threads by one loop variable: each has a range of its values. That is
right without a barrier inside if whatever is written in the group is touched in it at that
variable's own positions only:

    h.pre[b, j] += W[j, i] * x[b, i];  h[b, j] = relu(h.pre[b, j])          shared by b

A sum over the variable becomes a partial sum a chunk of it, added up in order in the next group, so
that the numbers do not depend on how many threads there are:

    loss.part[c] += Σ_(b in chunk c) ...      |      loss += Σ_c loss.part[c]

Statements may move before others that they do not touch.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from phistar.backends.c.kernels import is_product, matrices
from phistar.backends.c.tree import (
    Access,
    Group,
    Leaf,
    Loop,
    Node,
    Part,
    Product,
    Repeat,
    Var,
    Window,
    accesses,
    leaves,
)
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Index, Kind, Load, Tensor
from phistar.ir.walk import free_indices, loads
from phistar.ir.walk import nodes as expressions_in
from phistar.transform.names import Names

CHUNKS = 32  # into which the values of a shared variable are divided, at most
FEW = max(8, os.cpu_count() or 1)  # likewise, at least, where partial sums are large
SUMS = 1 << 18  # elements that all partial sums of a group have, beyond that
SOLO = 2000.0  # operations that are not worth sharing
PARTIAL = 1 << 14  # elements of a sum that is summed in parts, at most
EXPANDS = 2.5  # times as large as what it is made of is a tensor that is not kept for later
PRODUCTS = 1 << 17  # likewise, of a sum of products

MOVED = 5  # times as large a minibatch may be as the parameter that is moved instead
READ = 0.5  # likewise, where the parameter stays as it is


def size_of(t: Tensor) -> int:
    return math.prod(t.storage)


def chunks(sums: int) -> int:
    """How many chunks at most, where each has partial sums of so many elements: a function of the
    program and of the machine, not of how many threads there are.
    """
    return max(min(CHUNKS, SUMS // max(sums, 1)), FEW)


@dataclass
class Use:
    """How a group touches a tensor: the axes where the shared variable always stands alone."""

    axes: frozenset[int] | None = None  # None: not touched by what is shared
    written: bool = False
    solo: bool = False  # touched by thread 0 alone
    solo_written: bool = False


@dataclass
class Sharing:
    """Divides nodes into groups; `names` gives names to partial sums."""

    names: Names
    totals: set[Tensor] = field(default_factory=set)  # partial sums: these are added up at once

    pictures: frozenset[Tensor] = frozenset()  # whose channels, last, stay together
    updated: frozenset[Tensor] = frozenset()  # parameters that the program writes
    laid_out: dict[Node, Tensor] = field(default_factory=dict)  # what they define for one reader
    parts: dict[Leaf, str] = field(default_factory=dict)  # names of their partial sums

    def part_name(self, leaf: Leaf) -> str:
        """What the leaf's partial sums are called, however often a group is tried."""
        if leaf not in self.parts:
            self.parts[leaf] = self.names.fresh(f"{leaf.target.name}.part")
        return self.parts[leaf]

    def costly(self, leaf: Leaf, var: Var) -> bool:
        """A product shared by its minibatch would have every thread read all of a parameter, whose
        rows the threads may just have written, each its own: sharing by those rows moves less.
        """
        product = matrices(leaf, var)
        if product is None:
            return False
        for weights, other in ((product.a, product.b), (product.b, product.a)):
            if weights.tensor.kind is not Kind.PARAMETER or other.tensor.kind is Kind.PARAMETER:
                continue
            size = size_of(weights.tensor)
            most = MOVED if weights.tensor in self.updated else READ
            moved = size_of(other.tensor) <= most * size and size_of(leaf.target) <= 2 * size
            mine = any(leaf.bind[i] is var for i in free_indices(weights))
            return moved and not mine and size > PARTIAL
        return False

    def divide(self, nodes: list[Node]) -> list[Part]:
        """The nodes as groups, in an order that keeps what depends on what."""
        left, done = list(nodes), list[Part]()
        self.laid_out |= expanding(nodes)
        while left:
            part, left = self.next_part(left)
            done.append(part)
        return done

    def next_part(self, nodes: list[Node]) -> tuple[Part, list[Node]]:
        best: tuple[Group, list[Node]] | None = None
        first = nodes[0]
        for size in candidate_sizes(nodes):
            gathering = Gathering(self, size)
            group, left = gathering.gather(nodes)
            if chunks(gathering.summed) < CHUNKS:
                group, left = Gathering(self, size, chunks(gathering.summed)).gather(nodes)
            if best is None or group.work > 1.1 * best[0].work:
                best = group, left
        if best is not None and (best[0].nodes or best[0].solo):
            return best
        if self.laid_out.pop(first, None) is not None:  # its reader is shared in another way
            return self.next_part(nodes)
        group, left = Gathering(self, None).gather(nodes)
        if group.solo:
            return group, left
        assert isinstance(first, Loop)
        return Repeat(first.var, self.divide(first.body), first.backwards), nodes[1:]


def expanding(nodes: list[Node]) -> dict[Node, Tensor]:
    """Leaves that define a large tensor of small ones, for one other leaf, or of nothing."""
    touched: dict[Tensor, list[Node]] = {}
    for node in nodes:
        for t in dict.fromkeys(
            access.tensor for leaf in leaves([node]) for access in accesses(leaf)
        ):
            touched.setdefault(t, []).append(node)
    found: dict[Node, Tensor] = {}
    for node in nodes:
        if not isinstance(node, Leaf) or not node.define or node.target.kind is not Kind.VALUE:
            continue
        t = node.target
        inputs = sum(size_of(access.tensor) for access in accesses(node)[1:])
        few = len(touched[t]) == 2 or not inputs
        if few and size_of(t) > max(EXPANDS * inputs, PARTIAL):
            found[node] = t
    return found


def candidate_sizes(nodes: list[Node]) -> list[int]:
    """Sizes by which the first statement worth sharing could be shared; at most four."""
    for leaf in leaves(nodes):
        if work(leaf) > SOLO:
            sizes = [i.size for i in shareable(leaf)]
            if leaf.assign.op is Op.ADD:
                sizes += sorted((i.size for i in leaf.assign.over if i.size > 1), reverse=True)[:1]
            if sizes:
                return list(dict.fromkeys(sizes))[:4]
    return []


def shareable(leaf: Leaf) -> list[Index]:
    """Indices of the target that stand alone on an axis and have more than one value."""
    at = [s.bare for s in leaf.assign.target.subscripts if isinstance(s, Affine)]
    return [i for i in dict.fromkeys(at) if i is not None and i.size > 1 and i not in leaf.scans]


def work(node: Node) -> float:
    """Operations, roughly."""
    if isinstance(node, Loop):
        return node.var.size * sum(work(inner) for inner in node.body)
    if isinstance(node, Product | Window):
        node = node.leaf
    size = math.prod(i.size for i in node.indices)
    return float(size * (1 + sum(1 for _ in expressions_in(node.assign.value))))


class Gathering:
    """One group in the making."""

    def __init__(self, sharing: Sharing, size: int | None, most: int = CHUNKS) -> None:
        self.sharing = sharing
        self.var = None if size is None else Var("n", size)
        self.step = max(1, -(-(size or 1) // most))
        self.chunk = Var("chunk", -(-(size or 1) // self.step))
        self.summed = 0  # elements of the partial sums of a chunk
        self.uses: dict[Tensor, Use] = {}
        self.skipped_reads: set[Tensor] = set()
        self.skipped_writes: set[Tensor] = set()
        self.sums: list[Node] = []
        self.waiting: dict[Tensor, Node] = {}  # by what it defines

    def gather(self, nodes: list[Node]) -> tuple[Group, list[Node]]:
        """What fits into the group, and what is left for later ones, in order."""
        group, left = Group(self.var, self.chunk, self.step), list[Node]()
        for node in nodes:
            if self.waits(node):
                continue
            unit = [*self.awaited(node), node]
            if not any(self.blocked(one) for one in unit):
                shared = self.together(unit)
                if shared is not None:
                    group.nodes += shared
                    group.work += sum(work(one) for one in unit)
                    continue
                if len(unit) == 1 and self.takes_solo(node):
                    group.solo.append(node)
                    continue
            for one in unit:
                self.skip(one)
                left.append(one)
        return group, [*self.sums, *self.waiting.values(), *left]

    def waits(self, node: Node) -> bool:
        """It makes much of little for one reader: it goes where that goes, or it would be kept."""
        t = self.sharing.laid_out.get(node) if self.var is not None else None
        if t is None or self.blocked(node):
            return False
        self.waiting[t] = node
        return True

    def awaited(self, node: Node) -> list[Node]:
        """What waits for this reader."""
        read = {access.tensor for leaf in leaves([node]) for access in accesses(leaf)}
        return [self.waiting.pop(t) for t in list(self.waiting) if t in read]

    def together(self, unit: list[Node]) -> list[Node] | None:
        """All of these, shared by the group's variable, or None."""
        before = {t: replace(use) for t, use in self.uses.items()}
        made = [self.shared(one) for one in unit[:-1]]
        last = None if None in made else self.shared(unit[-1])
        if last is None:
            self.uses = before
            return None
        return [*(one for one in made if one is not None), last]

    def blocked(self, node: Node) -> bool:
        """It depends on something that was left for later, or changes what something waits for."""
        needed = {
            access.tensor
            for one in self.waiting.values()
            for leaf in leaves([one])
            for access in accesses(leaf)
        }
        for leaf in leaves([node]):
            for access in accesses(leaf):
                if access.tensor in self.skipped_writes:
                    return True
                if access.write and access.tensor in (self.skipped_reads | needed):
                    return True
        return False

    def skip(self, node: Node) -> None:
        for leaf in leaves([node]):
            for access in accesses(leaf):
                (self.skipped_writes if access.write else self.skipped_reads).add(access.tensor)

    # Shared statements ----------------------------------------------------------------------------

    def shared(self, node: Node) -> Node | None:
        """The node, shared by the group's variable, or None if it cannot be."""
        if self.var is None:
            return None
        before = {t: replace(use) for t, use in self.uses.items()}
        made = self.share(node, inside=False)
        if made is None:
            self.uses = before
        return made

    def share(self, node: Node, inside: bool) -> Node | None:
        if isinstance(node, Loop):
            body = [self.share(inner, True) for inner in node.body]
            if any(inner is None for inner in body):
                return None
            return replace(node, body=[inner for inner in body if inner is not None])
        assert self.var is not None
        assert isinstance(node, Leaf)
        for index in shareable(node):
            var = node.bind[index]
            if var.size == self.var.size and not self.parts_channels(node, index):
                if not self.uses:
                    self.var.name = index.name
                bound = replace(node, bind={**node.bind, index: self.var})
                if not self.sharing.costly(bound, self.var) and self.agrees(bound):
                    return bound
        return None if inside else self.partial(node)

    def parts_channels(self, leaf: Leaf, index: Index) -> bool:
        """Threads would share the channels of a picture, which lie side by side."""
        var = leaf.bind[index]
        return any(
            access.tensor in self.sharing.pictures and access.alone[-1] is var
            for access in accesses(leaf)
        )

    def agrees(self, leaf: Leaf, partial: bool = False) -> bool:
        """Whatever is written in the group is touched at the thread's own positions; recorded."""
        assert self.var is not None
        new: dict[Tensor, Use] = {}
        for access in accesses(leaf):
            t = access.tensor
            use = new.get(t) or replace(self.uses.get(t, Use()))
            axes = access.axes(self.var)
            use.axes = axes if use.axes is None else use.axes & axes
            use.written |= access.write
            if use.written and not use.axes:
                return False
            if use.solo_written or (access.write and use.solo):
                return False
            new[t] = use
        self.uses |= new
        return True

    # Partial sums ---------------------------------------------------------------------------------

    def partial(self, leaf: Leaf) -> Leaf | None:
        """The leaf as a partial sum for each chunk of the group's variable."""
        a, t = leaf.assign, leaf.assign.target.tensor
        assert self.var is not None
        if any(load.tensor in self.sharing.totals for load in loads(a.value)):
            return None
        multiplied = is_product(leaf)
        most = PRODUCTS if multiplied else PARTIAL
        if a.op is not Op.ADD or t.halo or math.prod(t.shape) > most or t in self.uses:
            return None
        if not t.dtype.is_float or not all(isinstance(s, Affine) for s in a.target.subscripts):
            return None
        for index in a.over:
            if leaf.bind[index].size != self.var.size or self.chunk.size < 2:
                continue
            if multiplied and not self.one_by_one(leaf, index):
                continue
            chunk = Index(f"{index.name}.chunk", self.chunk.size)
            part = Tensor(self.sharing.part_name(leaf), (chunk.size, *t.shape), t.dtype)
            target = Load(part, (Affine(((chunk, 1),)), *a.target.subscripts))
            bind = {**leaf.bind, index: self.var, chunk: self.chunk}
            made = replace(
                leaf, assign=replace(a, target=target), bind=bind, define=True, chunk=chunk
            )
            if self.agrees_partial(made, part):
                self.sums.append(self.total(leaf, part))
                self.sharing.totals.add(part)
                self.summed += size_of(t)
                self.skipped_writes.add(t)
                return made
        return None

    def one_by_one(self, leaf: Leaf, index: Index) -> bool:
        """It is a product for each value of the index, not one that sums over it."""
        assert self.var is not None
        bound = replace(leaf, bind={**leaf.bind, index: self.var})
        product = matrices(bound, self.var)
        if product is None:
            return False
        return index not in {*product.sum.all, *product.rows.all, *product.columns.all}

    def agrees_partial(self, made: Leaf, part: Tensor) -> bool:
        """What it reads is the thread's own; what it writes is the chunk's own."""
        assert self.var is not None
        new: dict[Tensor, Use] = {}
        for access in accesses(made)[1:]:
            use = new.get(access.tensor) or replace(self.uses.get(access.tensor, Use()))
            axes = access.axes(self.var)
            use.axes = axes if use.axes is None else use.axes & axes
            if (use.written and not use.axes) or use.solo_written:
                return False
            new[access.tensor] = use
        self.uses |= new
        self.uses[part] = Use(frozenset(), True)
        return True

    def total(self, leaf: Leaf, part: Tensor) -> Leaf:
        """target op= the sum of its parts."""
        a = leaf.assign
        chunk = Index("part", part.shape[0])
        indices = tuple(Index(f"i{n}", size) for n, size in enumerate(part.shape[1:]))
        at = tuple(Affine(((i, 1),)) for i in indices)
        value = Load(part, (Affine(((chunk, 1),)), *at))
        total = replace(
            a, target=Load(a.target.tensor, at), value=value, over=(chunk,), condition=None
        )
        return Leaf(total, {i: Var(i.name, i.size) for i in (*indices, chunk)}, leaf.define)

    # What thread 0 does ---------------------------------------------------------------------------

    def takes_solo(self, node: Node) -> bool:
        """Little work on tensors that the other threads do not touch in this group; recorded."""
        if work(node) > SOLO and (self.var is not None or isinstance(node, Loop) or self.uses):
            return False
        new: dict[Tensor, Use] = {}
        for access in flat_accesses([node]):
            use = new.get(access.tensor) or replace(self.uses.get(access.tensor, Use()))
            if use.written or (access.write and use.axes is not None):
                return False
            use.solo = True
            use.solo_written |= access.write
            new[access.tensor] = use
        self.uses |= new
        return True


def flat_accesses(nodes: Iterable[Node]) -> Iterable[Access]:
    for leaf in leaves(nodes):
        yield from accesses(leaf)
