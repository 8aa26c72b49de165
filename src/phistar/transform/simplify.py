"""Local identities, applied from the leaves up: each rule is one case.

They keep every value, NaN and infinities included, up to the sign of zero; literals are folded in
double precision. What a product with 0 means is left alone: 0 * NaN is NaN.
"""

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import replace

from phistar.ir.build import apply, convert
from phistar.ir.dtypes import DType, Weak
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Apply, Assign, Cast, Const, Expr, Program, Statement
from phistar.ir.walk import map_assign, map_statements, rewrite


def simplify(program: Program) -> Program:
    """The program with every expression simplified."""
    return replace(program, statements=simplify_statements(program.statements))


def simplify_statements(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    def simpler(a: Assign) -> list[Assign]:
        made = map_assign(a, simplify_expr)
        if isinstance(made.condition, Const) and made.condition.value is True:
            made = replace(made, condition=None)
        return [made]

    return map_statements(statements, simpler)


def simplify_expr(e: Expr) -> Expr:
    """e, simplified; of the same type."""
    return rewrite(e, simplify_node)


def simplify_node(e: Expr) -> Expr:
    """One node whose children are simple already."""
    while (simpler := step(e)) is not e:
        e = simpler
    return e


def step(e: Expr) -> Expr:
    """One rule, or e itself if none fits."""
    match e:
        case Cast():
            return fold_cast(e)
        case Apply(P() as function, args) if all(isinstance(a, Const) for a in args):
            return fold(e, function)
        case Apply(P() as function, args):
            made = identity(function, args)
            return e if made is None else same_type(made, e)
    return e


def same_type(made: Expr, like: Expr) -> Expr:
    """A replacement in the type of what it replaces."""
    if made.dtype is like.dtype or not isinstance(like.dtype, DType):
        return made
    return convert(made, like.dtype)


# fmt: off
def identity(function: P, args: tuple[Expr, ...]) -> Expr | None:
    """What function(args) is by an identity, or None."""
    match function, args:
        case P.ADD, (x, Const(0)) | (Const(0), x):               return x
        case P.ADD, (x, Apply(P.NEG, (y,))):                     return apply(P.SUB, x, y)
        case P.SUB, (x, Const(0)):                               return x
        case P.SUB, (Const(0), x):                               return apply(P.NEG, x)
        case P.SUB, (x, Apply(P.NEG, (y,))):                     return apply(P.ADD, x, y)
        case P.MUL, (x, Const(1)) | (Const(1), x):               return x
        case P.MUL, (x, Const(-1)) | (Const(-1), x):             return apply(P.NEG, x)
        case P.MUL, (Apply(P.NEG, (x,)), y):                     return apply(P.NEG, x * y)
        case P.MUL, (x, Apply(P.NEG, (y,))):                     return apply(P.NEG, x * y)
        case P.MUL, (x, Apply(P.DIV, (Const(1), y))):            return x / y
        case P.DIV, (x, Const(1)):                               return x
        case P.DIV, (x, Const(-1)):                              return apply(P.NEG, x)
        case P.DIV, (Apply(P.NEG, (x,)), y):                     return apply(P.NEG, x / y)
        case P.POW, (x, Const(1)):                               return x
        case P.NEG, (Apply(P.NEG, (x,)),):                       return x
        case P.NEG, (Apply(P.SUB, (x, y)),):                     return apply(P.SUB, y, x)
        case P.NOT, (Apply(P.NOT, (x,)),):                       return x
        case P.AND, (x, Const(True)) | (Const(True), x):         return x
        case P.AND, (Const(False) as f, _) | (_, Const(False) as f): return f
        case P.OR,  (x, Const(False)) | (Const(False), x):       return x
        case P.OR,  (Const(True) as t, _) | (_, Const(True) as t): return t
        case P.WHERE, (Const(True), x, _):                       return x
        case P.WHERE, (Const(False), _, x):                      return x
        case P.WHERE, (_, x, y) if x == y:                       return x
    return None


FOLDS: dict[P, Callable[..., float | int | bool]] = {
    P.ADD: operator.add,  P.SUB: operator.sub,  P.MUL: operator.mul,  P.NEG: operator.neg,
    P.LESS: operator.lt,  P.LESS_EQUAL: operator.le,  P.GREATER: operator.gt,
    P.GREATER_EQUAL: operator.ge,  P.EQUAL: operator.eq,  P.NOT_EQUAL: operator.ne,
    P.AND: operator.and_,  P.OR: operator.or_,  P.NOT: operator.not_,
    P.DIV: operator.truediv,  P.SQRT: math.sqrt,
}
# fmt: on


def fold(e: Apply, function: P) -> Expr:
    """A function of literals, computed now, if it is one that Python computes just as well."""
    values = tuple(a.value for a in e.args if isinstance(a, Const))
    if function not in FOLDS or e.dtype in (DType.F16, DType.BF16):
        made = identity(function, e.args)
        return e if made is None else same_type(made, e)
    try:
        value = FOLDS[function](*values)
    except (ArithmeticError, ValueError):
        return e  # 1 / 0 and its like are left to the backend
    if isinstance(e.dtype, DType) and e.dtype.is_integer and not in_range(value, e.dtype):
        return e
    return Const(value, e.dtype)


def in_range(value: float, dtype: DType) -> bool:
    """Whether an integer fits its type: what overflows is left to the backend."""
    bits = int("".join(c for c in dtype.value if c.isdigit()))
    low, high = (0, 2**bits) if dtype is DType.U8 else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return isinstance(value, int) and low <= value < high


def fold_cast(e: Cast) -> Expr:
    """A cast to the type that is there already, or of a literal to a float."""
    if e.argument.dtype is e.dtype:
        return e.argument
    literal = isinstance(e.argument, Const) and not isinstance(e.argument.dtype, Weak)
    if literal and e.dtype.is_float and e.argument.dtype is not DType.BOOL:
        assert isinstance(e.argument, Const)
        return Const(float(e.argument.value), e.dtype)
    return e
