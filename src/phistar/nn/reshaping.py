"""Layers that only move elements: several axes as one, one as several, channels as pixels.

    flatten     y[b, (c, h, w)] = x[b, c, h, w]
    unflatten   y[b, c, h, w] = x[b, (c, h, w)]
    shuffle     y[b, c, (h, i), (w, j)] = x[b, (c, i, j), h, w]
    unshuffle   y[b, (c, i, j), h, w] = x[b, c, (h, i), (w, j)]

A group (h, w) is one axis, row-major.
"""

from math import prod
from typing import Any

import phistar as ph
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import expect, leading, whole

c, h, w = ph.indices("c h w")


class Flatten(ph.Model):
    """Axes start_dim to end_dim as one, row-major: y[b, (c, h, w)] = x[b, c, h, w].

    Negative axes count from the end; by default all but the first. Raises UsageError for axes that
    are no whole numbers, ShapeError for a tensor that does not have them in this order.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = axis(self, start_dim), axis(self, end_dim)

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self)
        first, last = (axis_of(self, n, shape) for n in (self.start_dim, self.end_dim))
        if first > last:
            raise ShapeError(
                f"Flatten takes axis {self.start_dim} to {self.end_dim}, "
                f"but these are {first} to {last} of shape {shape}"
            )
        if first == last:
            return x
        n, y = names(len(shape)), Tensor("y")
        y[*n[:first], n[first : last + 1], *n[last + 1 :]] = x[n]
        return y


class Unflatten(ph.Model):
    """Axis dim as several, row-major: y[b, c, h, w] = x[b, (c, h, w)].

    unflattened_size: the sizes; one may be -1, what remains. Raises UsageError for sizes that are
    none, ShapeError for an axis that does not have that many elements.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        self.dim, self.unflattened_size = axis(self, dim), tuple(unflattened_size)
        if not unflattened_size or self.unflattened_size.count(-1) > 1:
            raise UsageError(
                "unflattened_size of Unflatten must have one size or more, and one -1 at most, "
                f"not {self.unflattened_size}"
            )
        for size in self.unflattened_size:
            if size != -1:
                whole(self, "unflattened_size", size)

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=1)
        dim = axis_of(self, self.dim, shape)
        sizes = self.sizes(shape, dim)
        n, y = names(len(shape)), Tensor("y")
        parts = tuple(Index(f"{n[dim].name}{k}", size) for k, size in enumerate(sizes))
        y[*n[:dim], *parts, *n[dim + 1 :]] = x[*n[:dim], parts, *n[dim + 1 :]]
        return y

    def sizes(self, shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
        known = prod(n for n in self.unflattened_size if n != -1)
        sizes = tuple(shape[dim] // known if n == -1 else n for n in self.unflattened_size)
        if prod(sizes) != shape[dim]:
            raise ShapeError(
                f"Unflatten makes {self.unflattened_size} of axis {dim}, "
                f"but that has {shape[dim]} elements in shape {shape}"
            )
        return sizes


class PixelShuffle(ph.Model):
    """Channels become pixels: y[b, c, (h, i), (w, j)] = x[b, (c, i, j), h, w].

    x (..., channels r², height, width) -> (..., channels, height r, width r), with r the
    upscale_factor (Shi et al. 2016). Raises UsageError for a factor that is none, ShapeError for
    channels that are no multiple of r².
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = whole(self, "upscale_factor", upscale_factor)

    def __call__(self, x: Any) -> Any:
        shape, r = expect(x, self, least=3), self.upscale_factor
        if shape[-3] % r**2:
            raise ShapeError(
                f"PixelShuffle takes a multiple of {r**2} channels, "
                f"not the {shape[-3]} of shape {shape}"
            )
        b, i, j, y = leading(shape, 3), Index("i", r), Index("j", r), Tensor("y")
        y[*b, c, (h, i), (w, j)] = x[*b, (c, i, j), h, w]
        return y


class PixelUnshuffle(ph.Model):
    """Pixels become channels: y[b, (c, i, j), h, w] = x[b, c, (h, i), (w, j)].

    x (..., channels, height r, width r) -> (..., channels r², height, width), with r the
    downscale_factor. Raises UsageError for a factor that is none, ShapeError for sizes that are no
    multiples of r.
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = whole(self, "downscale_factor", downscale_factor)

    def __call__(self, x: Any) -> Any:
        shape, r = expect(x, self, least=3), self.downscale_factor
        if shape[-2] % r or shape[-1] % r:
            raise ShapeError(
                f"PixelUnshuffle takes heights and widths that are multiples of {r}, "
                f"not those of shape {shape}"
            )
        b, i, j, y = leading(shape, 3), Index("i", r), Index("j", r), Tensor("y")
        y[*b, (c, i, j), h, w] = x[*b, c, (h, i), (w, j)]
        return y


def names(rank: int) -> tuple[Index, ...]:
    """b, c, h, w for four axes or fewer; n0, n1, ... for more."""
    letters = "bchw"[:rank] if rank <= 4 else [f"n{k}" for k in range(rank)]
    return tuple(Index(letter) for letter in letters)


def axis(layer: Any, number: Any) -> int:
    """A number of an axis; UsageError for what is no whole number."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise UsageError(f"{type(layer).__name__} takes the number of an axis, not {number!r}")
    return number


def axis_of(layer: Any, number: int, shape: tuple[int, ...]) -> int:
    """An axis counted from the front; ShapeError if the tensor does not have it."""
    if not -len(shape) <= number < len(shape):
        raise ShapeError(f"{type(layer).__name__} takes axis {number}, which shape {shape} has not")
    return number % len(shape)
