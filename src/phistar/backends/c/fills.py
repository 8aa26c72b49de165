"""Loops that set a stretch of memory to one number: they become one loop, which compilers know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.backends.c.nests import Local
from phistar.backends.c.tree import Leaf, Loop, Var
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Const, Tensor


@dataclass
class Stretch:
    """The loops, outermost first, the assignment inside them, and how many elements it sets."""

    loops: list[Loop]
    leaf: Leaf
    length: int


def stretch(loop: Loop, shared: Var | None, locals_: Mapping[Tensor, Local]) -> Stretch | None:
    """What the loop is, if it sets neighbouring elements, one after another, to a constant; each
    thread all of them: `shared` is not among its variables.
    """
    loops = [loop]
    while len(loops[-1].body) == 1 and isinstance(inner := loops[-1].body[0], Loop):
        loops.append(inner)
    leaf = loops[-1].body[0] if len(loops[-1].body) == 1 else None
    if len(loops) < 2 or not isinstance(leaf, Leaf):
        return None
    if any(each.scan or each.var is shared for each in loops):
        return None
    a, t = leaf.assign, leaf.target
    if a.op is not Op.SET or a.over or a.condition is not None or not isinstance(a.value, Const):
        return None
    if t.halo or a.value.dtype is not t.dtype:
        return None
    left, length = list(loops), 1
    for axis in reversed(range(len(t.shape)) if t not in locals_ else locals_[t].axes):
        s = a.target.subscripts[axis]
        index = s.bare if isinstance(s, Affine) else None
        if not left or index is None or leaf.bind[index] is not left[-1].var:
            break
        if left.pop().var.size != t.shape[axis]:
            return None
        length *= t.shape[axis]
    return None if left or not length else Stretch(loops, leaf, length)
