"""What the lowering asks of an array library: the few operations that NumPy and JAX spell apart.

Everything else is written over `xp`, which is numpy or jax.numpy. The methods are called while a
program is compiled and return functions that are called while it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.elementwise import Rule
from phistar.backends.arrays.labelled import (
    Array,
    Axes,
    Change,
    Env,
    Node,
    Run,
    Term,
)
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Index, Random


@dataclass(frozen=True)
class Part:
    """What one axis keeps: one position (count None), or `count` positions `step` apart.

    `moving` is added to start while the program runs: it depends on an index that is scanned.
    """

    start: int
    count: int | None = None
    step: int = 1
    moving: Callable[[Env], Any] | None = None

    def is_whole(self, length: int) -> bool:
        return (self.start, self.count, self.step) == (0, length, 1) and self.moving is None


@dataclass(frozen=True)
class Contraction:
    """A sum over products of two arrays, as a function of the two; what it is in words."""

    run: Callable[[Array, Array], Array]
    axes: Axes
    text: str


Store = Callable[[Env, Array], None]


class Arrays(ABC):
    """An array library."""

    xp: Any
    eager: bool  # each operation runs when it is called: fold constants, let go of arrays early
    functions: Mapping[Primitive, Rule]
    integer_functions: Mapping[Primitive, Rule]  # the rows that differ for integers
    many_pieces: int  # how many slices a store may be unrolled into

    # Reading -----------------------------------------------------------------------------------

    @abstractmethod
    def select(self, parts: Sequence[Part]) -> Change:
        """Basic slices."""

    @abstractmethod
    def windows(self, axis: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Change:
        """Split an axis into several: element (i, j, ...) is at sum of step * index, plus what
        makes the smallest 0; elements may be seen more than once."""

    @abstractmethod
    def pad(self, widths: tuple[tuple[int, int], ...], value: Any) -> Change:
        """Put elements with a value before and after the axes."""

    @abstractmethod
    def check(self, site: Site, index: Run, guard: Run | None) -> Run:
        """A run-time subscript, checked where the guard holds; a guarded one is clipped."""

    @abstractmethod
    def in_place(self, rule: Rule) -> bool:
        """Whether a rule can write its result over its argument by `out=`."""

    @abstractmethod
    def random(self, e: Random, indices: Axes, moving: Mapping[Index, int]) -> Run:
        """A random field with one axis for each of `indices`; the slots of the scanned ones."""

    # Reducing ----------------------------------------------------------------------------------

    @abstractmethod
    def total(self, axes: tuple[int, ...], dtype: DType) -> Callable[[Array], Array]:
        """The sum over some axes."""

    @abstractmethod
    def contraction(self, a: Axes, b: Axes, kept: Axes, dtype: DType) -> Contraction:
        """The sum of a * b over the indices that are not kept."""

    def convolution(self, x: Node, f: Node, kept: Axes, dtype: DType) -> Node | None:
        """The sum of x * f over the indices that are not kept, x being seen through windows; None
        if the library has nothing better than opening them."""
        return None

    def transposed(
        self, g: Node, f: Node, slides: Sequence[tuple[Term, Term]], kept: Axes, dtype: DType
    ) -> tuple[Node, Axes] | None:
        """The sum of g * f onto positions step * p + reach * r, p being an index of g and r one of
        f, for slides ((p, step), (r, reach)); with new indices for the positions. None if the
        library has nothing better than slices."""
        return None

    @abstractmethod
    def running(
        self, axis: int, backwards: bool, strict: bool, dtype: DType
    ) -> Callable[[Array], Array]:
        """Running sums along an axis, from its end if backwards, without the element itself if
        strict."""

    @abstractmethod
    def unless_nan(self, fast: Run, exact: Run) -> Run:
        """fast's value, or exact's if there is a NaN in it."""

    # Writing -----------------------------------------------------------------------------------

    @abstractmethod
    def own(self, array: Array) -> Array:
        """A copy of an array that nobody else holds."""

    @abstractmethod
    def full(self, shape: tuple[int, ...], value: Any) -> Array:
        """A new array of one value, of the value's type."""

    @abstractmethod
    def whole(self, slot: int, op: Op) -> Store:
        """The tensor op= a value of its shape."""

    @abstractmethod
    def slices(self, slot: int, parts: Sequence[Part], shape: tuple[int, ...], op: Op) -> Store:
        """A part of the tensor op= a value that broadcasts to the part's shape."""

    @abstractmethod
    def elements(
        self, slot: int, grids: Sequence[tuple[int, Run]], width: int, rank: int, op: Op
    ) -> Store:
        """Elements of a tensor of `rank` axes op= a value. `grids` are index arrays of `width` axes
        for some axes of the tensor; the value's axes are theirs and then the tensor's others."""

    # Running -----------------------------------------------------------------------------------

    @abstractmethod
    def loop(
        self,
        slot: int,
        size: int,
        backwards: bool,
        steps: Sequence[Callable[[Env], None]],
        written: Sequence[int],
    ) -> Callable[[Env], None]:
        """steps for each value of a scanned index; `written` are the slots they assign."""

    @abstractmethod
    def index_number(self, slot: int, dtype: DType) -> Run:
        """The value of a scanned index as a number."""


def constant(value: Array, axes: Axes = ()) -> Node:
    """An array that is the same in every environment."""
    return Node(lambda env: value, axes, constant=True)
