"""Random fields: the position of each number in its field, and the numbers by Philox."""

from collections.abc import Callable, Mapping
from typing import Any

from phistar.backends import philox
from phistar.backends.arrays.labelled import Array, Axes, Env
from phistar.ir.build import strong
from phistar.ir.dtypes import DType
from phistar.ir.program import Distribution, Index, Random

Key = tuple[Array, Array]
Numbers = Callable[[Key, Array, Array], Array]  # key, step, positions


def positions(
    xp: Any, e: Random, axes: Axes, moving: Mapping[Index, int]
) -> Callable[[Env], Array]:
    """The row-major position among the field's indices, one axis for each of `axes`; the others
    are scanned, and in the slots of `moving`."""
    strides: dict[Index, int] = {}
    stride = 1
    for index in reversed(e.indices):
        strides[index] = stride
        stride *= index.size
    shape = tuple(index.size for index in axes)
    steps = [strides[index] for index in axes]
    movers = [(slot, strides[index]) for index, slot in moving.items()]

    def run(env: Env) -> Array:
        total = xp.zeros(shape, xp.int64)
        for n, step in enumerate(steps):
            along = [-1 if m == n else 1 for m in range(len(shape))]
            total = total + (xp.arange(shape[n]) * step).reshape(along)
        return total + sum(env[slot] * step for slot, step in movers)

    return run


def numbers(xp: Any, e: Random) -> Numbers:
    """The numbers of a field at some positions."""
    dtype: DType = strong(e.dtype)
    uniform = e.distribution is Distribution.UNIFORM

    def draw(key: Key, step: Array, at: Array) -> Array:
        low, high = (at & philox.MASK).astype(xp.uint32), (at >> 32).astype(xp.uint32)
        words = philox.field_words(xp, key, step, e.place, low, high)
        if uniform:
            return philox.uniform(xp, words, dtype)
        return philox.normal(xp, words, dtype, xp.float64)

    return draw
