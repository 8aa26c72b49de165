"""The elementwise functions users call, and `@elementwise`, which makes a function of one's own.

Each name is one row: the primitive it builds. A function of one's own is a single node with a scope
of its own, so it may use its argument twice without capturing a sum.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from phistar.errors import ExpressionError, UsageError
from phistar.ir.dtypes import DType, as_dtype
from phistar.ir.primitives import Primitive as P
from phistar.language.expression import Argument, Call, CastTo, Expr, Literal, call, lift

F = TypeVar("F", bound=Callable[..., Expr])


def unary(primitive: P, doc: str) -> Callable[[Any], Expr]:
    def function(x: Any) -> Expr:
        return call(primitive, x)

    return named(function, primitive.spelling, doc)


def binary(primitive: P, doc: str) -> Callable[[Any, Any], Expr]:
    def function(x: Any, y: Any) -> Expr:
        return call(primitive, x, y)

    return named(function, primitive.spelling, doc)


def named(function: F, name: str, doc: str) -> F:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{doc} Elementwise: one number for each setting of the indices."
    return function


# fmt: off
abs          = unary(P.ABS,          "|x|; its derivative at 0 is 0.")
exp          = unary(P.EXP,          "e^x.")
expm1        = unary(P.EXPM1,        "e^x - 1, exact near 0.")
log          = unary(P.LOG,          "The natural logarithm.")
log1p        = unary(P.LOG1P,        "ln(1 + x), exact near 0.")
sqrt         = unary(P.SQRT,         "The square root.")
rsqrt        = unary(P.RSQRT,        "1 / sqrt(x).")
square       = unary(P.SQUARE,       "x * x.")
reciprocal   = unary(P.RECIPROCAL,   "1 / x.")
sin          = unary(P.SIN,          "The sine; x in radians.")
cos          = unary(P.COS,          "The cosine; x in radians.")
tan          = unary(P.TAN,          "The tangent; x in radians.")
tanh         = unary(P.TANH,         "The hyperbolic tangent.")
arcsin       = unary(P.ARCSIN,       "The inverse sine, in radians.")
arccos       = unary(P.ARCCOS,       "The inverse cosine, in radians.")
arctan       = unary(P.ARCTAN,       "The inverse tangent, in radians.")
sinh         = unary(P.SINH,         "The hyperbolic sine.")
cosh         = unary(P.COSH,         "The hyperbolic cosine.")
erf          = unary(P.ERF,          "The error function.")
erfc         = unary(P.ERFC,         "1 - erf(x), exact for large x.")
sigmoid      = unary(P.SIGMOID,      "σ(x) = 1 / (1 + e^-x).")
log_sigmoid  = unary(P.LOG_SIGMOID,  "ln σ(x), stable.")
softplus     = unary(P.SOFTPLUS,     "ln(1 + e^x), stable.")
relu         = unary(P.RELU,         "max(x, 0); its derivative at 0 is 0.")
relu6        = unary(P.RELU6,        "min(max(x, 0), 6).")
selu         = unary(P.SELU,         "Scaled ELU (Klambauer et al. 2017).")
silu         = unary(P.SILU,         "x σ(x), also called swish.")
mish         = unary(P.MISH,         "x tanh(softplus(x)) (Misra 2019).")
hard_sigmoid = unary(P.HARD_SIGMOID, "relu6(x + 3) / 6.")
hard_swish   = unary(P.HARD_SWISH,   "x relu6(x + 3) / 6 (Howard et al. 2019).")
softsign     = unary(P.SOFTSIGN,     "x / (1 + |x|).")
hardtanh     = unary(P.HARDTANH,     "x clipped to [-1, 1].")
sign         = unary(P.SIGN,         "-1, 0 or 1; its derivative is 0.")
floor        = unary(P.FLOOR,        "Rounded down; its derivative is 0.")
ceil         = unary(P.CEIL,         "Rounded up; its derivative is 0.")
round        = unary(P.ROUND,        "Rounded, halves to even; its derivative is 0.")
isnan        = unary(P.ISNAN,        "True where x is NaN.")
isinf        = unary(P.ISINF,        "True where x is inf or -inf.")
stop_gradient = unary(P.STOP_GRADIENT, "x, taken as a constant by the backward program.")
maximum      = binary(P.MAXIMUM,     "The larger of two; the first wins a tie.")
minimum      = binary(P.MINIMUM,     "The smaller of two; the first wins a tie.")
equal        = binary(P.EQUAL,       "True where x equals y.")
not_equal    = binary(P.NOT_EQUAL,   "True where x differs from y.")
# fmt: on


def leaky_relu(x: Any, slope: Any = 0.01) -> Expr:
    """x for x > 0, else slope * x."""
    return call(P.LEAKY_RELU, x, slope)


def elu(x: Any, alpha: Any = 1.0) -> Expr:
    """x for x > 0, else alpha (e^x - 1) (Clevert et al. 2015)."""
    return call(P.ELU, x, alpha)


def celu(x: Any, alpha: Any = 1.0) -> Expr:
    """x for x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017)."""
    return call(P.CELU, x, alpha)


def gelu(x: Any, approximate: bool = False) -> Expr:
    """x Φ(x) (Hendrycks & Gimpel 2016), by erf, or by tanh if `approximate`."""
    return call(P.GELU_TANH if approximate else P.GELU, x)


def clip(x: Any, low: Any, high: Any) -> Expr:
    """x, no less than low and no more than high."""
    return call(P.CLIP, x, low, high)


def where(condition: Any, yes: Any, no: Any) -> Expr:
    """yes where the condition holds, else no; what is not chosen does not matter, NaN or not."""
    return call(P.WHERE, truth_of(condition), yes, no)


def truth_of(condition: Any) -> Any:
    """A field of ones and zeros, ph.bernoulli(p)[b, j], may stand as a condition."""
    match condition:
        case Call(function=P.WHERE, args=(inner, Literal(value_=1.0), Literal(value_=0.0))):
            return inner
    return condition


def cast(x: Any, dtype: str | DType) -> Expr:
    """x in another type: "f32", "f64", "f16", "bf16", "i8" ... "i64", "u8", "bool"."""
    return CastTo(lift(x), as_dtype(dtype))


class ElementwiseFunction:
    """A function of the user's that is one node: what `@ph.elementwise` makes."""

    def __init__(
        self, function: Callable[..., Any], derivative: Callable[..., Any] | None = None
    ) -> None:
        self.function = function
        self.derivative = derivative
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.parameters = parameter_names(function)

    def __call__(self, *args: Any) -> Any:
        if len(args) != len(self.parameters):
            raise ExpressionError(
                f"{self.__name__} takes {len(self.parameters)} arguments "
                f"({', '.join(self.parameters)}), not {len(args)}"
            )
        return call(self, *args)

    def __repr__(self) -> str:
        return self.__name__

    def body(self) -> Expr:
        """The function's value, over Argument nodes."""
        return lift(self.function(*(Argument(p) for p in self.parameters)))

    def partials(self) -> tuple[Expr, ...] | None:
        """The user's own derivatives, one a parameter, over the parameters and `result`."""
        if self.derivative is None:
            return None
        made = self.derivative(Argument("result"), *(Argument(p) for p in self.parameters))
        partials = made if isinstance(made, tuple) else (made,)
        if len(partials) != len(self.parameters):
            raise ExpressionError(
                f"the derivative of {self.__name__} gives {len(partials)} partials, "
                f"but {self.__name__} has {len(self.parameters)} arguments"
            )
        return tuple(lift(p) for p in partials)


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's positional parameters; UsageError for *args and keywords."""
    parameters = inspect.signature(function).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or not builtins.all(p.kind in plain for p in parameters):
        raise UsageError(
            f"@ph.elementwise wants a function of plain arguments, as in f(x): {function}"
        )
    return tuple(p.name for p in parameters)


@overload
def elementwise(function: Callable[..., Any], /) -> ElementwiseFunction: ...
@overload
def elementwise(
    *, d: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], ElementwiseFunction]: ...
def elementwise(
    function: Callable[..., Any] | None = None, /, *, d: Callable[..., Any] | None = None
) -> Any:
    """Make a Python function of numbers one node, with its own scope and maybe its own derivative.

    `d=lambda y, x: ...` gives the derivative from the result y and the argument x (for several
    arguments, a tuple of partials); without it the derivative comes from the body.
    """
    if function is not None:
        return ElementwiseFunction(function)
    return lambda f: ElementwiseFunction(f, d)
