"""Integer expressions of indices as affine subscripts, and what conditions say about them."""

from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Apply, Cast, Const, Expr, IndexValue, Own
from phistar.ir.walk import add, affine_bounds, quotient, remainder, scale


def to_affine(e: Expr) -> Affine | None:
    """An integer expression of indices as an affine subscript, or None if it is not one."""
    match e:
        case Const() if isinstance(e.value, int) and not isinstance(e.value, bool):
            return Affine((), e.value)
        case IndexValue():
            return Affine(((e.index, 1),))
        case Apply(function=P.NEG, args=(x,)):
            a = to_affine(x)
            return None if a is None else scale(a, -1)
        case Apply(function=P.ADD | P.SUB | P.MUL | P.FLOOR_DIV | P.MOD as function, args=(x, y)):
            a, b = to_affine(x), to_affine(y)
            return None if a is None or b is None else combine(function, a, b)
    return None


def combine(function: P | Own, a: Affine, b: Affine) -> Affine | None:
    if function is P.ADD:
        return add(a, b)
    if function is P.SUB:
        return add(a, scale(b, -1))
    if function is P.MUL and not a.terms:
        return scale(b, a.offset)
    if b.terms or b.offset == 0:
        return None
    if function is P.MUL:
        return scale(a, b.offset)
    if b.offset < 0:
        return None
    return quotient(a, b.offset) if function is P.FLOOR_DIV else remainder(a, b.offset)


def facts(condition: Expr | None) -> tuple[Affine, ...]:
    """Affine expressions that are >= 0 where the condition holds, as far as it is affine."""
    match condition:
        case Apply(function=P.AND, args=(x, y)):
            return (*facts(x), *facts(y))
        case Apply(function=P.LESS_EQUAL, args=(x, y)):
            return difference(y, x, 0)
        case Apply(function=P.LESS, args=(x, y)):
            return difference(y, x, -1)
        case Apply(function=P.GREATER_EQUAL, args=(x, y)):
            return difference(x, y, 0)
        case Apply(function=P.GREATER, args=(x, y)):
            return difference(x, y, -1)
        case Apply(function=P.EQUAL, args=(x, y)):
            return (*difference(x, y, 0), *difference(y, x, 0))
    return ()


def difference(larger: Expr, smaller: Expr, offset: int) -> tuple[Affine, ...]:
    a, b = to_affine(without_casts(larger)), to_affine(without_casts(smaller))
    if a is None or b is None:
        return ()
    return (add(add(a, scale(b, -1)), Affine((), offset)),)


def without_casts(e: Expr) -> Expr:
    return e.argument if isinstance(e, Cast) and e.implicit else e


def at_least(a: Affine, low: int, known: tuple[Affine, ...]) -> bool:
    """Whether a >= low follows by intervals, with the help of one thing known to be >= 0."""
    above = add(a, Affine((), -low))
    return any(affine_bounds(add(above, scale(fact, -1)))[0] >= 0 for fact in (Affine(), *known))


def at_most(a: Affine, high: int, known: tuple[Affine, ...]) -> bool:
    """Whether a <= high follows in the same way."""
    return at_least(scale(a, -1), -high, known)
