"""Quotients by a root that many numbers share become products with its reciprocal.

    n[b, c] = (x[b, c] - m[c]) / sqrt(v[c] + 1e-05)

    rsqrt[c] = 1 / sqrt(v[c] + 1e-05);   n[b, c] = (x[b, c] - m[c]) * rsqrt[c]

A division takes as long as a dozen products. The reciprocal of any other number could overflow, or
lose digits, where the quotient does not; that of a root is far from both: the root of the smallest
float is 4e-23, of the largest 2e19.
"""

from __future__ import annotations

import math
from dataclasses import replace

from phistar.ir.build import settled
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Const,
    Expr,
    Load,
    Program,
    Random,
    Statement,
    Tensor,
)
from phistar.ir.walk import all_indices, free_indices, nodes, rewrite
from phistar.transform.names import Names, names_of

USES = 8  # of the reciprocal, at least


def name_roots(program: Program) -> Program:
    """The program with such reciprocals named, outside scans; equal ones are joined by `reuse`."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in program.statements:
        statements += named(s, names) if isinstance(s, Assign) else [s]
    return replace(program, statements=tuple(statements))


def named(a: Assign, names: Names) -> list[Assign]:
    """The reciprocals that an assignment multiplies by instead, and the assignment."""
    defined: dict[Expr, Assign] = {}

    def change(e: Expr) -> Expr:
        if not isinstance(e, Apply) or e.function is not P.DIV:
            return e
        root = settled(e.args[1])
        if not shared(root, a) or e.dtype is not root.dtype:
            return e
        if root not in defined:
            defined[root] = reciprocal(root, a, names)
        return Apply(P.MUL, (e.args[0], defined[root].target), e.dtype)

    value = rewrite(a.value, change)
    return [*defined.values(), replace(a, value=value)]


def shared(root: Expr, a: Assign) -> bool:
    """It is a root, and the same for many settings of the assignment's indices."""
    if not isinstance(root, Apply) or root.function is not P.SQRT:
        return False
    if root.dtype not in (DType.F32, DType.F64) or any(isinstance(e, Random) for e in nodes(root)):
        return False
    own = set(free_indices(root))
    uses = math.prod(i.size for i in all_indices(a) if i not in own)
    return uses >= USES and all(i.size for i in own) and a.target.tensor not in tensors(root)


def tensors(e: Expr) -> set[Tensor]:
    return {n.tensor for n in nodes(e) if isinstance(n, Load)}


def reciprocal(root: Expr, a: Assign, names: Names) -> Assign:
    """rsqrt[...] = 1 / root."""
    own, dtype = free_indices(root), root.dtype
    assert isinstance(dtype, DType)
    name = names.fresh(f"{a.target.tensor.name}.rsqrt")
    at = tuple(Affine(((i, 1),)) for i in own)
    target = Load(Tensor(name, tuple(i.size for i in own), dtype), at)
    return Assign(target, Op.SET, Apply(P.DIV, (Const(1.0, dtype), root), dtype))
