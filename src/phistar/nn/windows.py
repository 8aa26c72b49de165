"""Windows that move over axes: what convolutions and pooling share.

place       s p + d i       of element i of window p: stride s, dilation d
windows     n = (size + low + high - d (kernel - 1) - 1) // s + 1
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import phistar as ph
from phistar.errors import ShapeError
from phistar.language.expression import Index
from phistar.nn.shapes import each

POSITIONS = ("p", "q", "r")
ELEMENTS = ("i", "j", "l")


@dataclass(frozen=True)
class Window:
    """The window along one axis: its size, its steps, and what stands before and after the axis."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    low: int = 0
    high: int = 0

    @property
    def span(self) -> int:
        """How many elements of the axis lie between its first and its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, size: int) -> int:
        """How many windows fit an axis of that size."""
        return (size + self.low + self.high - self.span) // self.stride + 1

    def at(self, p: Index, i: Index, fill: float = 0) -> Any:
        """The subscript of element i of window p: s p + d i on the axis after padding."""
        place = times(self.stride, p) + times(self.dilation, i)
        return ph.pad(place, self.low, self.high, fill) if self.low or self.high else place


def times(number: int, i: Index) -> Any:
    """number * i as one would write it."""
    return i if number == 1 else number * i


def counts(layer: Any, windows: tuple[Window, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The number of windows along each of the last axes; ShapeError if one fits nowhere."""
    found = []
    for window, size in zip(windows, shape[-len(windows) :], strict=True):
        if window.count(size) < 1:
            raise ShapeError(
                f"{type(layer).__name__} has windows of {window.span} elements, which is more than "
                f"an axis of size {size} has with its padding: the tensor's shape is {shape}"
            )
        found.append(window.count(size))
    return tuple(found)


def positions(axes: int) -> tuple[Index, ...]:
    """p, q, r: which window along each axis."""
    return tuple(Index(name) for name in POSITIONS[:axes])


def elements(windows: tuple[Window, ...]) -> tuple[Index, ...]:
    """i, j, l: which element of the window along each axis."""
    return tuple(Index(name, w.kernel) for name, w in zip(ELEMENTS, windows, strict=False))


def places(
    windows: tuple[Window, ...], p: tuple[Index, ...], i: tuple[Index, ...], fill: float = 0
) -> tuple[Any, ...]:
    """The subscripts of element i, j, l of window p, q, r."""
    return tuple(w.at(m, n, fill) for w, m, n in zip(windows, p, i, strict=True))


def made_windows(
    layer: Any, kernel_size: Any, stride: Any, dilation: Any, sides: list[tuple[int, int]]
) -> tuple[Window, ...]:
    """A window for each axis, from one number for all axes or one for each; else UsageError."""
    rows = [
        each(layer, what, value, layer.axes)
        for what, value in (
            ("kernel_size", kernel_size),
            ("stride", stride),
            ("dilation", dilation),
        )
    ]
    return tuple(Window(*row, *side) for *row, side in zip(*rows, sides, strict=True))


def split(number: Any, sizes: tuple[int, ...]) -> list[Any]:
    """From a row-major number to one along each axis of these sizes."""
    found = []
    for k, size in enumerate(sizes):
        after = prod(sizes[k + 1 :])
        rest = number // after if after > 1 else number
        found.append(rest % size if k else rest)
    return found


def joined(places: list[Any], sizes: tuple[int, ...]) -> Any:
    """From places along axes of these sizes to one row-major number."""
    number = places[0]
    for place, size in zip(places[1:], sizes[1:], strict=True):
        number = number * size + place
    return number
