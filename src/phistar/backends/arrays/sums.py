"""What += does over the indices that are not on the left.

A product of several factors is contracted two arrays at a time (matrix products where there are
any); a sum of e(u) over u <= t, where nothing else depends on t, is a running sum; everything else
is computed elementwise and added up. A condition becomes zeros in one factor: where that leaves a
NaN (0 * inf), the sum is computed again with the condition outermost.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from phistar.backends.arrays.expressions import elementwise
from phistar.backends.arrays.labelled import Axes, Node, aligned, extent, names
from phistar.backends.arrays.namespace import constant
from phistar.backends.arrays.products import Product, product_of
from phistar.backends.arrays.reductions import chosen, conjunction, conjuncts, guarded
from phistar.backends.arrays.scope import Scope
from phistar.ir.primitives import Primitive
from phistar.ir.program import Apply, Const, Expr, Index, IndexValue
from phistar.ir.walk import free_indices


def total(value: Expr, over: Axes, condition: Expr | None, scope: Scope) -> Node:
    """The sum of value over `over` where the condition holds; its axes are among the target's."""
    value, condition = guards_outermost(value, condition)
    inside = tuple(c for c in conjuncts(condition) if set(free_indices(c)) & set(over))
    outside = tuple(c for c in conjuncts(condition) if c not in inside)
    within = scope.under(*outside)
    node = (
        running_sum(value, over, inside, within)
        or contracted(value, over, conjunction(inside), within)
        or added_up(value, over, conjunction(inside), within)
    )
    return replace(chosen(conjunction(outside), node, zero(scope), scope), text=node.text)


def zero(scope: Scope) -> object:
    return scope.statement.target.dtype.numpy.type(0)


def guards_outermost(value: Expr, condition: Expr | None) -> tuple[Expr, Expr | None]:
    """where(c, e, 0) is e under the condition c."""
    conditions = conjuncts(condition)
    while True:
        match value:
            case Apply(function=Primitive.WHERE, args=(c, e, Const(value=0))):
                conditions = (*conditions, *conjuncts(c))
                value = e
            case _:
                return value, conjunction(conditions)


# Elementwise, then added up -----------------------------------------------------------------------


def added_up(value: Expr, over: Axes, condition: Expr | None, scope: Scope) -> Node:
    node = chosen(condition, guarded(value, condition, scope), zero(scope), scope)
    return summed(node, over, scope)


def summed(node: Node, over: Axes, scope: Scope) -> Node:
    """The sum of an array over indices, those it does not have included."""
    dtype = scope.statement.target.dtype
    axes = tuple(n for n, index in enumerate(node.axes) if index in over)
    repeats = extent([index for index in over if index not in node.axes])
    if axes:
        add, run = scope.arrays.total(axes, dtype), node.run
        kept = tuple(index for index in node.axes if index not in over)
        text = f"sum over {names([index for index in node.axes if index in over])}"
        node = Node(lambda env: add(run(env)), kept, bool(kept), text=text)
    return scaled(node, repeats, scope)


def scaled(node: Node, scale: float, scope: Scope) -> Node:
    if scale == 1:
        return node
    number = constant(np.asarray(scale).astype(scope.statement.target.dtype.numpy)[()])
    multiply = scope.arrays.functions[Primitive.MUL]
    return replace(elementwise(multiply, (node, number), scope, (True, False)), text=node.text)


# Products -----------------------------------------------------------------------------------------


def contracted(value: Expr, over: Axes, condition: Expr | None, scope: Scope) -> Node | None:
    """The sum of a product of two or more arrays, or None if it is no such thing."""
    product = product_of(value)
    arrays = [f for f in product.factors if not set(free_indices(f)) <= set(scope.scans)]
    if len(arrays) < 2 or not over:
        return None
    factors, safe = masked_factors(product, condition, scope)
    fast = contract(factors, over, product.scale, scope)
    if safe or not scope.statement.target.dtype.is_float:
        return fast
    exact = added_up(value, over, condition, scope)
    if set(exact.axes) != set(fast.axes):
        return exact
    run = scope.arrays.unless_nan(fast.run, aligned(exact, fast.axes))
    return replace(fast, run=run)


def masked_factors(
    product: Product, condition: Expr | None, scope: Scope
) -> tuple[list[Node], bool]:
    """The factors, zero where the condition is false; whether that is as good as the condition."""
    within = scope if condition is None else scope.under(condition)
    nodes = [within.lower(f) for f in product.factors]
    if condition is None:
        return nodes, True
    wanted = {index for index in free_indices(condition) if index not in scope.scans}
    fits = [wanted <= set(node.axes) for node in nodes]
    if not any(fits):
        best = max(range(len(nodes)), key=lambda n: len(wanted & set(nodes[n].axes)))
        fits[best] = True
    masked = [
        chosen(condition, node, zero(scope), scope) if fit else node
        for node, fit in zip(nodes, fits, strict=True)
    ]
    return masked, all(fits)


def contract(nodes: list[Node], over: Axes, scale: float, scope: Scope) -> Node:
    """The sum of a product of arrays, two at a time."""
    present = {index for node in nodes for index in node.axes}
    scale *= extent([index for index in over if index not in present])
    nodes = joined(nodes, scope)
    while len(nodes) > 1:
        a, b = cheapest_pair(nodes, over)
        rest = [node for node in nodes if node is not a and node is not b]
        nodes = [*rest, pair(a, b, over, rest, scope)]
    return scaled(
        summed(nodes[0], tuple(i for i in over if i in nodes[0].axes), scope), scale, scope
    )


def joined(nodes: list[Node], scope: Scope) -> list[Node]:
    """The factors, small ones multiplied into those that have all their axes, while there are more
    than two."""
    multiply = scope.arrays.functions[Primitive.MUL]
    nodes = sorted(nodes, key=lambda node: extent(node.axes))
    while len(nodes) > 2:
        small, *others = nodes
        hosts = [node for node in others if set(small.axes) <= set(node.axes)]
        if not hosts:
            break
        host = hosts[0]
        both = elementwise(multiply, (host, small), scope, (True, False))
        nodes = [both if node is host else node for node in others]
    return nodes


def cheapest_pair(nodes: Sequence[Node], over: Axes) -> tuple[Node, Node]:
    """The two arrays whose contraction leaves the least."""

    def left(a: Node, b: Node) -> int:
        others = {i for node in nodes if node is not a and node is not b for i in node.axes}
        union = set(a.axes) | set(b.axes)
        return extent([i for i in union if i not in over or i in others])

    pairs = [(a, b) for n, a in enumerate(nodes) for b in nodes[n + 1 :]]
    return min(pairs, key=lambda ab: left(*ab))


def pair(a: Node, b: Node, over: Axes, rest: list[Node], scope: Scope) -> Node:
    """The contraction of two arrays over what no other array contains."""
    others = {index for node in rest for index in node.axes}
    done = tuple(index for index in over if index not in others)
    a = summed(a, tuple(i for i in done if i in a.axes and i not in b.axes), scope)
    b = summed(b, tuple(i for i in done if i in b.axes and i not in a.axes), scope)
    if not any(i in b.axes for i in done if i in a.axes):
        multiply = scope.arrays.functions[Primitive.MUL]
        both = elementwise(multiply, (a, b), scope, (True, True))
        return replace(both, text=f"{a.text or b.text} outer product".strip())
    kept = tuple(i for i in scope.order if i not in done and (i in a.axes or i in b.axes))
    dtype = scope.statement.target.dtype
    for x, f in ((a, b), (b, a)):
        if x.windows is not None and f.windows is None:
            node = scope.arrays.convolution(x, f, kept, dtype)
            if node is not None:
                return node
    plan = scope.arrays.contraction(a.axes, b.axes, kept, dtype)
    run, left, right = plan.run, a.run, b.run
    text = "windows, " + plan.text if "windows" in (a.text, b.text) else plan.text
    return Node(lambda env: run(left(env), right(env)), plan.axes, bool(plan.axes), text=text)


# Running sums -------------------------------------------------------------------------------------


def running_sum(value: Expr, over: Axes, conditions: tuple[Expr, ...], scope: Scope) -> Node | None:
    """The sum over u <= t (or <, >=, >) as running sums along u, if it is one."""
    if len(conditions) != 1:
        return None
    ends = order_of(conditions[0])
    if ends is None:
        return None
    low, high, strict = ends
    u, t = (low, high) if low in over else (high, low)
    backwards = u is high
    rest = tuple(index for index in over if index != u)
    scanned = t in scope.scans or t in over
    if scanned or u not in over or t in free_indices(value) or u.size != t.size:
        return None
    node = total(value, rest, None, scope.under(conditions[0]))
    if u not in node.axes:
        return None
    axis = node.axes.index(u)
    change = scope.arrays.running(axis, backwards, strict, scope.statement.target.dtype)
    run = node.run
    axes = tuple(t if index == u else index for index in node.axes)
    return Node(lambda env: change(run(env)), axes, True, text=f"running sum along {u.name}")


def order_of(condition: Expr) -> tuple[Index, Index, bool] | None:
    """(a, b, strict) of a condition a <= b or a < b between two indices."""
    match condition:
        case Apply(function=function, args=(IndexValue(index=a), IndexValue(index=b))):
            match function:
                case Primitive.LESS_EQUAL | Primitive.LESS:
                    return a, b, function is Primitive.LESS
                case Primitive.GREATER_EQUAL | Primitive.GREATER:
                    return b, a, function is Primitive.GREATER
    return None
