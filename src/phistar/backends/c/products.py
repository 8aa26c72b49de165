"""Sums of products of two tensors, recognised: what `runtime/products.h` computes.

    C[i, j] += Σ_p A[i, p] * B[p, j]

Every subscript is affine, so that an index moves along each of the three tensors in constant steps.
An index in A and C only is a row, in B and C only a column, in A and B only is summed over; what is
left, an index in all three among them, becomes a loop around the product.

    outer   columns lie side by side in B and in C
    dot     what is summed over lies side by side in A and in B
    turned  likewise, where the rows are many and the columns lie side by side in C
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from phistar.backends.c.nests import first_values, stride, wrapped
from phistar.backends.c.tree import Leaf, Node, Product, Side, Var, Window
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Apply, Index, Load

SHORT = 4  # numbers side by side that are worth a vector
TABLE = 16384  # places of sums or columns that a table may hold
# Up to which length of a sum how many rows make up for turning a column, as measured.
TURNS = ((64, 12), (128, 30), (512, 64), (math.inf, 100))
WIDE = 32  # turns of a loop that are worth setting up registers for
LEAST = 2048  # multiplications that are worth a call


def slow(product: Product) -> bool:
    """Its sums are short, or its columns few: a window's are longer."""
    short = product.sum.size < WIDE and len(product.leaf.assign.over) > 1
    return short or (product.kind == "outer" and product.columns.size < WIDE)


def best_product(leaf: Leaf, shared: Var | None = None) -> Product | None:
    """The fastest way to see the leaf as a product."""
    found = factors(leaf)
    if found is None:
        return None
    a, b = found
    best = None
    for left, right in ((a, b), (b, a)):
        for made in choices(leaf, left, right, shared):
            if best is None or value(made) > value(best):
                best = made
    if best is None or best.rows.size * best.columns.size * best.sum.size < LEAST:
        return None
    return best


def factors(leaf: Leaf) -> tuple[Load, Load] | None:
    """The two tensors that are multiplied."""
    a = leaf.assign
    if a.op is not Op.ADD or not a.over or a.condition is not None:
        return None
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)):
            pass
        case _:
            return None
    loads = (a.target, one, two)
    if any(load.tensor.dtype is not a.target.dtype for load in loads):
        return None
    if a.target.dtype not in (DType.F32, DType.F64):
        return None
    if not all(pure(load) for load in loads):
        return None
    return one, two


def pure(load: Load) -> bool:
    """Its place is a sum of multiples of indices."""
    return all(
        isinstance(s, Affine) and all(isinstance(atom, Index) for atom, _ in s.terms)
        for s in load.subscripts
    )


def bare(load: Load) -> bool:
    """Each axis has an index alone."""
    return all(isinstance(s, Affine) and s.bare is not None for s in load.subscripts)


def step(load: Load, index: Index) -> int:
    found = stride(load, index)
    assert found is not None
    return found


def choices(leaf: Leaf, a: Load, b: Load, shared: Var | None) -> Iterator[Product]:
    """Every way to see the leaf as a product of a, whose rows they are, and b."""
    found = Sorted(leaf, a, b)
    cut = frozenset(i for i, var in leaf.bind.items() if var is shared)
    for i in together(found.rows, cut):
        for j in together(found.columns, cut):
            for p in together([s for s in found.sums if s.a and s.b and not s.c], cut):
                if j.b == 1 and j.c == 1:
                    yield Product(leaf, "outer", a, b, i, j, p)
                elif p.a == 1 and p.b == 1:
                    yield Product(leaf, "turned" if turns(i, j, p, cut) else "dot", a, b, i, j, p)


def turns(rows: Side, columns: Side, depth: Side, cut: frozenset[Index]) -> bool:
    """So many rows meet each column that turning the columns first pays."""
    if 1 not in (rows.c, columns.c):
        return False
    meeting = rows if columns.c == 1 else columns
    meets = meeting.size // 2 if meeting.index in cut else meeting.size
    return meets >= next(rows for longest, rows in TURNS if depth.size <= longest)


def together(sides: list[Side], cut: frozenset[Index]) -> list[Side]:
    """Indices that go through memory as one, such as the axes of a flattened tensor, as one; those
    of which a thread has a part only are at most the outermost.
    """
    merged: list[Side] = []
    for s in sorted(sides, key=lambda s: (-s.a, -s.b, -s.c)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and s.index not in cut
            and all(
                before == after * s.size
                for before, after in ((last.a, s.a), (last.b, s.b), (last.c, s.c))
            )
        ):
            merged[-1] = Side(last.index, last.size * s.size, s.a, s.b, s.c, (*last.all, s.index))
        else:
            merged.append(s)
    return merged


def value(product: Product) -> float:
    """More for what runs faster."""
    rows, columns, depth = product.rows.size, product.columns.size, product.sum.size
    useful = (
        min(columns, 32) if product.kind == "outer" else 0.15 * min(depth, 32) * min(columns, 4)
    )
    return useful * min(rows, 16) * min(depth, 256)


def in_loops(leaf: Leaf, product: Product, shared: Var | None) -> list[Node]:
    """Loops around the product for the other indices; what is summed in parts begins with 0."""
    inside = {i for side in product.sides for i in side.all}
    outside = [i for i in leaf.indices if i not in inside]
    outside.sort(key=lambda i: (i in leaf.assign.over, leaf.bind[i] is not shared))
    summed = any(i in leaf.assign.over and i.size != 1 for i in outside)
    if leaf.define and summed and leaf.chunk is not None:  # cleared where its chunk begins
        outside.sort(key=lambda i: leaf.bind[i] is not shared)
        return [wrapped(replace(product, leaf=replace(leaf, define=False)), leaf, outside)]
    if leaf.define and summed:
        first = first_values(leaf)
        kept = [i for i in leaf.indices if i not in leaf.assign.over]
        later = replace(product, leaf=replace(leaf, define=False))
        return [wrapped(first, first, kept), wrapped(later, leaf, outside)]
    return [wrapped(product, leaf, outside)]


# Windows ------------------------------------------------------------------------------------------


def best_window(leaf: Leaf, shared: Var | None = None) -> Window | None:
    """The leaf as a convolution, or one of its gradients; threads share nothing in it but rows."""
    found = factors(leaf)
    if found is None or len(leaf.indices) < 4:
        return None
    one, two = found
    best: Window | None = None
    for a, b in ((one, two), (two, one)):
        for made in (window(leaf, a, b, shared), window_dot(leaf, a, b, shared)):
            if made is not None and (best is None or lanes_used(made) > lanes_used(best)):
                best = made
    return best


def lanes_used(made: Window) -> float:
    """Of the lanes of a vector, how many work."""
    n = made.width.size
    if made.kind == "window":
        return n / (16 * (n // 16 + n % 16 // 8 + n % 8))
    return 0.7 * n / (8 * (n // 8) + 16 * (n % 8))


@dataclass
class Sorted:
    """The indices of a leaf by where they occur."""

    leaf: Leaf
    a: Load
    b: Load
    whole: Var | None = None  # of which a window's columns must have all values: they have none

    def __post_init__(self) -> None:
        c = self.leaf.assign.target
        self.steps = {
            i: Side(i, i.size, step(self.a, i), step(self.b, i), step(c, i), (i,))
            for i in self.leaf.indices
        }
        over = set(self.leaf.assign.over)
        sides = self.steps.values()
        free = [s for s in sides if s.index not in over]
        self.rows = more([s for s in free if s.a and s.c and not s.b])
        own = [s for s in free if self.whole is None or self.leaf.bind[s.index] is not self.whole]
        self.columns = more([s for s in own if s.b and s.c and not s.a])
        self.sums = [s for s in sides if s.index in over]

    @property
    def plain(self) -> bool:
        """Every sum is over both factors."""
        return all(s.a and s.b for s in self.sums)


def more(sides: list[Side]) -> list[Side]:
    """Those with more than one value, if there are any."""
    return [s for s in sides if s.size > 1] or sides


def window(leaf: Leaf, a: Load, b: Load, shared: Var | None) -> Window | None:
    """Columns that lie side by side in b and in the result."""
    found = Sorted(leaf, a, b, shared)
    width = [s for s in found.columns if s.b == 1 and s.c == 1 and s.size >= SHORT]
    if not found.plain or not found.sums or not found.rows or not width:
        return None
    x = max(width, key=lambda s: s.size)
    others = [s for s in found.columns if s is not x and s.c >= x.size and s.size > 1]
    y = max(others, key=lambda s: s.size, default=None)
    rows = max(found.rows, key=lambda s: s.size)
    if rows.size < 4 or math.prod(s.size for s in found.sums) > TABLE:
        return None
    return Window(leaf, "window", a, b, rows, x, y, tuple(found.sums))


def window_dot(leaf: Leaf, a: Load, b: Load, shared: Var | None) -> Window | None:
    """A sum that lies side by side in both factors."""
    found = Sorted(leaf, a, b, shared)
    along = [s for s in found.sums if s.a == 1 and s.b == 1 and s.size >= SHORT]
    if not found.plain or not along or len(found.sums) < 2 or not found.rows or not found.columns:
        return None
    x = max(along, key=lambda s: s.size)
    rows = max(found.rows, key=lambda s: s.size)
    sums = tuple(s for s in found.sums if s is not x)
    columns = tuple(found.columns)
    tables = math.prod(s.size for s in sums), math.prod(s.size for s in columns)
    if max(tables) > TABLE or rows.size < 4:
        return None
    return Window(leaf, "window_dot", a, b, rows, x, None, sums, columns)


def window_in_loops(leaf: Leaf, made: Window, shared: Var | None) -> list[Node]:
    """Loops around the window for the other indices."""
    inside = {s.index for s in (made.rows, made.width, *made.sums, *made.columns)}
    if made.height is not None:
        inside.add(made.height.index)
    outside = [i for i in leaf.indices if i not in inside]
    outside.sort(key=lambda i: leaf.bind[i] is not shared)
    return [wrapped(made, leaf, outside)]
