"""A tensor that is made to be padded is written where its copy would be.

    h[b, n] = relu(a[b, n]);   h.padded[b, n] = h[b, pad(n, 1)]

    h.padded[b, n] = 0;   h.padded[b, n + 1] = relu(a[b, n])

What else reads it, reads the copy.
"""

from __future__ import annotations

from dataclasses import replace

from phistar.backends.c.padding import shifted
from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Assign,
    Const,
    Expr,
    Kind,
    Load,
    Pad,
    Program,
    Statement,
    Tensor,
    assignments,
)
from phistar.ir.walk import map_assign, map_statements, reads, rewrite


def at_once(program: Program) -> Program:
    """The program with tensors that are only made to be padded written where their copies are."""
    statements = list(program.statements)
    for copy in program.statements:
        if isinstance(copy, Assign) and (made := moved(copy, statements, program)) is not None:
            statements = made
    return replace(program, statements=tuple(statements))


def moved(copy: Assign, statements: list[Statement], program: Program) -> list[Statement] | None:
    """The statements without the copy; None where it must stay."""
    if not pads(copy) or not isinstance(copy.value, Load) or copy not in statements:
        return None
    t, whole = copy.value.tensor, copy.target.tensor
    low = [s.low if isinstance(s, Pad) else 0 for s in copy.value.subscripts]
    values = {s.value for s in copy.value.subscripts if isinstance(s, Pad)}
    if t.kind is not Kind.VALUE or t.halo or t in program.outputs or len(values) != 1:
        return None
    if whole.kind is not Kind.VALUE or whole.halo or whole.dtype is not t.dtype:
        return None
    if not all(n + at <= m for n, at, m in zip(t.shape, low, whole.shape, strict=True)):
        return None
    before = statements[: statements.index(copy)]
    after = statements[len(before) + 1 :]
    if any(whole in touched(s) for s in before) or any(whole in written(s) for s in after):
        return None
    writers = [s for s in statements if t in written(s)]
    if len(writers) != 1 or not isinstance(writers[0], Assign) or not once(writers[0]):
        return None
    if t in {load.tensor for load in reads(writers[0])}:
        return None
    if any(t in touched(s) for s in statements[: statements.index(writers[0])]):
        return None
    touching = [load for a in assignments(tuple(statements)) if a != copy for load in reads(a)]
    if any(load.tensor == t and not plain(load) for load in touching):
        return None

    def change(e: Expr) -> Expr:
        if not isinstance(e, Load) or e.tensor != t:
            return e
        return Load(whole, tuple(shifted(s, n) for s, n in zip(e.subscripts, low, strict=True)))  # type: ignore[arg-type]

    rest = [s for s in statements if s != copy]
    place = rest.index(writers[0])
    border = replace(copy, value=Const(values.pop(), whole.dtype))
    new = map_statements(rest, lambda a: [map_assign(a, lambda e: rewrite(e, change))])
    return [*new[:place], border, *new[place:]]


def pads(copy: Assign) -> bool:
    """It sets every element of its target to one of the tensor inside, or to what pads that."""
    if not isinstance(copy.value, Load) or not once(copy):
        return False
    if len(copy.value.subscripts) != len(copy.target.subscripts):
        return False
    pairs = zip(copy.value.subscripts, copy.target.subscripts, strict=True)
    inner = [(s.position if isinstance(s, Pad) else s, to) for s, to in pairs]
    return all(isinstance(s, Affine) and s == to for s, to in inner)


def touched(s: Statement) -> set[Tensor]:
    return {load.tensor for a in assignments((s,)) for load in (a.target, *reads(a))}


def written(s: Statement) -> set[Tensor]:
    return {a.target.tensor for a in assignments((s,))}


def once(a: Assign) -> bool:
    """It writes every element of its target, and each once."""
    at = [s.bare if isinstance(s, Affine) else None for s in a.target.subscripts]
    sizes = [i is not None and i.size == n for i, n in zip(at, a.target.tensor.shape, strict=True)]
    return a.op is Op.SET and not a.over and a.condition is None and all(sizes)


def plain(load: Load) -> bool:
    return all(isinstance(s, Affine) for s in load.subscripts)
