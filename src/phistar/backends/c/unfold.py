"""Convolutions whose rows are short, as products of matrices: their windows are laid out first.

    y[b, l, p, q] += Σ_(k, i, j) K[l, k, i, j] * x[b, k, p + i, q + j]

    x.windows[b, k, i, j, p, q] = x[b, k, p + i, q + j]
    y[b, l, p, q] += Σ_(k, i, j) K[l, k, i, j] * x.windows[b, k, i, j, p, q]

and the other way round, for the gradient of x:

    x.grad.windows[b, k, i, j, p, q] = Σ_l K[l, k, i, j] * y.grad[b, l, p, q]
    x.grad[b, k, p + i, q + j] += x.grad.windows[b, k, i, j, p, q]

The rows of the product are then those of K, its columns a whole picture (p, q). What is laid out
for one example stays in a near cache and is used by every row.
"""

from __future__ import annotations

import math
from dataclasses import replace

from phistar.backends.c.nests import stride
from phistar.backends.c.pictures import best_picture
from phistar.backends.c.products import bare, best_product, pure, slow
from phistar.backends.c.tree import Leaf, Var
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Apply, Assign, Index, Load, Program, Statement, Tensor
from phistar.ir.walk import all_indices, free_indices
from phistar.transform.names import Names, names_of

USES = 8  # of each number that is laid out, at least
LONG = 64  # columns, or sums, of a product that is quick enough
COLUMNS = 32  # of the product, at least
ROOM = 1 << 18  # numbers that are laid out for one example, at most
LARGEST = 1 << 24  # numbers that are laid out for all


def unfold(program: Program) -> Program:
    """The program with convolutions of short rows as products, outside scans."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in program.statements:
        statements += unfolded(s, names) if isinstance(s, Assign) else [s]
    return replace(program, statements=tuple(statements))


def unfolded(a: Assign, names: Names) -> list[Assign]:
    """The assignment, or the two that take its place."""
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)):
            pass
        case _:
            return [a]
    leaf = alone(a)
    loads = (a.target, one, two)
    if a.op is not Op.ADD or a.condition is not None or not all(pure(load) for load in loads):
        return [a]
    if quick(leaf):
        return [a]
    for weights, pictures in ((one, two), (two, one)):
        if bare(weights) and bare(a.target) and not bare(pictures):
            return laid_out(a, weights, pictures, names)
        if bare(weights) and bare(pictures) and not bare(a.target) and parameter(weights, pictures):
            made = folded(a, weights, pictures, names)
            return made if len(made) > 1 else turned(a, one, two, names)
    return [a]


def quick(leaf: Leaf) -> bool:
    """It is a good product as it is."""
    if best_picture(leaf) is not None:
        return True
    product = best_product(leaf)
    if product is None or slow(product):
        return False
    if product.kind == "outer":
        return product.columns.size >= LONG
    return product.sum.size >= LONG or len(product.sum.all) == len(leaf.assign.over)


def alone(a: Assign) -> Leaf:
    return Leaf(a, {i: Var(i.name, i.size) for i in all_indices(a)})


def parameter(weights: Load, pictures: Load) -> bool:
    """The one whose indices are fewer settings is what slides."""
    return settings(free_indices(weights)) < settings(free_indices(pictures))


def settings(indices: tuple[Index, ...] | list[Index]) -> int:
    return math.prod(i.size for i in indices)


def in_order(load: Load, indices: set[Index]) -> list[Index]:
    """These indices, as they go through the memory of what is loaded."""
    return sorted(indices, key=lambda i: -(stride(load, i) or 0))


def laid_out(a: Assign, weights: Load, pictures: Load, names: Names) -> list[Assign]:
    """The windows of the pictures, and a product with them."""
    own = set(free_indices(pictures))
    sums = own & set(free_indices(weights))
    if not sums <= set(a.over):
        return [a]
    columns, depth = in_order(a.target, own - sums), in_order(weights, sums)
    ways = [
        arranged(columns, depth, a.target),  # the product's columns lie side by side
        arranged(depth, columns, weights),  # what it sums lies side by side
    ]
    for order in sorted((w for w in ways if w), key=lambda w: -w[-1].size):
        name = names.fresh(f"{pictures.tensor.name}.windows")
        windows = Load(tensor_of(order, pictures, name), at(order))
        product = replace(a, value=Apply(P.MUL, (weights, windows), windows.tensor.dtype))
        lay = replace(a, target=windows, op=Op.SET, value=pictures, over=())
        if worth(product, order, [*columns, *depth]):
            return [lay, product]
        rows = in_order(weights, set(free_indices(weights)) - sums)
        flat = turned_load(weights, [*depth, *rows], names)  # one sum over all of them
        product = replace(a, value=Apply(P.MUL, (flat, windows), windows.tensor.dtype))
        if min(settings(rows), settings(depth)) >= COLUMNS and worth(product, order, order):
            return [lay, replace(a, target=flat, op=Op.SET, value=weights, over=()), product]
    return [a]


def turned_load(load: Load, places: list[Index], names: Names) -> Load:
    """A copy of a tensor, with its axes in this order."""
    name = names.fresh(f"{load.tensor.name}.turned")
    return Load(tensor_of(places, load, name), at(places))


def folded(a: Assign, weights: Load, pictures: Load, names: Names) -> list[Assign]:
    """A product, and its numbers added to where they belong."""
    free = set(all_indices(a)) - set(a.over)
    rows = free & set(free_indices(weights))
    columns = in_order(pictures, free - rows)
    if rows & set(free_indices(pictures)):
        return [a]
    order = arranged(columns, in_order(weights, rows), pictures)
    if order is not None:
        windows = windows_of(a, order, names)
        product = replace(a, target=windows)
        if worth(product, order, columns):
            return [product, replace(a, value=windows, over=())]
    return [a]


def turned(a: Assign, one: Load, two: Load, names: Names) -> list[Assign]:
    """As `folded`, for small pictures: they are turned, and the product's columns are the weights'.

    y.grad.turned[l, b, p, q] = y.grad[b, l, p, q]
    x.grad.windows[b, p, q, k, i, j] = Σ_l y.grad.turned[l, b, p, q] * K[l, k, i, j]
    """
    sums = [i for i in a.over if i in free_indices(one) and i in free_indices(two)]
    for weights, pictures in ((one, two), (two, one)):
        columns, rows = (in_order(e, set(free_indices(e)) - set(sums)) for e in (weights, pictures))
        order, places = [*rows, *columns], [*sums, *rows]
        whole = set(order) == set(all_indices(a)) - set(a.over) and len(sums) == len(a.over)
        if not whole or in_order(weights, set(free_indices(weights))) != [*sums, *columns]:
            continue
        if settings(order) > LARGEST or min(map(settings, (columns, rows, sums))) < COLUMNS:
            continue
        windows = windows_of(a, order, names)
        flat = turned_load(pictures, places, names)
        product = replace(a, target=windows, value=Apply(P.MUL, (flat, weights), a.value.dtype))
        best = best_product(alone(product))
        if best is not None and not slow(best) and best.rows.size >= COLUMNS:
            copy = replace(a, target=flat, op=Op.SET, value=pictures, over=())
            return [copy, product, replace(a, value=windows, over=())]
    return [a]


def windows_of(a: Assign, order: list[Index], names: Names) -> Load:
    name = names.fresh(f"{a.target.tensor.name}.windows")
    return Load(tensor_of(order, a.target, name), at(order))


def arranged(columns: list[Index], rows: list[Index], beside: Load) -> list[Index] | None:
    """Outer columns, rows, and last the columns that lie side by side there."""
    inner: list[Index] = []
    step = 1
    while columns and stride(beside, columns[-1]) == step:
        inner.insert(0, columns[-1])
        step *= columns[-1].size
        columns = columns[:-1]
    if step < COLUMNS or not rows or len(columns) > 1:
        return None
    return [*columns, *rows, *inner]


def worth(product: Assign, order: list[Index], columns: list[Index]) -> bool:
    """The laid out numbers are used often and have room; the product is a good one."""
    outer = order[0].size if order[0] in columns and len(order) > 1 else 1
    room = settings(order) // max(outer, 1)
    if settings(list(all_indices(product))) < USES * settings(order) or room > ROOM:
        return False
    best = best_product(alone(product))
    return best is not None and not slow(best)


def tensor_of(order: list[Index], like: Load, name: str) -> Tensor:
    return Tensor(name, tuple(i.size for i in order), like.tensor.dtype)


def at(order: list[Index]) -> tuple[Affine, ...]:
    return tuple(Affine(((i, 1),)) for i in order)
