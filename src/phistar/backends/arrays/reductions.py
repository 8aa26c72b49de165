"""What max=, min=, *=, argmax= and argmin= do over the indices that are not on the left.

Where the condition is false the op's identity stands. argmax and argmin give the row-major position
of the first winner among the indices, and 0 where the condition never holds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from phistar.backends.arrays.expressions import elementwise
from phistar.backends.arrays.labelled import (
    Array,
    Axes,
    Env,
    Node,
    aligned,
    extent,
    names,
)
from phistar.backends.arrays.namespace import constant
from phistar.backends.arrays.scope import Scope
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Apply, Expr

FEW = 16  # values that are compared one after the other


def identity(op: Op, dtype: DType) -> Any:
    """What a tensor holds before op first touches it."""
    match op:
        case Op.MAX:
            return lowest(dtype)
        case Op.MIN:
            return highest(dtype)
    return dtype.numpy.type(1 if op is Op.MUL else 0)


def lowest(dtype: DType) -> Any:
    if dtype.is_float:
        return dtype.numpy.type(-np.inf)
    return np.False_ if dtype.is_bool else dtype.numpy.type(np.iinfo(dtype.numpy).min)


def highest(dtype: DType) -> Any:
    if dtype.is_float:
        return dtype.numpy.type(np.inf)
    return np.True_ if dtype.is_bool else dtype.numpy.type(np.iinfo(dtype.numpy).max)


# Conditions ---------------------------------------------------------------------------------------


def conjuncts(condition: Expr | None) -> tuple[Expr, ...]:
    """The truths that a condition asks for together."""
    match condition:
        case None:
            return ()
        case Apply(function=Primitive.AND, args=(a, b)):
            return (*conjuncts(a), *conjuncts(b))
    return (condition,)


def conjunction(conditions: tuple[Expr, ...]) -> Expr | None:
    """One condition that asks for all of them, or None for none."""
    if not conditions:
        return None
    both, *rest = conditions
    for condition in rest:
        both = Apply(Primitive.AND, (both, condition), DType.BOOL)
    return both


def chosen(condition: Expr | None, node: Node, otherwise: Any, scope: Scope) -> Node:
    """node where the condition holds, else a number of its type."""
    if condition is None:
        return node
    where = scope.arrays.functions[Primitive.WHERE]
    return elementwise(where, (scope.lower(condition), node, constant(otherwise)), scope)


def guarded(value: Expr, condition: Expr | None, scope: Scope) -> Node:
    """A value that is evaluated only where the condition holds."""
    return (scope if condition is None else scope.under(condition)).lower(value)


# max, min, prod -----------------------------------------------------------------------------------

# fmt: off
REDUCERS: dict[Op, Callable[[Any], Callable[..., Array]]] = {
    Op.MAX: lambda xp: xp.max,
    Op.MIN: lambda xp: xp.min,
    Op.MUL: lambda xp: lambda x, axis: xp.prod(x, axis=axis, dtype=x.dtype),
}
# fmt: on


def extreme(op: Op, value: Expr, over: Axes, condition: Expr | None, scope: Scope) -> Node:
    """The maximum, minimum or product over `over`."""
    dtype = scope.statement.target.dtype
    node = chosen(condition, guarded(value, condition, scope), identity(op, dtype), scope)
    missing = extent([index for index in over if index not in node.axes])
    reduced = tuple(n for n, index in enumerate(node.axes) if index in over)
    if reduced:
        reduce, run = REDUCERS[op](scope.arrays.xp), node.run
        kept = tuple(index for index in node.axes if index not in over)
        named = names([index for index in node.axes if index in over])
        text = f"{op.value[:-1].replace('*', 'product')} over {named}"
        node = Node(lambda env: reduce(run(env), axis=reduced), kept, bool(kept), text=text)
    if op is Op.MUL and missing > 1:
        return power(node, missing)
    return node


def power(node: Node, exponent: int) -> Node:
    """A product over indices that the value does not contain."""
    run = node.run
    return replace(node, run=lambda env: run(env) ** exponent, fresh=bool(node.axes))


# argmax, argmin -----------------------------------------------------------------------------------


def winner(op: Op, value: Expr, over: Axes, condition: Expr | None, scope: Scope) -> Node:
    """The row-major position among `over` of the first largest or smallest value."""
    dtype = value.dtype
    assert isinstance(dtype, DType)
    worst = lowest(dtype) if op is Op.ARGMAX else highest(dtype)
    node = chosen(condition, guarded(value, condition, scope), worst, scope)
    kept = tuple(index for index in scope.order if index in node.axes and index not in over)
    find = (few_positions if few(over, scope) else positions)(op, scope)
    values, depth = spread(node, kept, over, scope), len(over)
    text = f"{op.value[:-1]} over {names(over)}"
    if condition is None:
        return Node(lambda env: find(values(env), depth)[0], kept, bool(kept), text=text)
    xp, allowed = scope.arrays.xp, spread(scope.lower(condition), kept, over, scope)
    first_allowed = positions(Op.ARGMAX, scope)

    def first(env: Env) -> Array:
        place, won = find(values(env), depth)
        return xp.where(won == worst, first_allowed(allowed(env), depth)[0], place)

    return Node(first, kept, bool(kept), text=text)


def few(over: Axes, scope: Scope) -> bool:
    return scope.arrays.eager and extent(over) <= FEW


def spread(node: Node, kept: Axes, over: Axes, scope: Scope) -> Callable[[Env], Array]:
    """node's array with the axes `kept` and then those of `over`."""
    run, broadcast = aligned(node, (*kept, *over)), scope.arrays.xp.broadcast_to
    full = tuple(index.size for index in (*kept, *over))
    return lambda env: broadcast(run(env), full)


# Where the first winner is among the last `depth` axes, and what it is.
Find: TypeAlias = Callable[[Array, int], tuple[Array, Array]]


def positions(op: Op, scope: Scope) -> Find:
    """The winner by the library's argmax or argmin over one flattened axis."""
    xp = scope.arrays.xp
    search = xp.argmax if op is Op.ARGMAX else xp.argmin

    def find(values: Array, depth: int) -> tuple[Array, Array]:
        flat = values.reshape((*values.shape[: values.ndim - depth], -1))
        place = xp.asarray(search(flat, axis=-1))
        return place, xp.take_along_axis(flat, place[..., None], axis=-1)[..., 0]

    return find


def few_positions(op: Op, scope: Scope) -> Find:
    """The winner among a few values, one after the other, everything else at once."""
    loses = np.less_equal if op is Op.ARGMAX else np.greater_equal

    def find(values: Array, depth: int) -> tuple[Array, Array]:
        settings = np.ndindex(values.shape[values.ndim - depth :])
        best = np.array(values[(..., *next(settings))])
        place = np.zeros(best.shape, np.int64)
        for n, setting in enumerate(settings, 1):
            value = values[(..., *setting)]
            wins = ~(loses(value, best) | (best != best))  # a NaN wins, the first one
            np.copyto(best, value, where=wins)
            np.copyto(place, n, where=wins)
        return place, best

    return find
