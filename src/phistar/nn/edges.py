"""What stands beyond the ends of an axis of n elements, when it is longer by low and high.

z[low + u] = x[u]
reflect     z[u] = x[low - u]           z[low + n + u] = x[n - 2 - u]
replicate   z[u] = x[0]                 z[low + n + u] = x[n - 1]
circular    z[u] = x[(u - low) % n]
"""

from collections.abc import Callable
from typing import Any

from phistar.errors import ShapeError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor

Place = Callable[..., Any]
# Where the elements before and after the axis come from.
# fmt: off
SOURCES: dict[str, tuple[Place, Place]] = {
    "reflect":   (lambda u, n, low: low - u, lambda u, n: n - 2 - u),
    "replicate": (lambda u, n, low: 0,       lambda u, n: n - 1),
}
# fmt: on
MODES = ("zeros", *SOURCES, "circular")


def extended(x: Tensor, sides: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """x with `(low, high)` elements more on each of its last axes, one axis after the other.

    Raises ShapeError if an axis is too short to be reflected or repeated that far.
    """
    for n, (low, high) in enumerate(sides):
        axis = len(x.shape) - len(sides) + n
        if low or high:
            check(x, axis, max(low, high), mode)
            circular = mode == "circular"
            x = turned(x, axis, low, high) if circular else longer(x, axis, low, high, mode)
    return x


def turned(x: Tensor, axis: int, low: int, high: int) -> Tensor:
    """The axis again and again: every element is one of the axis, n further or n before."""
    n, z, (left, right) = x.shape[axis], Tensor("z"), others(x, axis)
    u = Index("u", low + n + high)
    z[*left, u, *right] = x[*left, (u + n - low) % n, *right]
    return z


def longer(x: Tensor, axis: int, low: int, high: int, mode: str) -> Tensor:
    """Up to three pieces: what stands before the axis, the axis, what stands after it."""
    n, z, (left, right) = x.shape[axis], Tensor("z"), others(x, axis)
    before, after = SOURCES[mode]
    u, v, w = Index("u", low), Index("u", n), Index("u", high)
    if low:
        z[*left, u, *right] = x[*left, before(u, n, low), *right]
    z[*left, low + v, *right] = x[*left, v, *right]
    if high:
        z[*left, low + n + w, *right] = x[*left, after(w, n), *right]
    return z


def others(x: Tensor, axis: int) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """Indices for the axes before and after one."""
    made = tuple(Index(f"n{k}", size) for k, size in enumerate(x.shape))
    return made[:axis], made[axis + 1 :]


def check(x: Tensor, axis: int, width: int, mode: str) -> None:
    n = x.shape[axis]
    if width > {"reflect": n - 1, "circular": n}.get(mode, width):
        raise ShapeError(
            f"padding by {width} with mode {mode!r} is too much for an axis of size {n}: "
            f"the tensor has shape {x.shape}"
        )
