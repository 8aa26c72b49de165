"""Labelled arrays: what an expression becomes once its statement is analysed.

A Node is a function from the environment (a list of arrays, one slot a tensor) to an array whose
axes are known indices. Nodes with different axes are aligned by transposing and by axes of length
one, which the array library broadcasts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from phistar.ir.program import Index, Tensor

Array: TypeAlias = Any
Env: TypeAlias = list[Any]
Run: TypeAlias = Callable[[Env], Array]
Axes: TypeAlias = tuple[Index, ...]
Change: TypeAlias = Callable[[Env, Array], Array]
Term: TypeAlias = tuple[Index, int]

SEED, STEP, FLAGS, FIRST_FREE = 0, 1, 2, 3


@dataclass(frozen=True)
class Windows:
    """The array behind sliding windows: each axis is an index, or is slid over by several: position
    0 + sum of step * index, for terms (index, step)."""

    run: Run
    axes: tuple[Index | tuple[Term, ...], ...]


@dataclass(frozen=True)
class Node:
    """An array for each environment. Its axes are in the order in which they lie in memory.

    `fresh` says that the array is nobody else's and may be overwritten; `constant` that it does
    not depend on the environment; `windows` is set if the array is seen through windows; `text`
    says in a few words what is computed.
    """

    run: Run
    axes: Axes = ()
    fresh: bool = False
    constant: bool = False
    text: str = ""
    windows: Windows | None = None


class Slots:
    """Which place of the environment holds which tensor or which scanned index."""

    def __init__(self) -> None:
        self.places: dict[Tensor | Index, int] = {}

    def __getitem__(self, thing: Tensor | Index) -> int:
        return self.place(thing)

    def place(self, thing: Tensor | Index) -> int:
        """The place of a tensor or an index: a new one if it has none yet."""
        return self.places.setdefault(thing, FIRST_FREE + len(self.places))

    def __len__(self) -> int:
        return FIRST_FREE + len(self.places)


def extent(axes: Sequence[Index]) -> int:
    """The number of settings of some indices."""
    product = 1
    for index in axes:
        product *= index.size
    return product


def merged(nodes: Sequence[Node], order: Axes) -> Axes:
    """The axes of an elementwise function of nodes: those of the widest one where it has them all,
    so that nothing large is transposed; else all of them in the statement's order."""
    widest = max(nodes, key=lambda n: len(n.axes)).axes
    union = {index for node in nodes for index in node.axes}
    if len(widest) == len(union):
        return widest
    return tuple(index for index in order if index in union)


def permutation(axes: Axes, wanted: Axes) -> tuple[int, ...] | None:
    """How to transpose axes into the order of wanted, or None if they lie so already."""
    order = tuple(axes.index(index) for index in wanted if index in axes)
    return None if order == tuple(range(len(axes))) else order


def aligned(node: Node, axes: Axes) -> Run:
    """node's array, ready to be broadcast against an array with these axes."""
    order = permutation(node.axes, axes)
    present = [index in node.axes for index in axes]
    first = present.index(True) if any(present) else len(axes)
    key = tuple(slice(None) if here else None for here in present[first:])
    widen = None in key
    run = node.run
    if order is None and not widen:
        return run
    if order is None:
        return lambda env: run(env)[key]
    if not widen:
        return lambda env: run(env).transpose(order)
    return lambda env: run(env).transpose(order)[key]


def ordered(node: Node, axes: Axes) -> Node:
    """node with its axes in the order of `axes`, of which it need not have all."""
    order = permutation(node.axes, axes)
    if order is None:
        return node
    run = node.run
    kept = tuple(index for index in axes if index in node.axes)
    return Node(lambda env: run(env).transpose(order), kept, node.fresh, node.constant, node.text)


def shape_within(node: Node, axes: Axes) -> tuple[int, ...]:
    """The shape of node's array among `axes`: 1 where it lacks one."""
    return tuple(index.size if index in node.axes else 1 for index in axes)


def compose(run: Run, changes: Sequence[Change]) -> Run:
    """run, and then each of the changes."""
    match tuple(changes):
        case ():
            return run
        case (only,):
            return lambda env: only(env, run(env))
        case (first, second):
            return lambda env: second(env, first(env, run(env)))
    todo = tuple(changes)

    def chain(env: Env) -> Array:
        array = run(env)
        for change in todo:
            array = change(env, array)
        return array

    return chain


def names(axes: Sequence[Index]) -> str:
    return ", ".join(index.name for index in axes)
