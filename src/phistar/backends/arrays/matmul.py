"""A sum of products of two NumPy arrays as one matrix product.

The indices of a (axes a) times b (axes b), of which some are kept, fall into four groups:

    batch   in both, kept            rows      only in a
    inner   in both, summed          columns   only in b

Each array becomes (batch..., rows, inner) or its transpose, whichever ends with the axis that lies
innermost in memory, so that a plain array is never copied and windows are copied in long runs.
"""

from collections.abc import Callable

import numpy as np

from phistar.backends.arrays.elementwise import HALVES
from phistar.backends.arrays.labelled import Array, Axes, extent, names
from phistar.backends.arrays.namespace import Contraction
from phistar.ir.dtypes import DType
from phistar.ir.program import Index

Arrange = Callable[[Array], Array]
WORTH_A_CALL = 1 << 12  # elements of a matrix that are worth a product of their own
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contraction(a: Axes, b: Axes, kept: Axes, dtype: DType) -> Contraction:
    """The sum of products over the indices that are in both and not kept."""
    batch = tuple(i for i in kept if i in a and i in b)
    rows = tuple(i for i in a if i not in b)
    columns = tuple(i for i in b if i not in a)
    if not rows and not columns:
        return rounded(dot(a, b, batch), dtype)
    last = next(i for i in reversed(kept) if i in rows or i in columns)
    if last in rows:
        swapped = contraction_of(b, a, batch, columns, rows)
        run = swapped.run
        return rounded(Contraction(lambda x, y: run(y, x), swapped.axes, swapped.text), dtype)
    return rounded(contraction_of(a, b, batch, rows, columns), dtype)


def contraction_of(a: Axes, b: Axes, batch: Axes, rows: Axes, columns: Axes) -> Contraction:
    """The matrix product whose result has the axes batch, rows, columns."""
    widest = a if extent(a) >= extent(b) else b
    inner = tuple(i for i in widest if i in a and i in b and i not in batch)
    loose = outer_axes(a, batch, rows, inner) or outer_axes(b, batch, columns, inner)
    rows = tuple(i for i in rows if i not in loose)
    columns = tuple(i for i in columns if i not in loose)
    batch = (*batch, *loose)
    left, right = matrix(a, batch, rows, inner), matrix(b, batch, inner, columns)
    axes = (*batch, *rows, *columns)
    shape = tuple(i.size for i in axes)
    matmul = np.matmul
    text = f"matmul {group(rows)}x{group(inner)}x{group(columns)}"
    if batch:
        text += f" for each {names(batch)}"
    if len(rows) == len(columns) == 1:
        return Contraction(lambda x, y: matmul(left(x), right(y)), axes, text)
    return Contraction(lambda x, y: matmul(left(x), right(y)).reshape(shape), axes, text)


def outer_axes(axes: Axes, batch: Axes, own: Axes, inner: Axes) -> Axes:
    """The axes of one array alone that lie outside the inner ones, while others lie inside them,
    as b in g[b, k, p, q] where k is summed: one product for each b needs no copy of g."""
    own_or_inner = [i for i in axes if i not in batch]
    outer: list[Index] = []
    for index in own_or_inner:
        if index not in own:
            break
        outer.append(index)
    rest = extent(own) // max(1, extent(outer))
    splits = own_or_inner[-1:] != [] and own_or_inner[-1] in own and len(outer) < len(own)
    return tuple(outer) if splits and rest * extent(inner) >= WORTH_A_CALL else ()


def group(axes: Axes) -> str:
    return f"({names(axes)})" if axes else "1"


def matrix(axes: Axes, batch: Axes, rows: Axes, columns: Axes) -> Arrange:
    """How an array becomes a stack of matrices that BLAS can read, one for each setting of the
    batch (or one for all of it, along indices that the array does not have)."""
    innermost = next((i for i in reversed(axes) if i not in batch and i.size > 1), None)
    upright = innermost in columns or not columns
    first, second = (rows, columns) if upright else (columns, rows)
    order = tuple(axes.index(i) for i in (*batch, *first, *second) if i in axes)
    straight = order == tuple(range(len(axes)))
    stack = (i.size if i in axes else 1 for i in batch)
    shape = (*stack, extent(first), extent(second))
    fits = len(first) == len(second) == 1 and all(i in axes for i in batch)

    def arrange(array: Array) -> Array:
        if not straight:
            array = array.transpose(order)
        if not fits:
            array = array.reshape(shape)
        if array.strides[-1] != array.itemsize or array.strides[-2] < 0:
            array = np.ascontiguousarray(array)
        return array if upright else array.swapaxes(-1, -2)

    return arrange


def dot(a: Axes, b: Axes, batch: Axes) -> Contraction:
    """Inner products, one for each setting of the batch."""
    letters: dict[Index, str] = {i: LETTERS[n] for n, i in enumerate(a)}
    first, second, out = ("".join(letters[i] for i in axes) for axes in (a, b, batch))
    formula = f"{first},{second}->{out}"
    inner = tuple(i for i in a if i not in batch)
    text = f"dot over {names(inner)}"
    if not batch:
        order = tuple(b.index(i) for i in a)
        return Contraction(lambda x, y: np.vdot(x, y.transpose(order)), batch, text)
    einsum = np.einsum
    return Contraction(lambda x, y: einsum(formula, x, y), batch, text)


def rounded(plan: Contraction, dtype: DType) -> Contraction:
    """plan, computed in f32 for a 16-bit type."""
    if dtype not in HALVES:
        return plan
    run, half, single = plan.run, dtype.numpy, np.float32

    def wide(x: Array, y: Array) -> Array:
        return run(x.astype(single), y.astype(single)).astype(half)

    return Contraction(wide, plan.axes, plan.text)
