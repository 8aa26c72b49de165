"""Convolutions whose channels come last, recognised: what `runtime/pictures.h` computes.

    y[b, p, q, l] += Σ_(i, j, k) x[b, p + i, q + j, k] * K[i, j, k, l]

For each b and p a product: its rows are q, its columns l, and it sums over (j, k), which lie side
by side in x, for each i. The two gradients have that form too:

    K.grad[i, j, k, l] += Σ_(b, p, q) x[b, p + i, q + j, k] * y.grad[b, p, q, l]     rows (j, k)
    x.grad[b, p + i, q + j, k] += Σ_l y.grad[b, p, q, l] * K[i, j, l, k]             rows q
    x.grad[b, p + i, q + j, k] += Σ_l y.grad[b, p, q, l] * K[i, l, j, k]   columns (j, k), rows p
"""

from __future__ import annotations

import math

from phistar.backends.c.channels import CHANNELS, slides
from phistar.backends.c.products import LEAST, Sorted, factors, together
from phistar.backends.c.tree import Leaf, Product, Var
from phistar.ir.program import Affine, Index, Load
from phistar.ir.walk import affine_indices

ROWS = 8  # that a product makes good use of


def best_picture(leaf: Leaf, shared: Var | None = None) -> Product | None:
    """The leaf as a product of pictures with the channels last, if it is one."""
    found = factors(leaf)
    if found is None:
        return None
    one, two = found
    moving = {i for load in (leaf.assign.target, one, two) for i in slides(load)}
    if not moving:
        return None
    cut = frozenset(i for i, var in leaf.bind.items() if var is shared)
    for a, b in ((one, two), (two, one)):
        sides = Sorted(leaf, a, b)
        columns = [
            s
            for s in together(sides.columns, cut)
            if s.b == s.c == 1 and s.size >= CHANNELS and s.all[-1] not in moving | cut
        ]
        overlap = {i for s in columns[:1] for i in beside(leaf.assign.target, set(s.all))}
        rows = [s for s in together(sides.rows, cut) if s.size > 1 and s.index not in overlap]
        sums = [
            s
            for s in together([s for s in sides.sums if s.a and s.b and s.size > 1], cut)
            if s.index not in cut
        ]
        if columns and rows and sums and all(s.a and s.b for s in sides.sums):
            inner, outer = sums[-1], sums[-2] if len(sums) > 1 else None
            chosen = max(reversed(rows), key=lambda s: min(s.size, ROWS))
            made = Product(leaf, "picture", a, b, chosen, columns[0], inner, outer)
            if settings(made) >= LEAST:
                return made
    return None


def beside(target: Load, columns: set[Index]) -> set[Index]:
    """What moves along the axes along which the columns move, too."""
    axes = [set(affine_indices(s)) for s in target.subscripts if isinstance(s, Affine)]
    return {i for axis in axes if axis & columns for i in axis - columns}


def settings(product: Product) -> int:
    return math.prod(side.size for side in product.sides)
