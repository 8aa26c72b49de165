"""What each primitive means as an array operation: one row each, written once over the namespace.

`rules(xp, erf, erfc)` is the table for NumPy or jax.numpy. Python numbers in a row are weak: a row
keeps the type of its arguments.
"""

import math
from collections.abc import Callable
from typing import Any

from phistar.backends.arrays.labelled import Array
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Primitive as P

Rule = Callable[..., Array]

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717


def rules(xp: Any, erf: Rule, erfc: Rule) -> dict[P, Rule]:
    """Primitive -> function of arrays."""
    exp, expm1, log1p, tanh = xp.exp, xp.expm1, xp.log1p, xp.tanh
    where, absolute, maximum, minimum = xp.where, xp.absolute, xp.maximum, xp.minimum

    def sigmoid(x: Array) -> Array:
        return 1 / (1 + exp(-x))

    def softplus(x: Array) -> Array:
        return maximum(x, 0) + log1p(exp(-absolute(x)))

    def gelu_tanh(x: Array) -> Array:
        return x * (0.5 * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * (x * x * x)))))

    def selu(x: Array) -> Array:
        return SELU_SCALE * where(x > 0, x, SELU_ALPHA * expm1(minimum(x, 0)))

    def relu6(x: Array) -> Array:
        return minimum(maximum(x, 0), 6)

    # fmt: off
    return {
        P.ADD:           xp.add,
        P.SUB:           xp.subtract,
        P.MUL:           xp.multiply,
        P.DIV:           xp.true_divide,
        P.FLOOR_DIV:     xp.floor_divide,
        P.MOD:           xp.remainder,
        P.POW:           xp.power,
        P.NEG:           xp.negative,
        P.ABS:           absolute,
        P.EXP:           exp,
        P.EXPM1:         expm1,
        P.LOG:           xp.log,
        P.LOG1P:         log1p,
        P.SQRT:          xp.sqrt,
        P.RSQRT:         lambda x: 1 / xp.sqrt(x),
        P.SQUARE:        xp.square,
        P.RECIPROCAL:    lambda x: 1 / x,
        P.SIN:           xp.sin,
        P.COS:           xp.cos,
        P.TAN:           xp.tan,
        P.TANH:          tanh,
        P.ARCSIN:        xp.arcsin,
        P.ARCCOS:        xp.arccos,
        P.ARCTAN:        xp.arctan,
        P.SINH:          xp.sinh,
        P.COSH:          xp.cosh,
        P.ERF:           erf,
        P.ERFC:          erfc,
        P.SIGMOID:       sigmoid,
        P.LOG_SIGMOID:   lambda x: minimum(x, 0) - log1p(exp(-absolute(x))),
        P.SOFTPLUS:      softplus,
        P.RELU:          lambda x: maximum(x, 0),
        P.RELU6:         relu6,
        P.LEAKY_RELU:    lambda x, slope: where(x > 0, x, slope * x),
        P.ELU:           lambda x, alpha: where(x > 0, x, alpha * expm1(minimum(x, 0))),
        P.SELU:          selu,
        P.CELU:          lambda x, alpha: where(x > 0, x, alpha * expm1(minimum(x, 0) / alpha)),
        P.GELU:          lambda x: x * (0.5 * (1 + erf(SQRT_HALF * x))),
        P.GELU_TANH:     gelu_tanh,
        P.SILU:          lambda x: x * sigmoid(x),
        P.MISH:          lambda x: x * tanh(softplus(x)),
        P.HARD_SIGMOID:  lambda x: relu6(x + 3) / 6,
        P.HARD_SWISH:    lambda x: x * (relu6(x + 3) / 6),
        P.SOFTSIGN:      lambda x: x / (1 + absolute(x)),
        P.HARDTANH:      lambda x: minimum(maximum(x, -1), 1),
        P.SIGN:          xp.sign,
        P.FLOOR:         xp.floor,
        P.CEIL:          xp.ceil,
        P.ROUND:         xp.rint,
        P.MAXIMUM:       maximum,
        P.MINIMUM:       minimum,
        P.CLIP:          lambda x, low, high: minimum(maximum(x, low), high),
        P.WHERE:         where,
        P.ISNAN:         xp.isnan,
        P.ISINF:         xp.isinf,
        P.LESS:          xp.less,
        P.LESS_EQUAL:    xp.less_equal,
        P.GREATER:       xp.greater,
        P.GREATER_EQUAL: xp.greater_equal,
        P.EQUAL:         xp.equal,
        P.NOT_EQUAL:     xp.not_equal,
        P.AND:           xp.logical_and,
        P.OR:            xp.logical_or,
        P.NOT:           xp.logical_not,
        P.STOP_GRADIENT: lambda x: x,
    }
    # fmt: on


def integer_rules(xp: Any) -> dict[P, Rule]:
    """The rows that differ for integers."""

    def power(x: Array, n: Array) -> Array:
        ones = xp.where(x == 1, 1, xp.where(x == -1, 1 - 2 * (n & 1), 0)).astype(x.dtype)
        return xp.where(n < 0, ones, xp.power(x, xp.maximum(n, 0)))

    def itself(x: Array) -> Array:
        return x

    return {P.POW: power, P.FLOOR: itself, P.CEIL: itself, P.ROUND: itself}


def wide(rule: Rule, dtype: Any, single: Any) -> Rule:
    """rule for a 16-bit type: computed in f32 and rounded once."""

    def rounded(*args: Array) -> Array:
        result = rule(*(a if a.dtype == bool else a.astype(single) for a in args))
        return result if result.dtype == bool else result.astype(dtype)

    return rounded


HALVES = frozenset({DType.F16, DType.BF16})
