"""Typed constructors: the one place where types meet.

`apply(function, x, y)` finds the common type of its arguments, gives it to the weak ones (literals,
index values, random fields), casts integers that meet floats, and refuses what does not mix. The
constructors never simplify.
"""

from dataclasses import replace

import numpy as np

from phistar.errors import DTypeError
from phistar.ir.dtypes import DEFAULT_FLOAT, AnyType, DType, Weak, join
from phistar.ir.primitives import Primitive, Reduction, Typing
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Load,
    Own,
    Random,
    Reduce,
    Subscript,
    Tensor,
)

Number = float | int | bool


def const(value: Number) -> Const:
    """A literal: weak, but for truth values."""
    if isinstance(value, bool):
        return Const(value, DType.BOOL)
    return Const(value, Weak.INT if isinstance(value, int) else Weak.FLOAT)


def lift(x: Expr | Number) -> Expr:
    return x if isinstance(x, Expr) else const(x)


def index_value(index: Index) -> IndexValue:
    return IndexValue(index, Weak.INT)


def load(tensor: Tensor, *subscripts: Index | int | Subscript) -> Load:
    return Load(tensor, tuple(subscript(s) for s in subscripts))


def subscript(s: Index | int | Subscript) -> Subscript:
    match s:
        case Index():
            return Affine(((s, 1),))
        case int():
            return Affine((), s)
    return s


def whole(tensor: Tensor, indices: tuple[Index, ...]) -> Load:
    """tensor[indices]: one bare index for each axis."""
    return Load(tensor, tuple(Affine(((i, 1),)) for i in indices))


def apply(function: Primitive | Own, *args: Expr | Number) -> Apply:
    """function(args), with their types made one; DTypeError if they do not mix."""
    exprs = tuple(lift(a) for a in args)
    if isinstance(function, Own):
        return apply_own(function, exprs)
    match function.typing:
        case Typing.NUMBER:
            common = common_type(exprs)
            return Apply(function, agree(exprs, common), common)
        case Typing.FLOAT:
            common = as_float(common_type(exprs))
            return Apply(function, agree(exprs, common), common)
        case Typing.COMPARE:
            both_bool = all(a.dtype is DType.BOOL for a in exprs)
            common = DType.BOOL if both_bool else strong(common_type(exprs))
            return Apply(function, agree(exprs, common), DType.BOOL)
        case Typing.LOGIC:
            return Apply(function, tuple(truth(a, function) for a in exprs), DType.BOOL)
        case Typing.TEST:
            common = strong(as_float(common_type(exprs)))
            return Apply(function, agree(exprs, common), DType.BOOL)
        case Typing.CHOICE:
            condition, yes, no = exprs
            both_bool = yes.dtype is DType.BOOL and no.dtype is DType.BOOL
            common = DType.BOOL if both_bool else common_type((yes, no))
            branches = agree((yes, no), common)
            return Apply(function, (truth(condition, function), *branches), common)
        case Typing.SAME:
            return Apply(function, exprs, exprs[0].dtype)


def apply_own(function: Own, args: tuple[Expr, ...]) -> Apply:
    """Own functions are typed by their body, whose Arguments carry the types of the arguments."""
    return Apply(function, args, function.body.dtype)


def common_type(exprs: tuple[Expr, ...]) -> AnyType:
    common = exprs[0].dtype
    if common is DType.BOOL:
        common = join(DType.BOOL, DEFAULT_FLOAT)  # raises: no arithmetic on truth values
    for e in exprs[1:]:
        common = join(common, e.dtype)
    return common


def as_float(dtype: AnyType) -> AnyType:
    if isinstance(dtype, Weak):
        return Weak.FLOAT
    return dtype if dtype.is_float else DEFAULT_FLOAT


def strong(dtype: AnyType) -> DType:
    return dtype.default if isinstance(dtype, Weak) else dtype


def truth(e: Expr, function: Primitive) -> Expr:
    if e.dtype is not DType.BOOL:
        what = "number" if isinstance(e.dtype, Weak) else e.dtype.value
        raise DTypeError(
            f"{function.spelling} wants a truth value here, not {what}: "
            "compare it, as in x > 0 or ph.not_equal(x, 0)"
        )
    return e


def agree(exprs: tuple[Expr, ...], dtype: AnyType) -> tuple[Expr, ...]:
    """The expressions with weak ones settled and integers that met floats cast."""
    if isinstance(dtype, Weak):
        return exprs
    return tuple(convert(e, dtype) for e in exprs)


def convert(e: Expr, dtype: DType) -> Expr:
    """e as dtype: weak parts take it, integers are cast to floats; anything else is refused."""
    if isinstance(e.dtype, Weak):
        return settle(e, dtype)
    if e.dtype is dtype:
        return e
    if join(e.dtype, dtype) is dtype:
        return Cast(e, dtype, implicit=True)
    raise DTypeError(
        f"{e.dtype.value} does not become {dtype.value} by itself: "
        f'write ph.cast(..., "{dtype.value}")'
    )


def settle(e: Expr, dtype: DType) -> Expr:
    """A weak expression with the type dtype."""
    if not isinstance(e.dtype, Weak):
        return convert(e, dtype)
    if e.dtype is Weak.FLOAT and not dtype.is_float:
        raise DTypeError(
            f'a float does not become {dtype.value} by itself: write ph.cast(..., "{dtype.value}")'
        )
    match e:
        case Apply(function, args):
            if isinstance(function, Own):
                return retype_own(e, dtype)
            if function.typing is Typing.CHOICE:
                return Apply(function, (args[0], *(settle(a, dtype) for a in args[1:])), dtype)
            return Apply(function, tuple(settle(a, dtype) for a in args), dtype)
        case Reduce():
            return replace(e, body=settle(e.body, dtype), dtype=dtype)
        case Const():
            refuse_outside(e.value, dtype)
            return replace(e, dtype=dtype)
        case IndexValue() | Random() | Argument():
            return replace(e, dtype=dtype)
    raise TypeError(f"not a weak expression: {e!r}")


def refuse_outside(value: Number, dtype: DType) -> None:
    """DTypeError for a whole number that the type does not have."""
    if not dtype.is_integer or isinstance(value, bool):
        return
    limits = np.iinfo(dtype.numpy)
    if not limits.min <= value <= limits.max:
        raise DTypeError(
            f"{value} is none of the numbers of {dtype.value}, {limits.min} to {limits.max}: "
            f'write ph.cast(..., "i64") of what it meets'
        )


def retype_own(e: Apply, dtype: DType) -> Apply:
    """A call of an own function on weak arguments, typed: body and partials take the type too."""
    assert isinstance(e.function, Own)
    own = replace(
        e.function,
        body=settle(e.function.body, dtype),
        partials=None
        if e.function.partials is None
        else tuple(settle(p, dtype) for p in e.function.partials),
    )
    return Apply(own, tuple(settle(a, dtype) for a in e.args), dtype)


def settled(e: Expr) -> Expr:
    """e with the default types (f32, i64) wherever it is still weak."""
    return settle(e, e.dtype.default) if isinstance(e.dtype, Weak) else e


def cast(e: Expr | Number, dtype: DType) -> Expr:
    """e as dtype; weak floats take a float type at once: cast(0.1, "f64") is not f32's 0.1."""
    e = lift(e)
    direct = e.dtype is Weak.FLOAT and dtype.is_float
    return Cast(settle(e, dtype) if direct else settled(e), dtype)


FLOAT_REDUCTIONS = frozenset(
    {Reduction.MEAN, Reduction.LOGSUMEXP, Reduction.SOFTMAX, Reduction.LOG_SOFTMAX}
)
TRUTH_REDUCTIONS = frozenset({Reduction.ANY, Reduction.ALL})
ARG_REDUCTIONS = frozenset({Reduction.ARGMAX, Reduction.ARGMIN})


def reduce(
    reduction: Reduction, indices: tuple[Index, ...], body: Expr, condition: Expr | None = None
) -> Reduce:
    """reduction[indices : condition](body), typed; DTypeError for sums of truth values."""
    if reduction in TRUTH_REDUCTIONS:
        if body.dtype is not DType.BOOL:
            raise DTypeError(f"{reduction.spelling} wants truth values: compare, as in x > 0")
        return Reduce(reduction, indices, body, DType.BOOL, condition)
    if body.dtype is DType.BOOL:
        raise DTypeError(
            f"{reduction.spelling} does not take truth values: "
            'use ph.cast(..., "f32") or ph.where(condition, 1, 0)'
        )
    if reduction in ARG_REDUCTIONS:
        return Reduce(reduction, indices, settled(body), DType.I64, condition)
    dtype = as_float(body.dtype) if reduction in FLOAT_REDUCTIONS else body.dtype
    if isinstance(dtype, DType):
        body = convert(body, dtype)
    return Reduce(reduction, indices, body, dtype, condition)
