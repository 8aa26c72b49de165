"""Expressions as array operations: each node becomes a function from environment to array.

Both branches of a `where` are computed, each under its guard: what is not chosen raises nothing.
"""

from collections.abc import Sequence

import numpy as np

from phistar.backends.arrays.elementwise import HALVES, Rule, wide
from phistar.backends.arrays.labelled import Array, Axes, Env, Node, Run, aligned, extent, merged
from phistar.backends.arrays.loads import lower_load
from phistar.backends.arrays.namespace import Arrays, constant
from phistar.backends.arrays.scope import Scope
from phistar.errors import ProgramError
from phistar.ir.build import strong
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Primitive
from phistar.ir.program import Apply, Cast, Const, Expr, Index, IndexValue, Load, Random

FOLD_AT_MOST = 1 << 20  # elements of an array that is computed when compiling


def lower(e: Expr, scope: Scope) -> Node:
    """The array of an expression over its free indices; those of scans are scalars."""
    match e:
        case Const():
            return constant(np.asarray(e.value).astype(dtype_of(e).numpy)[()])
        case IndexValue():
            return lower_index(e.index, dtype_of(e), scope)
        case Load():
            return lower_load(e, scope)
        case Random():
            return lower_random(e, scope)
        case Cast():
            return convert(scope.lower(e.argument), e.dtype, scope)
        case Apply(function=Primitive()):
            return lower_apply(e, scope)
    raise ProgramError(f"an array backend needs a flat program; it came to {type(e).__name__}")


def dtype_of(e: Expr) -> DType:
    return strong(e.dtype)


def lower_index(index: Index, dtype: DType, scope: Scope) -> Node:
    if index in scope.scans:
        return Node(scope.arrays.index_number(scope.slots[index], dtype))
    numbers = np.arange(index.size).astype(dtype.numpy)
    if scope.arrays.eager:
        return constant(numbers, (index,))
    xp, size, kind = scope.arrays.xp, index.size, dtype.numpy
    return Node(lambda env: xp.arange(size).astype(kind), (index,), fresh=True)


def lower_random(e: Random, scope: Scope) -> Node:
    axes = tuple(index for index in e.indices if index not in scope.scans)
    moving = {index: scope.slots[index] for index in e.indices if index in scope.scans}
    return Node(scope.arrays.random(e, axes, moving), axes, fresh=True, text="random")


def convert(node: Node, dtype: DType, scope: Scope) -> Node:
    run, kind = node.run, dtype.numpy
    whole = Node(lambda env: run(env).astype(kind), node.axes, True, node.constant, node.text)
    return folded(whole, scope.arrays)


def lower_apply(e: Apply, scope: Scope) -> Node:
    assert isinstance(e.function, Primitive)
    if e.function is Primitive.STOP_GRADIENT:
        return scope.lower(e.args[0])
    nodes = [scope.lower(e.args[0])]
    if e.function is Primitive.WHERE:
        condition = e.args[0]
        opposite = Apply(Primitive.NOT, (condition,), DType.BOOL)
        nodes += [scope.under(condition).lower(e.args[1]), scope.under(opposite).lower(e.args[2])]
    else:
        nodes += [scope.lower(a) for a in e.args[1:]]
    kept = [strong(a.dtype) is dtype_of(e) for a in e.args]
    return elementwise(rule(e, scope.arrays), nodes, scope, kept)


def rule(e: Apply, arrays: Arrays) -> Rule:
    """The row for a function at the type of its arguments."""
    assert isinstance(e.function, Primitive)
    argument = strong(e.args[-1].dtype)
    table = arrays.integer_functions if argument.is_integer else arrays.functions
    found = table.get(e.function, arrays.functions[e.function])
    if argument in HALVES:
        return wide(found, strong(e.dtype).numpy, np.float32)
    return found


def elementwise(
    function: Rule, nodes: Sequence[Node], scope: Scope, same_type: Sequence[bool] = ()
) -> Node:
    """function of aligned arrays; `same_type` says whose type is the result's, for reuse."""
    axes = merged(nodes, scope.order)
    runs = [aligned(node, axes) for node in nodes]
    reused = reusable(function, nodes, axes, scope.arrays, same_type)
    run = call(function, runs) if reused is None else call_over(function, runs, reused)
    fresh = bool(axes)
    whole = Node(run, axes, fresh, all(node.constant for node in nodes), "elementwise")
    return folded(whole, scope.arrays)


def reusable(
    function: Rule, nodes: Sequence[Node], axes: Axes, arrays: Arrays, same_type: Sequence[bool]
) -> int | None:
    """The argument whose array may hold the result, if there is one."""
    if not axes or not arrays.in_place(function):
        return None
    for n, (node, same) in enumerate(zip(nodes, same_type, strict=False)):
        if same and node.fresh and node.axes == axes and not node.constant:
            return n
    return None


def call(function: Rule, runs: Sequence[Run]) -> Run:
    match tuple(runs):
        case (a,):
            return lambda env: function(a(env))
        case (a, b):
            return lambda env: function(a(env), b(env))
        case (a, b, c):
            return lambda env: function(a(env), b(env), c(env))
    return lambda env: function(*(run(env) for run in runs))


def call_over(function: Rule, runs: Sequence[Run], reused: int) -> Run:
    """A call that writes its result over one of its arguments."""
    if len(runs) == 1:
        only = runs[0]

        def one(env: Env) -> Array:
            x = only(env)
            return function(x, out=x)

        return one
    a, b = runs

    def two(env: Env) -> Array:
        x, y = a(env), b(env)
        return function(x, y, out=y if reused else x)

    return two


def folded(node: Node, arrays: Arrays) -> Node:
    """node, computed now if it can be."""
    if not node.constant or not arrays.eager or extent(node.axes) > FOLD_AT_MOST:
        return node
    with np.errstate(all="ignore"):
        value = node.run([])
    return constant(value, node.axes)
