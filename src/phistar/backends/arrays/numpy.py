"""The numpy backend: statements as NumPy operations, in place where nobody else looks.

Compiling is quick (no C compiler, no tracing); an operation costs a microsecond or so beside its
work. `compile(program).plan` says which operation each statement became.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.elementwise import HALVES, Rule, integer_rules, rules
from phistar.backends.arrays.erf import erf
from phistar.backends.arrays.labelled import SEED, STEP, Array, Axes, Change, Env, Run
from phistar.backends.arrays.lowering import Plan, lower_program
from phistar.backends.arrays.matmul import contraction
from phistar.backends.arrays.namespace import Arrays, Contraction, Part, Store
from phistar.backends.arrays.random import numbers, positions
from phistar.backends.philox import MASK, split_seed
from phistar.backends.special import erfc
from phistar.ir.build import strong
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Index, Program, Random

BLOCK = 1 << 13  # random numbers that are drawn at once: their words stay in the cache
UPDATES: dict[Op, np.ufunc] = {
    Op.ADD: np.add,
    Op.MUL: np.multiply,
    Op.MAX: np.maximum,
    Op.MIN: np.minimum,
}


def compile(program: Program) -> "Compiled":
    """The program as NumPy operations."""
    return Compiled(program)


class Compiled:
    """A program that NumPy runs; `plan` has one line a statement: it, and what it became."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._plan: Plan = lower_program(program, NumpyArrays())
        self._places = [(t.name, self._plan.slots[t]) for t in program.inputs]
        self._results = [(t.name, self._plan.slots[t]) for t in self._plan.results]
        self._size = len(self._plan.slots)

    @property
    def plan(self) -> str:
        return self._plan.text()

    def __call__(
        self, values: Mapping[str, np.ndarray[Any, Any]], seed: int = 0, step: int = 0
    ) -> dict[str, np.ndarray[Any, Any]]:
        env: Env = [None] * self._size
        env[SEED], env[STEP] = seed, step
        for name, place in self._places:
            env[place] = values[name]
        with np.errstate(all="ignore"):
            for run in self._plan.steps:
                run(env)
        return {name: in_order(env[place]) for name, place in self._results}


class NumpyArrays(Arrays):
    """NumPy, as the lowering sees it."""

    xp = np
    eager = True
    many_pieces = 64

    def __init__(self) -> None:
        self.functions = rules(np, erf, erfc)
        self.integer_functions = integer_rules(np)

    # Reading -----------------------------------------------------------------------------------

    def select(self, parts: Sequence[Part]) -> Change:
        if not any(part.moving for part in parts):
            key = tuple(basic(part, 0) for part in parts)
            return lambda env, array: array[key]
        keyed = moving_key(parts)
        return lambda env, array: array[keyed(env)]

    def windows(self, axis: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Change:
        below = sum(-step * (n - 1) for n, step in zip(shape, steps, strict=True) if step < 0)
        start: tuple[slice, ...] = (*[slice(None)] * axis, slice(below, None))

        def change(env: Env, array: Array) -> Array:
            array = array[start]
            stride = array.strides[axis]
            sizes = (*array.shape[:axis], *shape, *array.shape[axis + 1 :])
            strides = (
                *array.strides[:axis],
                *(step * stride for step in steps),
                *array.strides[axis + 1 :],
            )
            return as_strided(array, sizes, strides, writeable=False)

        return change

    def pad(self, widths: tuple[tuple[int, int], ...], value: Any) -> Change:
        inside = tuple(slice(low, -high or None) for low, high in widths)
        edges: list[tuple[slice, ...]] = [
            (*[slice(None)] * n, edge)
            for n, (low, high) in enumerate(widths)
            for size, edge in ((low, slice(0, low)), (high, slice(-high, None)))
            if size
        ]

        def change(env: Env, array: Array) -> Array:
            shape = [n + low + high for n, (low, high) in zip(array.shape, widths, strict=True)]
            padded = np.empty(shape, array.dtype)
            for edge in edges:
                padded[edge] = value
            padded[inside] = array
            return padded

        return change

    def check(self, site: Site, index: Run, guard: Run | None) -> Run:
        low, high = site.bounds

        def checked(env: Env) -> Array:
            at = index(env)
            if np.min(at) >= low and np.max(at) <= high:
                return at
            bad = (at < low) | (at > high)
            if guard is not None:
                bad &= guard(env)
            if np.any(bad):
                position = int(np.argmax(bad))
                moving = [env[slot] for _, slot in site.moving]
                raise site.error(position, int(np.ravel(at)[position]), moving)
            return np.clip(at, low, high)

        return checked

    def in_place(self, rule: Rule) -> bool:
        return isinstance(rule, np.ufunc)

    def random(self, e: Random, indices: Axes, moving: Mapping[Index, int]) -> Run:
        where, draw = positions(np, e, indices, moving), numbers(np, e)
        kind = strong(e.dtype).numpy

        def run(env: Env) -> Array:
            key = tuple(np.uint32(word) for word in split_seed(env[SEED]))
            step = np.uint32(env[STEP] & MASK)
            at = np.asarray(where(env))
            field, flat = np.empty(at.shape, kind), at.reshape(-1)
            drawn = field.reshape(-1)
            for start in range(0, flat.size, BLOCK):
                block = slice(start, start + BLOCK)
                drawn[block] = draw((key[0], key[1]), step, flat[block])
            return field

        return run

    def index_number(self, slot: int, dtype: DType) -> Run:
        number = dtype.numpy.type
        return lambda env: number(env[slot])

    # Reducing ----------------------------------------------------------------------------------

    def total(self, axes: tuple[int, ...], dtype: DType) -> Callable[[Array], Array]:
        add, kind = np.add.reduce, dtype.numpy
        if dtype in HALVES:
            return lambda array: add(array, axis=axes, dtype=np.float32).astype(kind)
        return lambda array: add(array, axis=axes, dtype=kind)

    def contraction(self, a: Axes, b: Axes, kept: Axes, dtype: DType) -> Contraction:
        return contraction(a, b, kept, dtype)

    def running(
        self, axis: int, backwards: bool, strict: bool, dtype: DType
    ) -> Callable[[Array], Array]:
        ahead: list[Any] = [slice(None)] * axis
        flip = (*ahead, slice(None, None, -1))
        later, earlier = (*ahead, slice(1, None)), (*ahead, slice(None, -1))

        def change(array: Array) -> Array:
            sums = np.cumsum(array[flip] if backwards else array, axis=axis, dtype=dtype.numpy)
            if strict:
                sums[later] = sums[earlier]
                sums[(*ahead, 0)] = 0
            return sums[flip] if backwards else sums

        return change

    def unless_nan(self, fast: Run, exact: Run) -> Run:
        def run(env: Env) -> Array:
            array = fast(env)
            return exact(env) if np.isnan(np.min(array)) else array

        return run

    # Writing -----------------------------------------------------------------------------------

    def own(self, array: Array) -> Array:
        return np.array(array)

    def full(self, shape: tuple[int, ...], value: Any) -> Array:
        return np.full(shape, value, value.dtype) if value else np.zeros(shape, value.dtype)

    def whole(self, slot: int, op: Op) -> Store:
        if op is Op.SET:
            return lambda env, array: np.copyto(env[slot], array)
        update = UPDATES[op]
        return lambda env, array: update(env[slot], array, out=env[slot])

    def slices(self, slot: int, parts: Sequence[Part], shape: tuple[int, ...], op: Op) -> Store:
        keyed = moving_key(parts)
        if not any(part.moving for part in parts):
            key = keyed([])

            def keyed(env: Env) -> tuple[Any, ...]:
                return key

        if op is Op.SET:

            def assign(env: Env, array: Array) -> None:
                env[slot][keyed(env)] = array

            return assign
        update = UPDATES[op]

        def change(env: Env, array: Array) -> None:
            view = env[slot][keyed(env)]
            update(view, array, out=view)

        return change

    def elements(
        self, slot: int, grids: Sequence[tuple[int, Run]], width: int, rank: int, op: Op
    ) -> Store:
        others = [n for n in range(rank) if n not in {n for n, _ in grids}]

        def positions(env: Env, shape: tuple[int, ...]) -> Array:
            """Where the elements are in the tensor laid out flat."""
            strides = [int(np.prod(shape[n + 1 :])) for n in range(rank)]
            at: Array = 0
            for n, run in grids:
                at = at + run(env) * strides[n]
            at = np.asarray(at).reshape((*np.shape(at), *[1] * len(others)))
            for n, axis in enumerate(others):
                along = [-1 if m == n else 1 for m in range(len(others))]
                at = at + (np.arange(shape[axis]) * strides[axis]).reshape(along)
            return at

        def store(env: Env, array: Array) -> None:
            if not env[slot].flags.c_contiguous:
                env[slot] = np.ascontiguousarray(env[slot])
            tensor = env[slot]
            at = positions(env, tensor.shape)
            at, array = np.broadcast_arrays(at, array)
            flat = tensor.reshape(-1)
            if op is Op.SET:
                flat[at.ravel()] = array.ravel()
            else:
                UPDATES[op].at(flat, at.ravel(), array.ravel())

        return store

    # Running -----------------------------------------------------------------------------------

    def loop(
        self,
        slot: int,
        size: int,
        backwards: bool,
        steps: Sequence[Callable[[Env], None]],
        written: Sequence[int],
    ) -> Callable[[Env], None]:
        settings = range(size - 1, -1, -1) if backwards else range(size)

        def run(env: Env) -> None:
            for number in settings:
                env[slot] = number
                for step in steps:
                    step(env)

        return run


def in_order(array: Array) -> Array:
    """The array with its elements in row-major order."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def basic(part: Part, moved: int) -> int | slice:
    """A part as NumPy's own subscript."""
    start = part.start + moved
    if part.count is None:
        return start
    stop = start + part.step * part.count
    return slice(start, None if stop < 0 else stop, part.step)


def moving_key(parts: Sequence[Part]) -> Callable[[Env], tuple[Any, ...]]:
    """The subscripts while the program runs; they end in `...`, so that they make a view."""
    fixed: list[Any] = [basic(part, 0) for part in parts] + [...]
    moving = [(n, part, part.moving) for n, part in enumerate(parts) if part.moving]

    def keyed(env: Env) -> tuple[Any, ...]:
        key = fixed.copy()
        for n, part, number in moving:
            key[n] = basic(part, number(env))
        return tuple(key)

    return keyed
