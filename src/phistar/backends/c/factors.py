"""Factors that are computed get a name, so that their product is one of two tensors.

    T[b, t, d] += Σ_u p[b, t, u] / c * k[b, u, d]

    T.left[b, t, u] = p[b, t, u] / c;      T[b, t, d] += Σ_u T.left[b, t, u] * k[b, u, d]

Each number of the factor is computed once, not once for every d, and a product of matrices is
several times as fast as a loop. That is done where the product is large against the factor.

A parameter whose columns a recurrence multiplies again and again is turned once, before it:

    with scan(t):  g[b, t, j] += Σ_k U[j, k] * h[b, t - 1, k]

    U.turned[k, j] = U[j, k];   with scan(t):  g[b, t, j] += Σ_k U.turned[k, j] * h[b, t - 1, k]
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
    Scan,
    Statement,
    Tensor,
    assignments,
)
from phistar.ir.walk import all_indices, free_indices, loads, map_statements, nodes, rewrite
from phistar.transform.names import Names, names_of

STEPS = 8  # of a recurrence, at least, for which a parameter is turned
WIDE = 32  # columns, likewise
USES = 8  # how often each number of a factor is multiplied, at least


def name_factors(program: Program) -> Program:
    """The program with the computed factors of large products named, outside scans."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in program.statements:
        statements += named(s, names) if isinstance(s, Assign) else turned(s, names)
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


# Recurrences --------------------------------------------------------------------------------------


def turned(scan: Scan, names: Names) -> list[Statement]:
    """The recurrence, preceded by the definitions of the parameters that are turned for it."""
    written = {a.target.tensor for a in assignments((scan,))}
    defined: dict[Load, Assign] = {}

    def change(a: Assign) -> list[Assign]:
        weights = columns_apart(a, scan, written)
        if weights is None or scan.index.size < STEPS:
            return [a]
        if weights not in defined:
            defined[weights] = turning(a, weights, names.fresh(f"{weights.tensor.name}.turned"))
        target = defined[weights].target
        return [replace(a, value=rewrite(a.value, lambda e: target if e == weights else e))]

    body = map_statements(scan.body, change)
    return [*defined.values(), replace(scan, body=body)]


def columns_apart(a: Assign, scan: Scan, written: set[Tensor]) -> Load | None:
    """The factor that stays as it is while the scan runs, with its sums side by side."""
    bind = {i: Var(i.name, i.size) for i in all_indices(a)}
    product = best_product(Leaf(a, bind, scans=frozenset({scan.index})))
    if product is None or product.kind == "outer":
        return None
    for weights, columns in ((product.a, product.rows), (product.b, product.columns)):
        fixed = weights.tensor not in written and scan.index not in free_indices(weights)
        plain = all(isinstance(s, Affine) and s.bare is not None for s in weights.subscripts)
        if fixed and plain and columns.c == 1 and columns.size >= WIDE:
            return weights
    return None


def turning(a: Assign, weights: Load, name: str) -> Assign:
    """name[sums, columns] = weights[columns, sums]."""
    own = free_indices(weights)
    order = [i for i in own if i in a.over]
    order += sorted((i for i in own if i not in a.over), key=lambda i: -(stride(a.target, i) or 0))
    tensor = Tensor(name, tuple(i.size for i in order), weights.tensor.dtype)
    at = tuple(Affine(((i, 1),)) for i in order)
    return replace(a, target=Load(tensor, at), op=Op.SET, value=weights, over=(), condition=None)
