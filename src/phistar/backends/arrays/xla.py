"""The xla backend: the same statements over jax.numpy, the whole program inside one jax.jit.

It runs wherever JAX does: CPU, GPU, TPU. f64 and i64 keep their types whatever JAX's global setting
is. A run-time subscript that is out of range is recorded on the device and raised after the call.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.convolution import convolution, transposed
from phistar.backends.arrays.elementwise import HALVES, Rule, integer_rules, rules
from phistar.backends.arrays.labelled import (
    FLAGS,
    SEED,
    STEP,
    Array,
    Axes,
    Change,
    Env,
    Node,
    Run,
    Term,
)
from phistar.backends.arrays.labelled import names as named
from phistar.backends.arrays.lowering import Plan, lower_program
from phistar.backends.arrays.namespace import Arrays, Contraction, Part, Store
from phistar.backends.arrays.random import numbers, positions
from phistar.backends.philox import MASK
from phistar.errors import BackendError
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Index, Program, Random

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
FEW = 16  # windows that are cut as slices rather than taken one position at a time


def import_jax() -> Any:
    """The package jax, or a BackendError that says how to get it."""
    try:
        import jax
    except ImportError:
        raise BackendError(
            'the xla backend needs the package jax: pip install "phistar[xla]"'
        ) from None
    return jax


def compile(program: Program) -> "Compiled":
    """The program as one jitted function; it is traced and compiled at its first call."""
    return Compiled(program, import_jax())


class Compiled:
    """A program that XLA runs; `plan` has one line a statement: it, and what it became."""

    def __init__(self, program: Program, jax: Any) -> None:
        self.program = program
        self._jax = jax
        with jax.enable_x64(True):
            self._plan: Plan = lower_program(program, XlaArrays(jax))
        self._names = [tensor.name for tensor in program.inputs]
        self._run = jax.jit(self._traced)

    @property
    def plan(self) -> str:
        return self._plan.text()

    def __call__(
        self, values: Mapping[str, np.ndarray[Any, Any]], seed: int = 0, step: int = 0
    ) -> dict[str, np.ndarray[Any, Any]]:
        results = self.on_device(values, seed, step)
        return {name: np.array(array) for name, array in results.items()}

    def on_device(self, values: Mapping[str, Any], seed: int = 0, step: int = 0) -> dict[str, Any]:
        """The same with JAX's arrays, in and out: nothing is copied from the device."""
        given = [values[name] for name in self._names]
        with self._jax.enable_x64(True):
            results, flags = self._run(given, np.uint64(seed % 2**64), np.uint64(step))
            if self._plan.sites:
                self._raise_first(np.asarray(flags))
        return dict(zip((t.name for t in self._plan.results), results, strict=True))

    def _traced(self, given: list[Array], seed: Array, step: Array) -> tuple[list[Array], Array]:
        """The run of one program, as JAX traces it."""
        plan, xp = self._plan, self._jax.numpy
        env: Env = [None] * len(plan.slots)
        depth = max((len(site.moving) for site in plan.sites), default=0)
        env[SEED], env[STEP] = seed, step
        env[FLAGS] = xp.full((max(1, len(plan.sites)), 2 + depth), -1, xp.int64)
        for tensor, array in zip(self.program.inputs, given, strict=True):
            env[plan.slots[tensor]] = xp.asarray(array)
        for run in plan.steps:
            run(env)
        return [env[plan.slots[tensor]] for tensor in plan.results], env[FLAGS]

    def _raise_first(self, flags: np.ndarray[Any, Any]) -> None:
        """Raise the error of the first check that failed, if one did."""
        for site in self._plan.sites:
            position, value, *moving = (int(n) for n in flags[site.number])
            if position >= 0:
                raise site.error(position, value, moving[: len(site.moving)])


class XlaArrays(Arrays):
    """jax.numpy, as the lowering sees it. Stores make new arrays, which XLA writes in place."""

    eager = False
    many_pieces = 64

    def __init__(self, jax: Any) -> None:
        self.jax, self.lax = jax, jax.lax
        self.xp = xp = jax.numpy
        special = jax.scipy.special
        self.functions = rules(xp, special.erf, special.erfc)
        self.integer_functions = integer_rules(xp)
        self.updates = {
            Op.SET: lambda old, new: new,
            Op.ADD: xp.add,
            Op.MUL: xp.multiply,
            Op.MAX: xp.maximum,
            Op.MIN: xp.minimum,
        }

    # Reading -----------------------------------------------------------------------------------

    def select(self, parts: Sequence[Part]) -> Change:
        key = tuple(within_extent(part) if part.moving else basic(part) for part in parts)
        moving = [(n, part, part.moving) for n, part in enumerate(parts) if part.moving]
        cut = self.lax.dynamic_slice_in_dim

        def change(env: Env, array: Array) -> Array:
            for axis, part, number in moving:
                low, length = extent_of(part)
                array = cut(array, number(env) + low, length, axis)
            return array[key]

        return change

    def windows(self, axis: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Change:
        below = sum(-step * (n - 1) for n, step in zip(shape, steps, strict=True) if step < 0)
        if len(shape) == 2 and shape[0] <= FEW and min(steps) > 0:
            return self.few_windows(axis, shape, steps)
        grids = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
        at = below + sum(step * grid for step, grid in zip(steps, grids, strict=True))
        return lambda env, array: array.take(at, axis, mode="clip")

    def few_windows(self, axis: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Change:
        """Windows as a few strided slices, one for each value of the short index."""
        (few, many), (hop, stride) = shape, steps
        starts = [hop * n for n in range(few)]
        ahead = [slice(None)] * axis
        keys = [(*ahead, slice(start, start + stride * (many - 1) + 1, stride)) for start in starts]
        stack = self.xp.stack
        return lambda env, array: stack([array[key] for key in keys], axis)

    def pad(self, widths: tuple[tuple[int, int], ...], value: Any) -> Change:
        pad = self.xp.pad
        return lambda env, array: pad(array, widths, constant_values=value)

    def check(self, site: Site, index: Run, guard: Run | None) -> Run:
        xp, (low, high) = self.xp, site.bounds

        def checked(env: Env) -> Array:
            at = xp.asarray(index(env))
            bad = (at < low) | (at > high)
            if guard is not None:
                bad &= guard(env)
            position = xp.argmax(bad)
            flags = env[FLAGS]
            found = [position, at.ravel()[position], *(env[slot] for _, slot in site.moving)]
            found += [-1] * (flags.shape[1] - len(found))
            record = xp.stack([xp.asarray(n, xp.int64) for n in found])
            old = flags[site.number]
            new = xp.where(bad.any() & (old[0] < 0), record, old)
            env[FLAGS] = flags.at[site.number].set(new)
            return xp.clip(at, low, high)

        return checked

    def in_place(self, rule: Rule) -> bool:
        return False

    def random(self, e: Random, indices: Axes, moving: Mapping[Index, int]) -> Run:
        xp = self.xp
        where, draw = positions(xp, e, indices, moving), numbers(xp, e)

        def run(env: Env) -> Array:
            seed, step = env[SEED], env[STEP]
            key = (seed & MASK).astype(xp.uint32), (seed >> 32).astype(xp.uint32)
            return draw(key, (step & MASK).astype(xp.uint32), xp.asarray(where(env)))

        return run

    def index_number(self, slot: int, dtype: DType) -> Run:
        xp, kind = self.xp, dtype.numpy
        return lambda env: xp.asarray(env[slot]).astype(kind)

    # Reducing ----------------------------------------------------------------------------------

    def total(self, axes: tuple[int, ...], dtype: DType) -> Callable[[Array], Array]:
        add, kind = self.xp.sum, dtype.numpy
        if dtype in HALVES:
            return lambda array: add(array, axis=axes, dtype=np.float32).astype(kind)
        return lambda array: add(array, axis=axes, dtype=kind)

    def contraction(self, a: Axes, b: Axes, kept: Axes, dtype: DType) -> Contraction:
        letters = dict(zip(dict.fromkeys((*a, *b)), LETTERS, strict=False))
        left, right, out = ("".join(letters[i] for i in axes) for axes in (a, b, kept))
        formula, einsum = f"{left},{right}->{out}", self.xp.einsum
        summed = [i for i in letters if i not in kept]
        wide = np.dtype(np.float32) if dtype in HALVES else dtype.numpy
        highest, kind = self.lax.Precision.HIGHEST, dtype.numpy

        def run(x: Array, y: Array) -> Array:
            z = einsum(formula, x, y, precision=highest, preferred_element_type=wide)
            return z.astype(kind)

        return Contraction(run, kept, f"contraction over {named(summed)}")

    def convolution(self, x: Node, f: Node, kept: Axes, dtype: DType) -> Node | None:
        return convolution(x, f, kept, dtype, self.jax)

    def transposed(
        self, g: Node, f: Node, slides: Sequence[tuple[Term, Term]], kept: Axes, dtype: DType
    ) -> tuple[Node, Axes] | None:
        return transposed(g, f, slides, kept, dtype, self.jax)

    def running(
        self, axis: int, backwards: bool, strict: bool, dtype: DType
    ) -> Callable[[Array], Array]:
        xp = self.xp
        ahead = [slice(None)] * axis
        flip, earlier = (*ahead, slice(None, None, -1)), (*ahead, slice(None, -1))

        def change(array: Array) -> Array:
            sums = xp.cumsum(array[flip] if backwards else array, axis=axis, dtype=dtype.numpy)
            if strict:
                widths = [(1, 0) if n == axis else (0, 0) for n in range(sums.ndim)]
                sums = xp.pad(sums[earlier], widths)
            return sums[flip] if backwards else sums

        return change

    def unless_nan(self, fast: Run, exact: Run) -> Run:
        xp, cond = self.xp, self.lax.cond

        def run(env: Env) -> Array:
            array = fast(env)
            flags = list(env)  # the checks in `exact` are those of `fast`
            return cond(
                xp.isnan(array).any(),
                lambda: xp.broadcast_to(exact(flags), array.shape).astype(array.dtype),
                lambda: array,
            )

        return run

    # Writing -----------------------------------------------------------------------------------

    def own(self, array: Array) -> Array:
        return self.xp.asarray(array)

    def full(self, shape: tuple[int, ...], value: Any) -> Array:
        return self.xp.full(shape, value)

    def whole(self, slot: int, op: Op) -> Store:
        update, broadcast = self.updates[op], self.xp.broadcast_to

        def store(env: Env, array: Array) -> None:
            env[slot] = update(env[slot], broadcast(array, env[slot].shape))

        return store

    def slices(self, slot: int, parts: Sequence[Part], shape: tuple[int, ...], op: Op) -> Store:
        moving = any(part.moving for part in parts)
        strided = any(part.step != 1 for part in parts)
        size = math.prod(part.count or 1 for part in parts)
        if op is Op.ADD and not moving and 4 * size >= math.prod(shape):
            return self.padded_sum(slot, parts, shape)
        if strided:
            return self.strided(slot, parts, op)
        lengths = tuple(part.count or 1 for part in parts)
        key = tuple(0 if part.count is None else slice(None) for part in parts)
        update, lax, xp = self.updates[op], self.lax, self.xp

        def store(env: Env, array: Array) -> None:
            starts = [p.start + (p.moving(env) if p.moving else 0) for p in parts]
            starts = [xp.asarray(start, xp.int64) for start in starts]
            old = lax.dynamic_slice(env[slot], starts, lengths)
            new = update(old, xp.broadcast_to(array, old[key].shape).reshape(lengths))
            env[slot] = lax.dynamic_update_slice(env[slot], new, starts)

        return store

    def padded_sum(self, slot: int, parts: Sequence[Part], shape: tuple[int, ...]) -> Store:
        """tensor += value as tensor + the value with zeros around and between."""
        pad, xp = self.lax.pad, self.xp
        counts = tuple(part.count for part in parts if part.count is not None)
        lengths = tuple(part.count or 1 for part in parts)
        flips = tuple(slice(None, None, -1 if part.step < 0 else 1) for part in parts)
        config = []
        for part, size in zip(parts, shape, strict=True):
            low, length = extent_of(part)
            config.append((low, size - low - length, abs(part.step) - 1))

        def store(env: Env, array: Array) -> None:
            array = xp.broadcast_to(array, counts).reshape(lengths)[flips]
            env[slot] = env[slot] + pad(array, xp.zeros((), array.dtype), config)

        return store

    def strided(self, slot: int, parts: Sequence[Part], op: Op) -> Store:
        """A store at every few positions, by index arrays where they move."""
        xp = self.xp
        counts = tuple(part.count for part in parts if part.count is not None)
        method = METHODS[op]

        axes = np.cumsum([part.count is not None for part in parts]) - 1
        grids = [
            0 if part.count is None else part.step * grid_along(axis, part.count, len(counts))
            for axis, part in zip(axes, parts, strict=True)
        ]

        def store(env: Env, array: Array) -> None:
            starts = [part.start + (part.moving(env) if part.moving else 0) for part in parts]
            key = tuple(start + grid for start, grid in zip(starts, grids, strict=True))
            target = env[slot].at[key]
            env[slot] = getattr(target, method)(xp.broadcast_to(array, counts))

        return store

    def elements(
        self, slot: int, grids: Sequence[tuple[int, Run]], width: int, rank: int, op: Op
    ) -> Store:
        places = [n for n, _ in grids]
        adjacent = places == list(range(places[0], places[-1] + 1))
        ahead = places[0] if adjacent else 0
        others = rank - len(grids)
        order = (*range(width, width + ahead), *range(width), *range(width + ahead, width + others))
        method = METHODS[op]

        def store(env: Env, array: Array) -> None:
            key: list[Any] = [slice(None)] * rank
            for n, run in grids:
                key[n] = run(env)
            target = env[slot].at[tuple(key)]
            env[slot] = getattr(target, method)(array.transpose(order))

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
        carried = (*written, FLAGS)
        fori = self.lax.fori_loop

        def run(env: Env) -> None:
            def body(n: Array, carry: tuple[Array, ...]) -> tuple[Array, ...]:
                inside = list(env)
                for place, array in zip(carried, carry, strict=True):
                    inside[place] = array
                inside[slot] = size - 1 - n if backwards else n
                for step in steps:
                    step(inside)
                return tuple(inside[place] for place in carried)

            final = fori(0, size, body, tuple(env[place] for place in carried))
            for place, array in zip(carried, final, strict=True):
                env[place] = array

        return run


METHODS = {Op.SET: "set", Op.ADD: "add", Op.MUL: "multiply", Op.MAX: "max", Op.MIN: "min"}


def extent_of(part: Part) -> tuple[int, int]:
    """The first position that a part touches and how many it spans."""
    length = 1 if part.count is None else abs(part.step) * (part.count - 1) + 1
    return (part.start if part.step > 0 else part.start - length + 1), length


def within_extent(part: Part) -> int | slice:
    """A part's subscript once the axis has been cut to its extent."""
    return 0 if part.count is None else slice(None, None, part.step)


def basic(part: Part) -> int | slice:
    """A part that does not move as a subscript."""
    if part.count is None:
        return part.start
    stop = part.start + part.step * part.count
    return slice(part.start, None if stop < 0 else stop, part.step)


def grid_along(axis: int, count: int, rank: int) -> Array:
    """0, 1, ..., count - 1 along one axis of an array of `rank` axes."""
    return np.arange(count).reshape([-1 if n == axis else 1 for n in range(rank)])
