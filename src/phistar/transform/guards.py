"""Conditions under which an expression is evaluated, and which expressions need one.

An expression is risky if it may fail or give infinities where its guard is false: it gathers at run
time, or it has a pole. Only a risky expression takes its guard along when it is given a name.
"""

from collections.abc import Iterable

from phistar.ir.build import apply, const, index_value
from phistar.ir.primitives import Primitive
from phistar.ir.program import Apply, Cast, Const, Expr, Index, Load, Own, Random, Reduce
from phistar.ir.walk import free_indices, nodes

POLES = frozenset(
    {
        Primitive.DIV,
        Primitive.FLOOR_DIV,
        Primitive.MOD,
        Primitive.POW,
        Primitive.LOG,
        Primitive.LOG1P,
        Primitive.SQRT,
        Primitive.RSQRT,
        Primitive.RECIPROCAL,
        Primitive.TAN,
        Primitive.ARCSIN,
        Primitive.ARCCOS,
        Primitive.EXP,
        Primitive.EXPM1,
        Primitive.SINH,
        Primitive.COSH,
    }
)


def risky(e: Expr) -> bool:
    """Whether e may fail, overflow or have an infinite derivative."""
    return any(_risky_node(node) for node in nodes(e))


def _risky_node(e: Expr) -> bool:
    match e:
        case Apply(Own()):
            return True
        case Apply(Primitive.DIV, (_, divisor)) if is_constant(divisor):
            return False
        case Apply(function, args):
            return function in POLES and not all(is_constant(a) for a in args)
    return gathers(e)


def gathers(e: Expr) -> bool:
    """Whether e is a load with a subscript that is checked when the program runs."""
    return isinstance(e, Load) and any(isinstance(s, Expr) for s in e.subscripts)


def is_constant(e: Expr) -> bool:
    """Whether e is one number, known before the program runs."""
    return all(isinstance(node, Const | Apply | Cast) for node in nodes(e))


def is_plain(e: Expr) -> bool:
    """Whether e is a load, a random number or a constant, perhaps cast."""
    while isinstance(e, Cast):
        e = e.argument
    return isinstance(e, Load | Random) or is_constant(e)


def reduces(e: Expr) -> bool:
    """Whether a reduction stands anywhere in e."""
    return any(isinstance(node, Reduce) for node in nodes(e))


def both(first: Expr | None, second: Expr | None) -> Expr | None:
    """Both conditions; the second is not evaluated where the first is false, if that matters."""
    if first is None or second is None:
        return second if first is None else first
    if first == second:
        return first
    if risky(second):
        return apply(Primitive.WHERE, first, second, False)
    return first & second


def conjunction(conditions: Iterable[Expr | None]) -> Expr | None:
    """All the conditions, each evaluated only where those before it hold if that matters."""
    total: Expr | None = None
    for condition in conditions:
        total = both(total, condition)
    return total


def position(indices: tuple[Index, ...]) -> Expr:
    """The row-major position of a setting of the indices."""
    total: Expr = const(0)
    for n, index in enumerate(indices):
        total = index_value(index) if n == 0 else total * index.size + index_value(index)
    return total


def indices_of(conditions: Iterable[Expr]) -> tuple[Index, ...]:
    """The free indices of several expressions."""
    return tuple(dict.fromkeys(i for c in conditions for i in free_indices(c)))
