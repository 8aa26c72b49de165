"""Gives a program another float type: its twin in float64, for finite differences."""

from dataclasses import replace

from phistar.ir.dtypes import AnyType, DType
from phistar.ir.program import (
    Apply,
    Argument,
    Assign,
    Cast,
    Const,
    Expr,
    IndexValue,
    Load,
    Own,
    Program,
    Random,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import rewrite


def retype(program: Program, dtype: DType) -> Program:
    """The program with every float tensor and every float expression of type dtype."""
    return replace(
        program,
        statements=tuple(retyped_statement(s, dtype) for s in program.statements),
        inputs=tuple(retyped_tensor(t, dtype) for t in program.inputs),
        outputs=tuple(retyped_tensor(t, dtype) for t in program.outputs),
    )


def retyped_statement(s: Statement, dtype: DType) -> Statement:
    if isinstance(s, Scan):
        return replace(s, body=tuple(retyped_statement(inner, dtype) for inner in s.body))
    return retyped_assign(s, dtype)


def retyped_assign(a: Assign, dtype: DType) -> Assign:
    target = retyped(a.target, dtype)
    assert isinstance(target, Load)
    condition = None if a.condition is None else retyped(a.condition, dtype)
    return replace(a, target=target, value=retyped(a.value, dtype), condition=condition)


def retyped_tensor(tensor: Tensor, dtype: DType) -> Tensor:
    return replace(tensor, dtype=dtype) if tensor.dtype.is_float else tensor


def retyped(e: Expr, dtype: DType) -> Expr:
    """e with its floats of type dtype; casts between floats vanish."""

    def change(node: Expr) -> Expr:
        match node:
            case Load():
                return Load(retyped_tensor(node.tensor, dtype), node.subscripts)
            case Cast(argument) if is_float(node.dtype):
                return argument if is_float(argument.dtype) else replace(node, dtype=dtype)
            case Apply(Own() as own) if is_float(node.dtype):
                return replace(node, function=retyped_own(own, dtype), dtype=dtype)
            case Const() | IndexValue() | Random() | Argument() | Apply() | Reduce():
                return replace(node, dtype=dtype) if is_float(node.dtype) else node
        return node

    return rewrite(e, change)


def retyped_own(own: Own, dtype: DType) -> Own:
    partials = own.partials
    if partials is not None:
        partials = tuple(retyped(p, dtype) for p in partials)
    return replace(own, body=retyped(own.body, dtype), partials=partials)


def is_float(dtype: AnyType) -> bool:
    return isinstance(dtype, DType) and dtype.is_float
