"""Sums of products of two tensors, recognised: what `runtime/products.h` computes.

    C[i, j] += Σ_p A[i, p] * B[p, j]

Every subscript is affine, so that an index moves along each of the three tensors in constant steps.
An index in A and C only is a row, in B and C only a column, in A and B only is summed over; what is
left, an index in all three among them, becomes a loop around the product.

    outer   columns lie side by side in B and in C
    dot     what is summed over lies side by side in A and in B
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from phistar.backends.c.nests import first_values, stride, wrapped
from phistar.backends.c.tree import Leaf, Loop, Node, Product, Side, Var
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Apply, Index, Load

LEAST = 2048  # multiplications that are worth a call


def is_product(leaf: Leaf) -> bool:
    """The leaf becomes a product."""
    return best_product(leaf) is not None


def product_nest(leaf: Leaf, shared: Var | None) -> list[Node] | None:
    """The leaf as a product inside loops, or None if it is none."""
    best = best_product(leaf)
    return None if best is None else in_loops(leaf, best, shared)


def best_product(leaf: Leaf) -> Product | None:
    """The fastest way to see the leaf as a product."""
    found = factors(leaf)
    if found is None:
        return None
    a, b = found
    best = None
    for left, right in ((a, b), (b, a)):
        for made in choices(leaf, left, right):
            if best is None or value(made) > value(best):
                best = made
    if best is None or best.rows.size * best.columns.size * best.sum.size < LEAST:
        return None
    return best


def factors(leaf: Leaf) -> tuple[Load, Load] | None:
    """The two tensors that are multiplied."""
    a = leaf.assign
    if a.op is not Op.ADD or not a.over or a.condition is not None or leaf.chunk is not None:
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


def step(load: Load, index: Index) -> int:
    found = stride(load, index)
    assert found is not None
    return found


def sides(leaf: Leaf, load: Load) -> dict[Index, int]:
    return {i: step(load, i) for i in leaf.indices}


def choices(leaf: Leaf, a: Load, b: Load) -> Iterator[Product]:
    """Every way to see the leaf as a product of a, whose rows they are, and b."""
    c = leaf.assign.target
    in_a, in_b, in_c = sides(leaf, a), sides(leaf, b), sides(leaf, c)
    over = set(leaf.assign.over)
    rows = [i for i in leaf.indices if i not in over and in_a[i] and in_c[i] and not in_b[i]]
    columns = [i for i in leaf.indices if i not in over and in_b[i] and in_c[i] and not in_a[i]]
    sums = [i for i in leaf.indices if i in over and in_a[i] and in_b[i] and not in_c[i]]
    for i in rows:
        for j in columns:
            for p in sums:
                kind = None
                if in_b[j] == 1 and in_c[j] == 1:
                    kind = "outer"
                elif in_a[p] == 1 and in_b[p] == 1:
                    kind = "dot"
                if kind is not None:
                    yield Product(
                        leaf,
                        kind,
                        a,
                        b,
                        Side(i, leaf.bind[i].size, in_a[i], in_b[i], in_c[i]),
                        Side(j, leaf.bind[j].size, in_a[j], in_b[j], in_c[j]),
                        Side(p, leaf.bind[p].size, in_a[p], in_b[p], in_c[p]),
                    )


def value(product: Product) -> float:
    """More for what runs faster."""
    rows, columns, depth = product.rows.size, product.columns.size, product.sum.size
    useful = min(columns, 32) if product.kind == "outer" else 0.6 * min(depth, 32)
    return useful * min(rows, 16) * min(depth, 256)


def in_loops(leaf: Leaf, product: Product, shared: Var | None) -> list[Node]:
    """Loops around the product for the other indices; what is summed in parts begins with 0."""
    inside = {product.rows.index, product.columns.index, product.sum.index}
    outside = [i for i in leaf.indices if i not in inside]
    outside.sort(key=lambda i: (i in leaf.assign.over, leaf.bind[i] is not shared))
    if leaf.define and any(i in leaf.assign.over for i in outside):
        first = first_values(leaf)
        kept = [i for i in leaf.indices if i not in leaf.assign.over]
        later = replace(product, leaf=replace(leaf, define=False))
        return [wrapped(first, kept), wrapped_node(later, leaf, outside)]
    return [wrapped_node(product, leaf, outside)]


def wrapped_node(node: Node, leaf: Leaf, order: list[Index]) -> Node:
    for index in reversed(order):
        node = Loop(leaf.bind[index], [node])
    return node
