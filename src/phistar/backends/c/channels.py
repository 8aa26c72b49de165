"""Pictures of many channels: the channels come last in memory.

    y[b, l, p, q] += Σ_(k, i, j) K[l, k, i, j] * x[b, k, p + i, q + j]

    K.turned[i, j, k, l] = K[l, k, i, j]
    y[b, p, q, l] += Σ_(k, i, j) K.turned[i, j, k, l] * x[b, p + i, q + j, k]

The filters l then lie side by side in the picture that a convolution writes and in its kernel, and
what it sums over lies side by side in the picture that it reads: see `pictures`. So do its two
gradients. Only what lives inside the program is arranged so: whatever else touches those tensors,
element by element, follows; inputs and outputs stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from phistar.backends.c.products import pure
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Statement,
    Tensor,
    assignments,
)
from phistar.ir.walk import (
    affine_indices,
    free_indices,
    map_assign,
    map_statements,
    reads,
    rewrite,
)
from phistar.transform.names import Names, names_of

LANES = 16  # channels come in multiples of these
COLOURS = 4  # channels of what a first layer reads, at most
RANK = 3  # axes of a picture, at least


@dataclass(frozen=True)
class Convolution:
    """A sum of products of a kernel and a picture, or one of its gradients: which load is what.

    large[b, k, p + i, q + j], kernel[l, k, i, j] and small[b, l, p, q]: one of them is the target.
    """

    assign: Assign
    large: Load
    small: Load
    kernel: Load
    read: Index  # k
    written: Index  # l

    @property
    def whole(self) -> bool:
        """The filters fill vectors."""
        return self.written.size % LANES == 0

    def kernel_order(self) -> tuple[Index, ...]:
        """The kernel's indices, in the order in which the product runs through them."""
        channels = (self.read, self.written)
        if self.assign.target == self.large:
            channels = (self.written, self.read)
        return (*(i for i in free_indices(self.kernel) if i not in channels), *channels)


def channels_last(program: Program) -> tuple[Program, frozenset[Tensor]]:
    """The program with such pictures, and the tensors whose channels it arranged last."""
    found = [
        made
        for s in program.statements
        if isinstance(s, Assign) and (made := convolution(s)) is not None and made.whole
    ]
    axes = picture_axes(program, found)
    if not axes:
        return program, frozenset()
    names = names_of(program)
    known = {id(c.assign): c for c in found}
    statements: list[Statement] = []
    for s in program.statements:
        statements += turned(known[id(s)], axes, names) if id(s) in known else [s]
    moved = {t: arranged(t, axis) for t, axis in axes.items()}
    last = replace(program, statements=moved_statements(statements, axes, moved))
    return last, frozenset(moved.values())


# What is a convolution ----------------------------------------------------------------------------


def convolution(a: Assign) -> Convolution | None:
    """The assignment as a convolution with one axis of channels on either side, if it is one."""
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)):
            pass
        case _:
            return None
    three = (a.target, one, two)
    if a.op is not Op.ADD or a.condition is not None or not a.over:
        return None
    if any(not pure(e) or e.dtype not in (DType.F32, DType.F64) for e in three):
        return None
    sliding = [e for e in three if slides(e)]
    if len(sliding) != 1:
        return None
    large = sliding[0]
    rest = [e for e in three if e is not large]
    moving = slides(large)
    small, kernel = sorted(rest, key=lambda e: -places(moving & set(free_indices(e))))
    inside, outside, weights = (set(free_indices(e)) for e in (large, small, kernel))
    if places(moving & outside) <= places(moving & weights) or inside & outside & weights:
        return None
    for s in large.subscripts:
        along = set(affine_indices(s)) & moving if isinstance(s, Affine) else set()
        if len(along & outside) > 1 or len(along & weights) > 1 or along - outside - weights:
            return None  # several axes as one
    read, written = (inside & weights) - moving, (outside & weights) - moving
    if len(read) != 1 or len(written) != 1 or len(kernel.subscripts) != len(weights):
        return None
    return Convolution(a, large, small, kernel, *read, *written)


def slides(load: Load) -> set[Index]:
    """The indices that stand together with others on an axis, or with a stride."""
    return {
        i
        for s in load.subscripts
        if isinstance(s, Affine) and (len(s.terms) > 1 or any(n != 1 for _, n in s.terms))
        for i in affine_indices(s)
    }


def places(indices: Iterable[Index]) -> int:
    total = 1
    for i in indices:
        total *= i.size
    return total


# Which tensors --------------------------------------------------------------------------------


def picture_axes(program: Program, found: list[Convolution]) -> dict[Tensor, int]:
    """The tensors whose channels come last, and the axes of those channels."""
    axes: dict[Tensor, int] = {}
    for c in found:
        add(c.small, c.written, program, axes)
        if c.read.size % LANES == 0 or (c.read.size <= COLOURS and c.assign.target != c.large):
            add(c.large, c.read, program, axes)
    convolutions = {id(c.assign) for c in found}
    others = [a for a in assignments(program.statements) if id(a) not in convolutions]
    before = -1
    while before < len(axes):
        before = len(axes)
        for a in others:
            follow(a, program, axes)
    return axes


def follow(a: Assign, program: Program, axes: dict[Tensor, int]) -> None:
    """What an assignment touches beside a picture is arranged as the picture is."""
    if convolution(a) is not None:
        return
    touched = list(loads_of(a))
    for load in touched:
        if load.tensor not in axes:
            continue
        s = load.subscripts[axes[load.tensor]]
        channel = s.bare if isinstance(s, Affine) else None
        if channel is not None:
            for other in touched:
                add(other, channel, program, axes)


def add(load: Load, channel: Index, program: Program, axes: dict[Tensor, int]) -> None:
    t = load.tensor
    if t in axes or t.kind is not Kind.VALUE or t.halo or t in program.outputs:
        return
    at = [n for n, s in enumerate(load.subscripts) if isinstance(s, Affine) and s.bare == channel]
    if len(at) == 1 and len(t.shape) >= RANK and t.shape[at[0]] == channel.size:
        axes[t] = at[0]


def loads_of(a: Assign) -> list[Load]:
    return [a.target, *reads(a)]


# The program, arranged ----------------------------------------------------------------------------


def turned(c: Convolution, axes: dict[Tensor, int], names: Names) -> list[Assign]:
    """The convolution, its kernel turned: before it, or after it if that is what it computes."""
    a, order = c.assign, c.kernel_order()
    if (c.large if a.target == c.large else c.small).tensor not in axes:
        return [a]
    if c.kernel.subscripts == tuple(Affine(((i, 1),)) for i in order):
        return [a]
    shape = tuple(i.size for i in order)
    name = names.fresh(f"{c.kernel.tensor.name}.turned")
    kernel = Load(
        Tensor(name, shape, c.kernel.tensor.dtype), tuple(Affine(((i, 1),)) for i in order)
    )
    if a.target == c.kernel:
        return [replace(a, target=kernel), replace(a, value=kernel, over=())]
    value = rewrite(a.value, lambda e: kernel if e == c.kernel else e)
    return [replace(a, target=kernel, op=Op.SET, value=c.kernel, over=()), replace(a, value=value)]


def arranged(t: Tensor, axis: int) -> Tensor:
    return replace(t, shape=(*t.shape[:axis], *t.shape[axis + 1 :], t.shape[axis]))


def moved_statements(
    statements: list[Statement], axes: dict[Tensor, int], moved: dict[Tensor, Tensor]
) -> tuple[Statement, ...]:
    """Every access of these tensors, subscripted in the new order."""

    def change(e: Expr) -> Expr:
        if isinstance(e, Load) and e.tensor in moved:
            n, s = axes[e.tensor], e.subscripts
            return Load(moved[e.tensor], (*s[:n], *s[n + 1 :], s[n]))
        return e

    return map_statements(
        tuple(statements), lambda a: [map_assign(a, lambda e: rewrite(e, change))]
    )
