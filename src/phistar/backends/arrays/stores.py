"""Stores: how an array of values meets the tensor on the left of an assignment.

    every element once          the tensor becomes the value, or is op= it as a whole
    slices                      op= of slices                                       (slices.py)
    anything else               op= of single elements through index arrays, repeats included
"""

from collections.abc import Callable
from dataclasses import replace

from phistar.backends.arrays.labelled import Array, Axes, Env, Node, Run, aligned, merged
from phistar.backends.arrays.lines import grouped
from phistar.backends.arrays.loads import grid, guard_over, plan_axes
from phistar.backends.arrays.namespace import constant
from phistar.backends.arrays.reductions import identity
from phistar.backends.arrays.scope import Scope
from phistar.backends.arrays.slices import Place, Step, broadcast, slice_store
from phistar.ir.build import settled
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Affine, Apply, Expr, Index, Load, Pad, Tensor
from phistar.ir.walk import affine_bounds, free_indices, subscript_value


# Every element once -------------------------------------------------------------------------------


def whole_order(found: list[Place] | None) -> Axes | None:
    """The indices in the order of the tensor's elements, if the left side is all of them once."""
    if found is None:
        return None
    order: list[Index] = []
    for p in found:
        terms = grouped(p.line.terms) if p.line.terms else ()
        if terms is None or p.line.moving or p.line.offset or (terms and terms[-1][1] != 1):
            return None
        size = 1
        for index, _ in terms:
            size *= index.size
        if size != p.length:
            return None
        order += [index for index, _ in terms]
    return tuple(order) if len(set(order)) == len(order) else None


def whole_value(node: Node, order: Axes, tensor: Tensor, scope: Scope) -> Run:
    """A new array of the tensor's shape that holds the value."""
    arrays, shape = scope.arrays, tensor.storage
    complete = set(node.axes) == set(order)
    run = aligned(node, order) if complete else aligned(broadcast(node, order, scope), order)
    own = arrays.own
    if tuple(index.size for index in order) != shape:
        merge, run = run, lambda env: merge(env).reshape(shape)
    if complete and node.fresh and order:
        return run
    return lambda env: own(run(env))


def whole_store(node: Node, order: Axes, tensor: Tensor, op: Op, scope: Scope) -> Step:
    """tensor op= value, all of it."""
    store = scope.arrays.whole(scope.slots[tensor], op)
    run = aligned(node, order)
    if tuple(index.size for index in order) != tensor.storage:
        run = whole_value(node, order, tensor, scope)
    return lambda env: store(env, run(env))


# Single elements ----------------------------------------------------------------------------------


def element_store(target: Load, op: Op, node: Node, scope: Scope) -> Step:
    """tensor[index arrays] op= value; what a padded subscript drops becomes op's identity."""
    axes = plan_axes(target, scope.scans)
    tensor = target.tensor
    grids: list[tuple[int, Node]] = []
    plain: list[Index] = []
    for n, (axis, subscript) in enumerate(zip(axes, target.subscripts, strict=True)):
        if isinstance(subscript, Pad):
            position = Affine(subscript.position.terms, subscript.position.offset - subscript.low)
            node = dropped(node, position, tensor, n, op, scope)
            axis = replace(axis, subscript=position, line=None, shift=-tensor.bounds(n)[0])
            axis = replace(axis, length=tensor.storage[n])
        simple = axis.line is not None and covers(axis.line, axis.length)
        if axis.line is not None and simple:
            plain.append(axis.line.terms[0][0])
        else:
            grids.append((n, grid(target, n, axis, scope)))
    union = merged([g for _, g in grids], scope.order)
    runs = [(n, aligned(g, union)) for n, g in grids]
    exact = not any(isinstance(s, Expr | Pad) for s in target.subscripts)
    store = scope.arrays.elements(
        scope.slots[tensor], runs, len(target.subscripts), op, exact and op is Op.SET
    )
    full = broadcast(node, (*union, *plain), scope)
    return lambda env: store(env, full.run(env))


def covers(line: object, length: int) -> bool:
    from phistar.backends.arrays.lines import Line

    assert isinstance(line, Line)
    match line.terms:
        case ((index, 1),):
            return line.offset == 0 and line.moving is None and index.size == length
    return False


def dropped(
    node: Node, position: Affine, tensor: Tensor, n: int, op: Op, scope: Scope
) -> Node:
    """node with op's identity where a position is not on the axis."""
    first, last = tensor.bounds(n)
    at = settled(subscript_value(position))
    inside = (at >= first) & (at <= last)
    where = scope.arrays.functions[Primitive.WHERE]
    from phistar.backends.arrays.expressions import elementwise

    return elementwise(where, (scope.lower(inside), node, constant(identity(op, tensor.dtype))), scope)


_ = (Array, Env, Callable, guard_over, DType, Apply, affine_bounds, free_indices)
