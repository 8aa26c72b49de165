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

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import TypeAlias, TypeVar

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
    Subscript,
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

CHANNELS = 8  # that lie side by side, at least: half a vector
POSITIONS = 10  # of a picture, at least
VECTOR = 16  # numbers in a vector
COLOURS = 4  # channels of what a first layer reads, at most
RANK = 3  # axes of a picture, at least

T = TypeVar("T")
Fixed: TypeAlias = Container[tuple[Tensor, int]]  # axes of tensors that stay where they are


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
    def wide(self) -> bool:
        """The filters make good use of vectors, and the picture has places for them."""
        along = set(free_indices(self.small)) & slides(self.large)
        return self.written.size >= CHANNELS and places(along) >= POSITIONS

    @property
    def moves_large(self) -> bool:
        """What it reads has many channels, or so few that any order of them does."""
        few = self.read.size <= COLOURS and self.assign.target != self.large
        return self.read.size >= CHANNELS or few

    def kernel_order(self) -> tuple[Index, ...]:
        """The kernel's indices, in the order in which the product runs through them."""
        l, k = self.written, self.read
        taps = [i for i in free_indices(self.kernel) if i not in (k, l)]
        if self.assign.target != self.large:
            return (*taps, k, l)
        others = [s for s in self.large.subscripts if isinstance(s, Affine) and s.bare != k]
        for j, step in others[-1].terms if others else ():  # (j, k) is one axis, where k is last
            if j in taps and step == 1 and lanes(j.size * k.size) < j.size * lanes(k.size):
                return (*(i for i in taps if i != j), l, j, k)
        return (*taps, l, k)


def channels_last(program: Program) -> tuple[Program, frozenset[Tensor]]:
    """The program with such pictures, and the tensors whose channels it arranged last."""
    found = [
        made
        for s in program.statements
        if isinstance(s, Assign) and (made := convolution(s)) is not None and made.wide
    ]
    axes = picture_axes(program, found)
    if not found:
        return program, frozenset()
    turning = Turning(axes, names_of(program))
    known = {id(c.assign): c for c in found}
    statements = [made for s in program.statements for made in turning.statement(s, known)]
    moved = {t: arranged(t, axis) for t, axis in axes.items()}
    program = replace(program, statements=moved_statements(statements, axes, moved))
    return program, frozenset((*moved.values(), *turning.made))


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


def lanes(size: int) -> int:
    """Those of the vectors that so many numbers side by side take."""
    return -(-size // VECTOR) * VECTOR


def places(indices: Iterable[Index]) -> int:
    total = 1
    for i in indices:
        total *= i.size
    return total


# Which tensors --------------------------------------------------------------------------------


def picture_axes(program: Program, found: list[Convolution]) -> dict[Tensor, int]:
    """The tensors whose channels come last, and the axes of those channels."""
    axes: dict[Tensor, int] = {}
    convolutions = {id(c.assign) for c in found}
    others = [a for a in assignments(program.statements) if id(a) not in convolutions]
    fixed = {axis for a in others for axis in multiplied(a)}
    fixed |= {(t, n) for t in program.outputs for n in range(len(t.shape))}
    for c in found:
        add(c.small, c.written, fixed, axes)
        if c.moves_large:
            add(c.large, c.read, fixed, axes)
    before = -1
    while before < len(axes):
        before = len(axes)
        for a in others:
            follow(a, fixed, axes)
    return axes


def follow(a: Assign, fixed: Fixed, axes: dict[Tensor, int]) -> None:
    """What an assignment touches beside a picture is arranged as the picture is."""
    if convolution(a) is not None:
        return
    touched = list(loads_of(a))
    for load in touched:
        if load.tensor not in axes:
            continue
        channel = bare(load.subscripts[axes[load.tensor]])
        if channel is not None:
            for other in touched:
                add(other, channel, fixed, axes)


def multiplied(a: Assign) -> Iterator[tuple[Tensor, int]]:
    """Axes that a product goes through together with others, along two of its tensors: they lie
    side by side as they are.
    """
    match a.value:
        case Apply(function=P.MUL, args=(Load() as one, Load() as two)) if a.over:
            three = (a.target, one, two)
        case _:
            return
    for load, other in permutations(three, 2):
        mine, others = set(free_indices(load)), set(free_indices(other))
        both = [n for n, s in enumerate(load.subscripts) if bare(s) in others]
        if len(both) > 1 and mine - others and others - mine:
            yield from ((load.tensor, n) for n in both)


def bare(s: Subscript) -> Index | None:
    return s.bare if isinstance(s, Affine) else None


def add(load: Load, channel: Index, fixed: Fixed, axes: dict[Tensor, int]) -> None:
    t = load.tensor
    axis = channel_axis(load, channel)
    if axis is not None and t not in axes and t.kind is Kind.VALUE and (t, axis) not in fixed:
        axes[t] = axis


def loads_of(a: Assign) -> list[Load]:
    return [a.target, *reads(a)]


# The program, arranged ----------------------------------------------------------------------------


@dataclass
class Turning:
    """Arranges what the convolutions touch and the whole program cannot have arranged."""

    axes: dict[Tensor, int]
    names: Names
    made: list[Tensor] = field(default_factory=list)  # copies of pictures
    copies: dict[Tensor, Tensor] = field(default_factory=dict)  # those that are up to date

    def statement(self, s: Statement, found: Mapping[int, Convolution]) -> list[Statement]:
        made: list[Statement] = [*self.turned(found[id(s)])] if id(s) in found else [s]
        for a in assignments(tuple(made)):
            self.copies.pop(a.target.tensor, None)
        return made

    def turned(self, c: Convolution) -> list[Assign]:
        """The convolution, with copies of its kernel and of its pictures that are arranged: before
        it, or after it if that is what it computes.
        """
        a = c.assign
        before, after, new = list[Assign](), list[Assign](), dict[Expr, Load]()
        pictures = [(c.small, c.written)]
        if c.moves_large:
            pictures.append((c.large, c.read))
        for load, channel in pictures:
            if load.tensor in self.axes or bare(load.subscripts[-1]) == channel:
                continue
            axis = channel_axis(load, channel)
            if axis is None:
                return [a]
            t = load.tensor
            copied = load != a.target and t in self.copies
            twin = self.copies[t] if copied else self.twin(t, axis)
            new[load] = Load(twin, last(load.subscripts, axis))
            at = tuple(Affine(((Index(f"i{n}", size), 1),)) for n, size in enumerate(t.shape))
            here, there = Load(t, at), Load(twin, last(at, axis))
            if load == a.target:
                after.append(replace(a, target=here, value=there, over=()))
            elif not copied:
                before.append(replace(a, target=there, op=Op.SET, value=here, over=()))
                self.copies[t] = twin
        order = tuple(Affine(((i, 1),)) for i in c.kernel_order())
        if c.kernel.subscripts != order:
            name = self.names.fresh(f"{c.kernel.tensor.name}.turned")
            shape = tuple(i.size for i in c.kernel_order())
            new[c.kernel] = kernel = Load(Tensor(name, shape, c.kernel.tensor.dtype), order)
            if a.target == c.kernel:
                after.append(replace(a, value=kernel, over=()))
            else:
                before.append(replace(a, target=kernel, op=Op.SET, value=c.kernel, over=()))
        value = rewrite(a.value, lambda e: new.get(e, e))
        return [*before, replace(a, target=new.get(a.target, a.target), value=value), *after]

    def twin(self, t: Tensor, axis: int) -> Tensor:
        made = Tensor(self.names.fresh(f"{t.name}.turned"), last(t.shape, axis), t.dtype)
        self.made.append(made)
        return made


def channel_axis(load: Load, channel: Index) -> int | None:
    """Where the channel stands alone, all of it, in a picture."""
    t = load.tensor
    at = [n for n, s in enumerate(load.subscripts) if bare(s) == channel]
    if len(at) != 1 or t.halo or len(t.shape) < RANK or t.shape[at[0]] != channel.size:
        return None
    return at[0]


def last(axes: tuple[T, ...], axis: int) -> tuple[T, ...]:
    """The axes with this one last."""
    return (*axes[:axis], *axes[axis + 1 :], axes[axis])


def arranged(t: Tensor, axis: int) -> Tensor:
    return replace(t, shape=last(t.shape, axis))


def moved_statements(
    statements: list[Statement], axes: dict[Tensor, int], moved: dict[Tensor, Tensor]
) -> tuple[Statement, ...]:
    """Every access of these tensors, subscripted in the new order."""

    def change(e: Expr) -> Expr:
        if isinstance(e, Load) and e.tensor in moved:
            return Load(moved[e.tensor], last(e.subscripts, axes[e.tensor]))
        return e

    return map_statements(
        tuple(statements), lambda a: [map_assign(a, lambda e: rewrite(e, change))]
    )
