"""Stores: how an array of values meets the tensor on the left of an assignment.

every element once          the tensor becomes the value, or is op= it as a whole
slices                      op= of slices                                       (slices.py)
anything else               op= of single elements through index arrays, repeats included
"""

from dataclasses import replace

from phistar.backends.arrays.expressions import elementwise
from phistar.backends.arrays.labelled import Array, Axes, Env, Node, Run, aligned, extent, merged
from phistar.backends.arrays.lines import Line, grouped
from phistar.backends.arrays.loads import Axis, grid, plan_axes
from phistar.backends.arrays.namespace import constant
from phistar.backends.arrays.reductions import identity
from phistar.backends.arrays.scope import Scope
from phistar.backends.arrays.slices import Place, Step, broadcast
from phistar.ir.build import settled
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Affine, Index, Load, Pad, Tensor
from phistar.ir.walk import subscript_value

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
        if extent([index for index, _ in terms]) != p.length:
            return None
        order += [index for index, _ in terms]
    return tuple(order) if len(set(order)) == len(order) else None


def whole_value(node: Node, order: Axes, tensor: Tensor, scope: Scope) -> Run:
    """A new array of the tensor's shape that holds the value."""
    shape = tensor.storage
    complete = set(node.axes) == set(order)
    run = aligned(node if complete else broadcast(node, order, scope), order)
    whole = run
    if tuple(index.size for index in order) != shape:

        def whole(env: Env) -> Array:
            return run(env).reshape(shape)

    if complete and node.fresh and order:
        return whole
    own = scope.arrays.own
    return lambda env: own(whole(env))


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
    grids: list[tuple[int, Node]] = []
    plain: list[Index] = []
    for n, axis in enumerate(plan_axes(target, scope.scans)):
        subscript = target.subscripts[n]
        if isinstance(subscript, Pad):
            position = subscript.position
            position = replace(position, offset=position.offset - subscript.low)
            node = dropped(node, position, target.tensor, n, op, scope)
            length = target.tensor.storage[n]
            axis = Axis(position, None, (0, 0), 0.0, -target.tensor.bounds(n)[0], length)
        if axis.line is not None and covers(axis.line, axis.length):
            plain.append(axis.line.terms[0][0])
        else:
            grids.append((n, grid(target, n, axis, scope)))
    union = merged([g for _, g in grids], scope.order)
    runs = [(n, aligned(g, union)) for n, g in grids]
    rank = len(target.subscripts)
    store = scope.arrays.elements(scope.slots[target.tensor], runs, len(union), rank, op)
    full = broadcast(node, (*union, *plain), scope)
    return lambda env: store(env, full.run(env))


def covers(placed: Line, length: int) -> bool:
    """Whether a line is one index that runs over the whole axis."""
    match placed.terms:
        case ((index, 1),):
            return placed.offset == 0 and placed.moving is None and index.size == length
    return False


def dropped(node: Node, position: Affine, tensor: Tensor, n: int, op: Op, scope: Scope) -> Node:
    """node with op's identity where a position is not on the axis."""
    first, last = tensor.bounds(n)
    at = settled(subscript_value(position))
    inside = scope.lower((at >= first) & (at <= last))
    where = scope.arrays.functions[Primitive.WHERE]
    return elementwise(where, (inside, node, constant(identity(op, tensor.dtype))), scope)
