"""The chain rule inside one expression: what each leaf of it gets of an adjoint.

`contributions(e, seed, ...)` pushes the adjoint `seed` of e down to the leaves, through the table
of partials. Each contribution carries its guards apart from its value, so that they stay outermost:
a partial `where(x > 0, p, 0)` guards the whole contribution, and 0 * inf is never formed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from phistar.ir.build import apply, cast, const
from phistar.ir.dtypes import DType, Weak
from phistar.ir.primitives import Primitive
from phistar.ir.program import Apply, Argument, Cast, Const, Expr, Own
from phistar.ir.walk import nodes
from phistar.transform.derivatives import PARTIALS
from phistar.transform.inline import with_arguments
from phistar.transform.simplify import simplify_expr


@dataclass(frozen=True)
class Guard:
    """A condition and the branch of `where` that is taken."""

    condition: Expr
    holds: bool


@dataclass(frozen=True)
class Contribution:
    """What a leaf (a load, or an own function's argument) gets, where the guards hold."""

    leaf: Expr
    guards: tuple[Guard, ...]
    value: Expr


IsLeaf = Callable[[Expr], bool]
Pushed = tuple[Expr, Expr, tuple[Guard, ...], Expr | None]  # node, adjoint, guards, result


def contributions(
    e: Expr, seed: Expr, is_leaf: IsLeaf, result: Expr | None = None
) -> Iterator[Contribution]:
    """seed * ∂e/∂leaf for each leaf of e, in the order in which they are written.

    `result` is a cheaper way to write e, where there is one: the tensor that it defines.
    """
    stack: list[Pushed] = [(e, seed, (), result)]
    while stack:
        node, seed, guards, result = stack.pop()
        if is_leaf(node):
            yield Contribution(node, guards, seed)
            continue
        pushed: list[Pushed] = []
        match node:
            case Cast(argument) if is_differentiable(argument):
                pushed.append((argument, cast(seed, strong(argument)), guards, None))
            case Apply(Primitive.STOP_GRADIENT):
                pass
            case Apply(Primitive.WHERE, (test, yes, no)):
                pushed.append((yes, seed, (*guards, Guard(test, True)), result))
                pushed.append((no, seed, (*guards, Guard(test, False)), result))
            case Apply():
                for n, arg in enumerate(node.args):
                    if is_differentiable(arg) and any(map(is_leaf, nodes(arg))):
                        more, factor = unguarded(
                            partial(node, n, node if result is None else result)
                        )
                        value = times(seed, factor)
                        if value is not None:
                            pushed.append((arg, value, (*guards, *more), None))
        stack.extend(reversed(pushed))


def is_differentiable(e: Expr) -> bool:
    return e.dtype is Weak.FLOAT or (isinstance(e.dtype, DType) and e.dtype.is_float)


def strong(e: Expr) -> DType:
    return e.dtype if isinstance(e.dtype, DType) else e.dtype.default


# Partials -----------------------------------------------------------------------------------------


def partial(e: Apply, n: int, result: Expr) -> Expr:
    """The derivative of e's function by its argument n, with `result` for e itself."""
    if isinstance(e.function, Own):
        return own_partial(e.function, n, e.args, result)
    value = PARTIALS[e.function][n](result, *e.args)
    return value if isinstance(value, Expr) else const(value)


def own_partial(own: Own, n: int, args: tuple[Expr, ...], result: Expr) -> Expr:
    """The user's partial if there is one, else the derivative of the function's body."""
    formula = own_derivative(own, n) if own.partials is None else own.partials[n]
    return with_arguments(formula, own, args, result)


@cache
def own_derivative(own: Own, n: int) -> Expr:
    """The derivative of an own function's body by its parameter n."""
    name = own.parameters[n]

    def is_parameter(e: Expr) -> bool:
        return isinstance(e, Argument) and e.name == name

    parts = [guarded(c) for c in contributions(own.body, const(1), is_parameter)]
    return total(parts) if parts else const(0)


def total(parts: list[Expr]) -> Expr:
    """The sum of one or more expressions."""
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


# Guards and products ------------------------------------------------------------------------------


def is_number(e: Expr, value: float) -> bool:
    return isinstance(e, Const) and e.dtype is not DType.BOOL and e.value == value


def unguarded(e: Expr) -> tuple[tuple[Guard, ...], Expr]:
    """where(c, p, 0) as the guard c and p, however often; without where(True, p, 0)."""
    guards: list[Guard] = []
    while isinstance(e, Apply) and e.function is Primitive.WHERE:
        test, yes, no = (simplify_expr(e.args[0]), *e.args[1:])
        if isinstance(test, Const):
            e = yes if test.value else no
        elif is_number(no, 0):
            guards.append(Guard(test, True))
            e = yes
        elif is_number(yes, 0):
            guards.append(Guard(test, False))
            e = no
        else:
            break
    return tuple(guards), e


def guarded(c: Contribution) -> Expr:
    """A contribution with its guards around it: where(c, value, 0)."""
    return under(c.guards, c.value)


def under(guards: tuple[Guard, ...], value: Expr) -> Expr:
    for guard in reversed(guards):
        branches = (value, 0) if guard.holds else (0, value)
        value = apply(Primitive.WHERE, guard.condition, *branches)
    return value


def times(seed: Expr, factor: Expr) -> Expr | None:
    """seed * factor as a reader would write it; None if it is 0."""
    if is_number(factor, 0):
        return None
    if is_number(factor, 1):
        return seed
    match factor:
        case Const(value) if value == -1:
            return negative(seed)
        case Apply(Primitive.NEG, (x,)):
            product = times(seed, x)
            return None if product is None else negative(product)
        case Apply(Primitive.RECIPROCAL, (x,)):
            return seed / x
        case Apply(Primitive.DIV, (one, x)) if is_number(one, 1):
            return seed / x
    return factor if is_number(seed, 1) else seed * factor


def negative(e: Expr) -> Expr:
    """-e; of -x, x."""
    match e:
        case Apply(Primitive.NEG, (x,)):
            return x
    return -e
