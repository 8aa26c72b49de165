"""Products of padded tensors use a copy that has the padding: no element is tested.

    y[b, k, p] += Σ_(c, i) K[k, c, i] * x[b, c, pad(p + i, 1)]

    x.padded[b, c, n] = x[b, c, pad(n, 1)]
    y[b, k, p] += Σ_(c, i) K[k, c, i] * x.padded[b, c, p + i]

and for what is added to padded places, whose extra elements are dropped:

    x.grad.padded[b, c, p + i] += Σ_k K[k, c, i] * y.grad[b, k, p]
    x.grad[b, c, n] += x.grad.padded[b, c, n + 1]
"""

from __future__ import annotations

from dataclasses import replace

from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Expr,
    Index,
    Load,
    Pad,
    Program,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import affine_bounds, map_assign, map_statements, rewrite
from phistar.transform.names import Names, names_of


def pad_products(program: Program) -> Program:
    """The program with padded factors and targets of products as tensors of their own."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in map_statements(program.statements, lambda a: [map_assign(a, trimmed)]):
        statements += padded(s, names) if isinstance(s, Assign) else [s]
    return replace(program, statements=tuple(statements))


def trimmed(e: Expr) -> Expr:
    """Padding that no index reaches is none."""

    def change(e: Expr) -> Expr:
        if not isinstance(e, Load):
            return e
        at = tuple(
            shifted(s, -s.low) if isinstance(s, Pad) and never(s, e.tensor, axis) else s
            for axis, s in enumerate(e.subscripts)
        )
        return replace(e, subscripts=at)

    return rewrite(e, change)


def never(s: Pad, t: Tensor, axis: int) -> bool:
    first, last = t.bounds(axis)
    low, high = affine_bounds(s.position)
    return low - s.low >= first and high - s.low <= last


def shifted(s: Affine | Pad, offset: int) -> Affine:
    position = s if isinstance(s, Affine) else s.position
    return replace(position, offset=position.offset + offset)


def padded(a: Assign, names: Names) -> list[Assign]:
    """The assignment, and what comes before and after it."""
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)):
            pass
        case _:
            return [a]
    if a.op is not Op.ADD or not a.over or a.condition is not None:
        return [a]
    before, after, factors = list[Assign](), list[Assign](), list[Expr]()
    for factor in (one, two):
        made = grown(factor, names) if pads(factor) else None
        if made is None:
            factors.append(factor)
        else:
            copy, inside = made
            before.append(replace(a, target=copy.target, op=Op.SET, value=copy.value, over=()))
            factors.append(inside)
    target = a.target
    if pads(target):
        made = grown(target, names)
        if made is None:
            return [a]
        copy, target = made
        after.append(cut(a, copy.target.tensor))
    return [*before, replace(a, target=target, value=replace(a.value, args=tuple(factors))), *after]


def pads(load: Load) -> bool:
    return any(isinstance(s, Pad) for s in load.subscripts)


def grown(load: Load, names: Names) -> tuple[Assign, Load] | None:
    """The copy with its padding, as an assignment; the load, from the copy."""
    t = load.tensor
    indices, source, inside = list[Index](), list[Subscript](), list[Subscript]()
    for axis, s in enumerate(load.subscripts):
        if isinstance(s, Expr) or t.halo:
            return None
        if isinstance(s, Affine):
            index = Index(f"i{axis}", t.shape[axis])
            source.append(Affine(((index, 1),)))
            inside.append(s)
        else:
            low, high = affine_bounds(s.position)
            if low < 0:
                return None
            index = Index(f"i{axis}", high + 1)
            source.append(replace(s, position=Affine(((index, 1),))))
            inside.append(s.position)
        indices.append(index)
    tensor = Tensor(names.fresh(f"{t.name}.padded"), tuple(i.size for i in indices), t.dtype)
    copy = Load(tensor, tuple(Affine(((i, 1),)) for i in indices))
    return Assign(copy, Op.SET, Load(t, tuple(source))), Load(tensor, tuple(inside))


def cut(a: Assign, whole: Tensor) -> Assign:
    """target[n] += target.padded[n + low], for the elements that are there."""
    t = a.target.tensor
    to, at = list[Subscript](), list[Subscript]()
    for axis, s in enumerate(a.target.subscripts):
        low = s.low if isinstance(s, Pad) else 0
        index = Index(f"i{axis}", max(0, min(t.shape[axis], whole.shape[axis] - low)))
        to.append(Affine(((index, 1),)))
        at.append(Affine(((index, 1),), low))
    return replace(a, target=Load(t, tuple(to)), value=Load(whole, tuple(at)), over=())
