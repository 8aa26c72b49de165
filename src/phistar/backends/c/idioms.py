"""Expressions that the run time computes at once, because their parts share what is dear.

0.5 * (1 + erf(x * √½)) + x * (0.3989... * exp(-0.5 * square(x)))      gelu's partial: one exp
"""

from __future__ import annotations

import math

from phistar.ir.build import settled
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Apply, Const, Expr

CLOSE = 1e-9


def gelu_slope(e: Apply) -> Expr | None:
    """x, if the expression is the partial of gelu (erf form) by x."""
    if e.function is not P.ADD:
        return None
    half, rest = (factors(a) for a in e.args)
    if half is None or rest is None or not number(half[0], 0.5):
        return None
    x, bell = rest
    spread, inner = factors(bell), terms(half[1])
    if spread is None or inner is None or not number(spread[0], 1 / math.sqrt(2 * math.pi)):
        return None
    power, wide = argument(spread[1], P.EXP), argument(inner[1], P.ERF)
    if power is None or wide is None or not number(inner[0], 1.0):
        return None
    falls, scaled = factors(power), factors(wide)
    if falls is None or scaled is None or not number(falls[0], -0.5):
        return None
    if argument(falls[1], P.SQUARE) != x or scaled[0] != x or not number(scaled[1], math.sqrt(0.5)):
        return None
    return x


def factors(e: Expr) -> tuple[Expr, Expr] | None:
    return pair(e, P.MUL)


def terms(e: Expr) -> tuple[Expr, Expr] | None:
    return pair(e, P.ADD)


def pair(e: Expr, function: P) -> tuple[Expr, Expr] | None:
    """The two arguments of that function."""
    e = settled(e)
    if not isinstance(e, Apply) or e.function is not function:
        return None
    return settled(e.args[0]), settled(e.args[1])


def argument(e: Expr, function: P) -> Expr | None:
    return settled(e.args[0]) if isinstance(e, Apply) and e.function is function else None


def number(e: Expr, value: float) -> bool:
    return isinstance(e, Const) and math.isclose(float(e.value), value, rel_tol=CLOSE)
