"""Gradients of pictures, gathered: what convolutions with stride 1 scatter is a convolution too.

    x.grad[b, k, pad(p + i, 1)] += Σ_l K[l, k, i] * y.grad[b, l, p]

    K.flipped[i, l, k] = K[l, k, 2 - i]
    x.grad[b, k, n] += Σ_(i, l) K.flipped[i, l, k] * y.grad[b, l, pad(n + i, 1)]

Each element is then summed where it stays, instead of added to again and again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from phistar.backends.c.channels import CHANNELS, POSITIONS
from phistar.backends.c.names import numbered
from phistar.backends.c.products import bare
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Index,
    Load,
    Pad,
    Program,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import all_indices, free_indices
from phistar.transform.names import Names, names_of

MORE = 1.3  # times the positions of the result, where they were: what is added to zeros is lost


@dataclass(frozen=True)
class Slide:
    """An axis of the gradient that is added to at p + step * i - low."""

    axis: int
    p: Index
    i: Index
    step: int
    low: int


def gather(program: Program) -> Program:
    """The program with such gradients gathered, where there are many channels."""
    names = names_of(program)
    statements: list[Statement] = []
    for s in program.statements:
        statements += gathered(s, names) if isinstance(s, Assign) else [s]
    return replace(program, statements=tuple(statements))


def gathered(a: Assign, names: Names) -> list[Assign]:
    """The flipped kernel and the convolution with it, or the assignment itself."""
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)):
            pass
        case _:
            return [a]
    if a.op is not Op.ADD or a.condition is not None or len(a.over) != 1 or bare(a.target):
        return [a]
    if not (bare(one) and bare(two)) or a.target.tensor.halo:
        return [a]
    for kernel, small in ((one, two), (two, one)):
        slides = list(slides_of(a.target, kernel, small))
        if None not in slides:
            made = convolved(a, kernel, small, [s for s in slides if s is not None], names)
            if made is not None:
                return made
    return [a]


def slides_of(target: Load, kernel: Load, small: Load) -> Iterator[Slide | None]:
    """Each axis that is not subscripted by one index; None for one of another form."""
    for axis, s in enumerate(target.subscripts):
        if isinstance(s, Affine) and s.bare is not None:
            continue
        position = s.position if isinstance(s, Pad) else s
        if not isinstance(position, Affine) or position.offset:
            yield None
            return
        low = s.low if isinstance(s, Pad) else 0
        terms = dict(position.terms)
        inside = [i for i in free_indices(small) if terms.get(i) == 1]
        weights = [i for i in free_indices(kernel) if terms.get(i, 0) > 0]
        if len(terms) != 2 or len(inside) != 1 or len(weights) != 1 or inside == weights:
            yield None
            return
        yield Slide(axis, inside[0], weights[0], terms[weights[0]], low)


def convolved(
    a: Assign, kernel: Load, small: Load, slides: list[Slide], names: Names
) -> list[Assign] | None:
    """The kernel's flipped copy, and the sum over it; None where there are not many channels."""
    (summed,) = a.over
    steps = [s.i for s in slides]
    weights = free_indices(kernel)
    channels = [i for i in weights if i is not summed and i not in steps]
    if len(channels) != 1 or channels[0].size < CHANNELS or channels[0] in free_indices(small):
        return None
    if set(weights) != {*channels, summed, *steps} or len(set(steps)) != len(slides):
        return None
    t = a.target.tensor
    if any(s.p.size <= s.i.size or s.i.size == 1 for s in slides):
        return None
    before = math.prod(s.p.size for s in slides)
    if before < POSITIONS or math.prod(t.shape[s.axis] for s in slides) > MORE * before:
        return None
    to, at = list(a.target.subscripts), dict[Index, Subscript]()
    taken = {i.name for i in all_indices(a)}
    new = (name for name in numbered("u") if name not in taken)
    for s, n in zip(slides, new, strict=False):
        index = Index(n, t.shape[s.axis])
        to[s.axis] = Affine(((index, 1),))
        at[s.p] = reached(s, index)
    order = (*steps, summed, *channels)
    name = names.fresh(f"{kernel.tensor.name}.flipped")
    tensor = Tensor(name, tuple(i.size for i in order), kernel.dtype)
    flipped = Load(tensor, tuple(Affine(((i, 1),)) for i in order))
    source = placed(kernel, {i: Affine(((i, -1),), i.size - 1) for i in steps})
    value = Apply(P.MUL, (flipped, placed(small, at)), a.value.dtype)
    return [
        replace(a, target=flipped, op=Op.SET, value=source, over=()),
        replace(a, target=Load(t, tuple(to)), value=value, over=(*steps, summed)),
    ]


def reached(s: Slide, n: Index) -> Subscript:
    """Which p adds to position n, with the kernel flipped."""
    reach = s.step * (s.i.size - 1)
    low = max(0, reach - s.low)
    high = max(0, n.size - 1 + s.low - (s.p.size - 1))
    position = Affine(((n, 1), (s.i, s.step)), s.low + low - reach)
    return Pad(position, low, high) if low or high else position


def placed(load: Load, at: Mapping[Index, Subscript]) -> Load:
    """The load with other subscripts for some of its indices."""
    bare_at = [s.bare if isinstance(s, Affine) else None for s in load.subscripts]
    new = (at.get(i, s) if i else s for i, s in zip(bare_at, load.subscripts, strict=True))
    return Load(load.tensor, tuple(new))
