"""The partial derivatives of every primitive: a row each, an entry per argument.

An entry gets the result y and the arguments, and gives an expression or a number. Guards stand as
`where`, so that the backward program is guarded as a whole (`where(x > 0, sqrt(x), 0)` has gradient
0 at 0). Rows use the result where they can: it is there already.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from phistar.ir.build import apply
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Expr, Operand

Partial: TypeAlias = Callable[..., Operand]

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ONE_OVER_ROOT_TWO_PI = 1 / math.sqrt(2 * math.pi)


def where(condition: Expr, yes: Operand, no: Operand) -> Expr:
    return apply(P.WHERE, condition, yes, no)


def exp(x: Operand) -> Expr:
    return apply(P.EXP, x)


def log(x: Operand) -> Expr:
    return apply(P.LOG, x)


def tanh(x: Operand) -> Expr:
    return apply(P.TANH, x)


def sigmoid(x: Operand) -> Expr:
    return apply(P.SIGMOID, x)


def equal(x: Operand, y: Operand) -> Expr:
    return apply(P.EQUAL, x, y)


def floor_div(x: Operand, y: Operand) -> Expr:
    return apply(P.FLOOR_DIV, x, y)


def between(x: Expr, low: Operand, high: Operand) -> Expr:
    """1 where low <= x <= high, else 0."""
    return where((x >= low) & (x <= high), 1, 0)


def inside(x: Expr, low: float, high: float) -> Expr:
    """1 where low < x < high, else 0."""
    return where((x > low) & (x < high), 1, 0)


def gelu(x: Expr) -> Expr:
    """Φ(x) + x φ(x)."""
    phi = ONE_OVER_ROOT_TWO_PI * exp(-0.5 * apply(P.SQUARE, x))
    return 0.5 * (1 + apply(P.ERF, x * math.sqrt(0.5))) + x * phi


def gelu_tanh(x: Expr) -> Expr:
    """The derivative of x (1 + tanh(u)) / 2, u = sqrt(2/π) (x + 0.044715 x³)."""
    root = math.sqrt(2 / math.pi)
    t = tanh(root * (x + 0.044715 * x * apply(P.SQUARE, x)))
    slope = root * (1 + 3 * 0.044715 * apply(P.SQUARE, x))
    return 0.5 * (1 + t) + 0.5 * x * (1 - apply(P.SQUARE, t)) * slope


def mish(x: Expr) -> Expr:
    """t + x (1 - t²) σ(x), t = tanh(softplus(x))."""
    t = tanh(apply(P.SOFTPLUS, x))
    return t + x * (1 - apply(P.SQUARE, t)) * sigmoid(x)


def hard_swish(x: Expr) -> Expr:
    return where(x <= -3, 0, where(x < 3, (2 * x + 3) / 6, 1))


def power_base(y: Expr, x: Expr, p: Expr) -> Expr:
    """p x^(p-1), and 0 for p = 0 even at x = 0."""
    return where(equal(p, 0), 0, p * x ** (p - 1))


def power_exponent(y: Expr, x: Expr, p: Expr) -> Expr:
    """x^p ln x, and 0 at x = 0, where the power is constant in p (p > 0)."""
    return where(equal(x, 0), 0, y * log(x))


# fmt: off
PARTIALS: dict[P, tuple[Partial, ...]] = {
    P.ADD:           (lambda y, a, b: 1,                    lambda y, a, b: 1),
    P.SUB:           (lambda y, a, b: 1,                    lambda y, a, b: -1),
    P.MUL:           (lambda y, a, b: b,                    lambda y, a, b: a),
    P.DIV:           (lambda y, a, b: 1 / b,                lambda y, a, b: -(y / b)),
    P.FLOOR_DIV:     (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.MOD:           (lambda y, a, b: 1,                    lambda y, a, b: -floor_div(a, b)),
    P.POW:           (power_base,                           power_exponent),
    P.NEG:           (lambda y, x: -1,),
    P.ABS:           (lambda y, x: apply(P.SIGN, x),),
    P.EXP:           (lambda y, x: y,),
    P.EXPM1:         (lambda y, x: y + 1,),
    P.LOG:           (lambda y, x: 1 / x,),
    P.LOG1P:         (lambda y, x: 1 / (1 + x),),
    P.SQRT:          (lambda y, x: 0.5 / y,),
    P.RSQRT:         (lambda y, x: -0.5 * y / x,),
    P.SQUARE:        (lambda y, x: 2 * x,),
    P.RECIPROCAL:    (lambda y, x: -apply(P.SQUARE, y),),
    P.SIN:           (lambda y, x: apply(P.COS, x),),
    P.COS:           (lambda y, x: -apply(P.SIN, x),),
    P.TAN:           (lambda y, x: 1 + apply(P.SQUARE, y),),
    P.TANH:          (lambda y, x: 1 - apply(P.SQUARE, y),),
    P.ARCSIN:        (lambda y, x: apply(P.RSQRT, 1 - apply(P.SQUARE, x)),),
    P.ARCCOS:        (lambda y, x: -apply(P.RSQRT, 1 - apply(P.SQUARE, x)),),
    P.ARCTAN:        (lambda y, x: 1 / (1 + apply(P.SQUARE, x)),),
    P.SINH:          (lambda y, x: apply(P.COSH, x),),
    P.COSH:          (lambda y, x: apply(P.SINH, x),),
    P.ERF:           (lambda y, x: TWO_OVER_ROOT_PI * exp(-apply(P.SQUARE, x)),),
    P.ERFC:          (lambda y, x: -TWO_OVER_ROOT_PI * exp(-apply(P.SQUARE, x)),),
    P.SIGMOID:       (lambda y, x: y * (1 - y),),
    P.LOG_SIGMOID:   (lambda y, x: sigmoid(-x),),
    P.SOFTPLUS:      (lambda y, x: sigmoid(x),),
    P.RELU:          (lambda y, x: where(y > 0, 1, 0),),
    P.RELU6:         (lambda y, x: inside(y, 0, 6),),
    P.LEAKY_RELU:    (lambda y, x, slope: where(x > 0, 1, slope),
                      lambda y, x, slope: where(x > 0, 0, x)),
    P.ELU:           (lambda y, x, alpha: where(x > 0, 1, y + alpha),
                      lambda y, x, alpha: where(x > 0, 0, apply(P.EXPM1, x))),
    P.SELU:          (lambda y, x: where(x > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),),
    P.CELU:          (lambda y, x, alpha: where(x > 0, 1, exp(x / alpha)),
                      lambda y, x, alpha: where(x > 0, 0, apply(P.EXPM1, x / alpha)
                                                - x / alpha * exp(x / alpha))),
    P.GELU:          (lambda y, x: gelu(x),),
    P.GELU_TANH:     (lambda y, x: gelu_tanh(x),),
    P.SILU:          (lambda y, x: sigmoid(x) * (1 + x - y),),
    P.MISH:          (lambda y, x: mish(x),),
    P.HARD_SIGMOID:  (lambda y, x: where((x > -3) & (x < 3), 1 / 6, 0),),
    P.HARD_SWISH:    (lambda y, x: hard_swish(x),),
    P.SOFTSIGN:      (lambda y, x: apply(P.SQUARE, 1 / (1 + apply(P.ABS, x))),),
    P.HARDTANH:      (lambda y, x: inside(x, -1, 1),),
    P.SIGN:          (lambda y, x: 0,),
    P.FLOOR:         (lambda y, x: 0,),
    P.CEIL:          (lambda y, x: 0,),
    P.ROUND:         (lambda y, x: 0,),
    P.MAXIMUM:       (lambda y, a, b: where(a >= b, 1, 0),  lambda y, a, b: where(a >= b, 0, 1)),
    P.MINIMUM:       (lambda y, a, b: where(a <= b, 1, 0),  lambda y, a, b: where(a <= b, 0, 1)),
    P.CLIP:          (lambda y, x, low, high: between(x, low, high),
                      lambda y, x, low, high: where((x < low) & (low <= high), 1, 0),
                      lambda y, x, low, high: where((x > high) | (low > high), 1, 0)),
    P.WHERE:         (lambda y, c, a, b: 0,
                      lambda y, c, a, b: where(c, 1, 0),
                      lambda y, c, a, b: where(c, 0, 1)),
    P.ISNAN:         (lambda y, x: 0,),
    P.ISINF:         (lambda y, x: 0,),
    P.LESS:          (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.LESS_EQUAL:    (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.GREATER:       (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.GREATER_EQUAL: (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.EQUAL:         (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.NOT_EQUAL:     (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.AND:           (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.OR:            (lambda y, a, b: 0,                    lambda y, a, b: 0),
    P.NOT:           (lambda y, x: 0,),
    P.STOP_GRADIENT: (lambda y, x: 0,),
}
# fmt: on
