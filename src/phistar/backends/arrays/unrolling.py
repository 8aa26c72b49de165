"""A store that slides windows, as one statement for each place in the window.

`x.grad[b, p + r, c] += Σ_k K[k, r, c] * g[b, p, k]` is, for each r, a matrix product that is added
to a slice: no array over p and r together is ever made.
"""

from itertools import product

from phistar.backends.arrays.labelled import Axes, extent
from phistar.backends.arrays.slices import LONG, Place, unrolled_indices
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Assign, Index
from phistar.ir.walk import (
    all_indices,
    free_indices,
    map_assign,
    reads,
    substitute,
)


def unrolled(a: Assign, found: list[Place] | None, scans: Axes) -> tuple[Assign, ...]:
    """One assignment for each setting of the indices that slide, or just a if that does not pay:
    the slices must be long, and nothing may be computed twice."""
    if found is None or a.op in (Op.SET, Op.ARGMAX, Op.ARGMIN):
        return (a,)
    slide = unrolled_indices(found)
    rest = [i for i in all_indices(a) if i not in slide and i not in scans and i not in a.over]
    used = set(free_indices(a.value))
    if a.condition is not None:
        used |= set(free_indices(a.condition))
    if not slide or not used.issuperset(slide) or extent(rest) < LONG:
        return (a,)
    if a.target.tensor in {load.tensor for load in reads(a)}:
        return (a,)
    return tuple(
        at(a, dict(zip(slide, numbers, strict=True)))
        for numbers in product(*(range(index.size) for index in slide))
    )


def at(a: Assign, setting: dict[Index, int]) -> Assign:
    """a at one setting of some of its indices."""
    numbers = {index: Affine((), n) for index, n in setting.items()}
    return map_assign(a, lambda e: substitute(e, numbers))
