"""Places that argmax finds, kept as numbers of 32 bits: as many to a vector as of what it looks at.

    m.arg[b, p] = argmax[u](a[b, 2*p + u])                  m.arg is an array of int32_t
    a.grad[b, 2*p + u] += where(u = m.arg[b, p], m.grad[b, p], 0)

Only those that stay inside the program, as between the forward and the backward of a max-pool.
"""

from __future__ import annotations

import math
from dataclasses import replace

from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Typing
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Apply,
    Assign,
    Cast,
    Const,
    Expr,
    IndexValue,
    Kind,
    Load,
    Program,
    Tensor,
    assignments,
)
from phistar.ir.walk import map_assign, map_statements, rewrite

MOST = 2**31 - 1


def narrow_places(program: Program) -> Program:
    """The program with the places of argmax and argmin in 32 bits, where they stay inside."""
    narrow = narrowed(program)
    if not narrow:
        return program

    def change(e: Expr) -> Expr:
        if isinstance(e, Load) and e.tensor in narrow:
            return Cast(Load(narrow[e.tensor], e.subscripts), DType.I64)
        if isinstance(e, Apply) and compares(e):
            args = [in_32_bits(x) for x in e.args]
            if all(x is not None for x in args):
                return replace(e, args=tuple(args))  # type: ignore[arg-type]
        return e

    def changed(a: Assign) -> list[Assign]:
        t = narrow.get(a.target.tensor)
        target = a.target if t is None else Load(t, a.target.subscripts)
        a = map_assign(replace(a, target=target), lambda e: rewrite(e, change))
        return [a]

    return replace(program, statements=map_statements(program.statements, changed))


def narrowed(program: Program) -> dict[Tensor, Tensor]:
    """Tensors that hold such places alone, and what they become."""
    writers: dict[Tensor, list[Assign]] = {}
    for a in assignments(program.statements):
        writers.setdefault(a.target.tensor, []).append(a)
    return {
        t: replace(t, dtype=DType.I32)
        for t, writing in writers.items()
        if t.kind is Kind.VALUE
        and t.dtype is DType.I64
        and t not in program.outputs
        and all(finds_places(a) for a in writing)
    }


def compares(e: Apply) -> bool:
    return isinstance(e.function, P) and e.function.typing is Typing.COMPARE


def finds_places(a: Assign) -> bool:
    return a.op in (Op.ARGMAX, Op.ARGMIN) and math.prod(i.size for i in a.over) <= MOST


def in_32_bits(e: Expr) -> Expr | None:
    """The same number in 32 bits: such a place, or a sum of products of indices and constants."""
    if isinstance(e, Cast) and isinstance(e.argument, Load) and e.argument.dtype is DType.I32:
        return e.argument
    low, high = bounds(e)
    if low >= -MOST and high <= MOST:
        return rewrite(e, with_32_bits)
    return None


def with_32_bits(e: Expr) -> Expr:
    assert isinstance(e, IndexValue | Const | Apply)
    return replace(e, dtype=DType.I32)


def bounds(e: Expr) -> tuple[float, float]:
    """The least and the largest that it may be, and that is computed for it."""
    match e:
        case IndexValue():
            return 0, e.index.size - 1
        case Const(value=int() as value) if not isinstance(value, bool):
            return value, value
        case Apply(function=P.ADD | P.MUL as function, args=(one, two)):
            (a, b), (c, d) = bounds(one), bounds(two)
            if math.inf in (b, d):
                return -math.inf, math.inf
            ends = [a + c, b + d] if function is P.ADD else [a * c, a * d, b * c, b * d]
            return min(ends), max(ends)
    return -math.inf, math.inf
