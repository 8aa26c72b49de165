"""Products as lists of factors: what a sum has to see before it can be a matrix product.

value ::= factor | value * value | -value | value / divisor        times literal numbers
"""

import math
from dataclasses import dataclass

from phistar.ir.build import strong
from phistar.ir.primitives import Primitive
from phistar.ir.program import Apply, Const, Expr
from phistar.ir.walk import free_indices


@dataclass(frozen=True)
class Product:
    """scale * product of factors; none of them is a product or a literal."""

    scale: float
    factors: tuple[Expr, ...]


def product_of(value: Expr) -> Product:
    """value as a product of factors, a division being part of the factor it fits on."""
    scale: float = 1
    factors: list[Expr] = []
    divisors: list[Expr] = []
    stack = [value]
    while stack:
        match stack.pop():
            case Apply(function=Primitive.MUL, args=(a, b)):
                stack += [b, a]
            case Apply(function=Primitive.NEG, args=(a,)):
                scale = -scale
                stack.append(a)
            case Apply(function=Primitive.DIV, args=(a, Const(value=n))) if usable(n):
                scale = scale / n
                stack.append(a)
            case Apply(function=Primitive.DIV, args=(a, b)):
                divisors.append(b)
                stack.append(a)
            case Const(value=n) if usable(n):
                scale = scale * n
            case factor:
                factors.append(factor)
    for divisor in divisors:
        if not divide(factors, divisor):
            return Product(1, (value,))
    return Product(scale, tuple(factors))


def usable(n: float) -> bool:
    """Whether a literal may be moved out of a sum: 0, inf and nan may not."""
    return math.isfinite(n) and n != 0


def divide(factors: list[Expr], divisor: Expr) -> bool:
    """Divide a factor that has all of the divisor's indices; False if there is none."""
    wanted = set(free_indices(divisor))
    for n, factor in enumerate(factors):
        if wanted <= set(free_indices(factor)):
            factors[n] = Apply(Primitive.DIV, (factor, divisor), strong(divisor.dtype))
            return True
    return False
