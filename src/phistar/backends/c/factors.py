"""Factors that are computed get a name, so that their product is one of two tensors.

    T[b, t, d] += Σ_u p[b, t, u] / c * k[b, u, d]

    T.left[b, t, u] = p[b, t, u] / c;      T[b, t, d] += Σ_u T.left[b, t, u] * k[b, u, d]

Each number of the factor is computed once, not once for every d, and a product of matrices is
several times as fast as a loop. That is done where the product is large against the factor.
"""

from __future__ import annotations

import math
from dataclasses import replace

from phistar.backends.c.nests import stride
from phistar.backends.c.products import best_product, pure
from phistar.backends.c.tree import Leaf, Var
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Expr,
    Index,
    Load,
    Program,
    Statement,
    Tensor,
)
from phistar.ir.walk import all_indices, free_indices, loads, nodes
from phistar.transform.names import Names, names_of

USES = 8  # how often each number of a factor is multiplied, at least


def name_factors(program: Program) -> Program:
    """The program with the computed factors of large products named, outside scans."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in program.statements:
        statements += named(s, names) if isinstance(s, Assign) else [s]
    return replace(program, statements=tuple(statements))


def named(a: Assign, names: Names) -> list[Assign]:
    """The assignment, preceded by the definitions of its factors."""
    match a.value:
        case Apply(function=P.MUL, args=(left, right)) if candidate(a):
            pass
        case _:
            return [a]
    defined, factors = list[Assign](), list[Expr]()
    for side, factor in (("left", left), ("right", right)):
        if isinstance(factor, Load) and pure(factor):
            factors.append(factor)
            continue
        made = definition(a, factor, names.fresh(f"{a.target.tensor.name}.{side}"))
        if made is None:
            return [a]
        defined.append(made)
        factors.append(made.target)
    product = replace(a, value=Apply(P.MUL, tuple(factors), a.value.dtype))
    worth = defined and best_product(alone(product)) is not None
    return [*defined, product] if worth else [a]


def candidate(a: Assign) -> bool:
    """A sum of products of numbers that a product of matrices may hold."""
    return (
        a.op is Op.ADD
        and bool(a.over)
        and a.condition is None
        and a.target.tensor.dtype in (DType.F32, DType.F64)
    )


def definition(a: Assign, factor: Expr, name: str) -> Assign | None:
    """name[...] = factor; None where that would not pay, or would read what is being written."""
    indices = in_memory_order(factor)
    sizes = math.prod(i.size for i in all_indices(a))
    kept = math.prod(i.size for i in indices)
    reads = {load.tensor for e in nodes(factor) for load in loads(e)}
    if not indices or sizes < USES * kept or a.target.tensor in reads:
        return None
    if factor.dtype is not a.target.tensor.dtype:
        return None
    tensor = Tensor(name, tuple(i.size for i in indices), factor.dtype)
    at = tuple(Affine(((i, 1),)) for i in indices)
    return replace(a, target=Load(tensor, at), op=Op.SET, value=factor, over=(), condition=None)


def in_memory_order(factor: Expr) -> list[Index]:
    """The factor's indices, as the tensor with most of them has them."""
    indices = list(free_indices(factor))
    inside = [e for e in nodes(factor) if isinstance(e, Load)]
    if not inside:
        return indices
    widest = max(inside, key=lambda load: len(free_indices(load)))

    def steps(index: Index) -> int:
        found = stride(widest, index)
        return 0 if found is None else found

    far = [i for i in indices if stride(widest, i) is None]
    return far + sorted((i for i in indices if i not in far), key=lambda i: -steps(i))


def alone(a: Assign) -> Leaf:
    return Leaf(a, {i: Var(i.name, i.size) for i in all_indices(a)})
