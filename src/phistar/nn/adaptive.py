"""Pooling to a given number of windows, whatever the size of the axis: n elements, o windows.

    window p    elements (n p) // o  to  (n (p + 1) + o - 1) // o - 1
    average     y[b, c, p] = Σ[i : i < size(p)](x[b, c, (n p) // o + i]) / size(p)
    max         y[b, c, p] = max[i : i < size(p)](x[b, c, (n p) // o + i])

Where o divides n, all windows have the size n / o and there is no condition.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import expect, leading, whole
from phistar.nn.windows import ELEMENTS, POSITIONS, joined, split, times

c = ph.index("c")
Output = int | None | tuple[int | None, ...]


@dataclass(frozen=True)
class Share:
    """One axis of n elements in o windows; the windows may overlap by an element."""

    n: int
    o: int

    @property
    def even(self) -> bool:
        return self.n % self.o == 0

    @property
    def kernel(self) -> int:
        """The size of the largest window."""
        return max(int(self.size(p)) for p in range(self.o))

    def begin(self, p: Any) -> Any:
        """Where window p begins."""
        return times(self.n // self.o, p) if self.even else (self.n * p) // self.o

    def size(self, p: Any) -> Any:
        """How many elements window p has."""
        if self.even:
            return self.n // self.o
        return (self.n * (p + 1) + self.o - 1) // self.o - (self.n * p) // self.o

    def at(self, p: Index, i: Index) -> Any:
        """The subscript of element i of window p; beyond the end stands what no window has."""
        place, last = self.begin(p) + i, self.begin(self.o - 1) + self.kernel
        return ph.pad(place, 0, last - self.n) if last > self.n else place

    def domain(self, p: Index, i: Index) -> Any:
        """i, or `i : i < size(p)` where windows differ."""
        return i if self.even else slice(i, i < self.size(p))


class AdaptivePooling(ph.Model):
    """What adaptive pooling layers share: how many windows, and where they lie."""

    axes: ClassVar[int]
    output_size: tuple[int | None, ...]

    def take(self, output_size: Output) -> None:
        """Keep the numbers of windows; UsageError for what is none."""
        given = output_size if isinstance(output_size, tuple | list) else (output_size,) * self.axes
        if len(given) != self.axes:
            raise UsageError(
                f"output_size of {type(self).__name__} must be one number or {self.axes}, "
                f"not {output_size!r}"
            )
        self.output_size = tuple(
            None if o is None else whole(self, "output_size", o) for o in given
        )

    def shares(self, x: Any) -> tuple[Share, ...]:
        sizes = expect(x, self, least=self.axes + 1)[-self.axes :]
        return tuple(
            Share(n, n if o is None else o) for n, o in zip(sizes, self.output_size, strict=True)
        )


Indices = tuple[Index, ...]


def windows_of(shares: tuple[Share, ...], x: Any) -> tuple[Indices, Indices, Any, Any]:
    """Indices of the axes before and of the windows, the domain in a window, and its element."""
    p = tuple(Index(name, s.o) for name, s in zip(POSITIONS, shares, strict=False))
    i = tuple(Index(name, s.kernel) for name, s in zip(ELEMENTS, shares, strict=False))
    b = (*leading(x.shape, len(shares) + 1), c)
    domain = tuple(s.domain(*pair) for s, *pair in zip(shares, p, i, strict=True))
    return b, p, domain, x[*b, *(s.at(n, m) for s, n, m in zip(shares, p, i, strict=True))]


class AdaptiveAveragePooling(AdaptivePooling):
    """The mean of each of `output_size` windows: what AdaptiveAvgPool1d to 3d share.

    x (..., channels, *sizes) -> (..., channels, *output_size). output_size: a number, or one for
    each axis; None for as many as elements.
    Raises UsageError for numbers that are none, ShapeError for tensors with too few axes.
    """

    def __init__(self, output_size: Output) -> None:
        self.take(output_size)

    def __call__(self, x: Any) -> Any:
        shares = self.shares(x)
        b, p, i, e = windows_of(shares, x)
        y = Tensor("y")
        if all(s.even for s in shares):
            y[*b, *p] = ph.mean[i](e)
        else:
            y[*b, *p] = ph.sum[i](e) / prod(s.size(n) for s, n in zip(shares, p, strict=True))
        return y


class AdaptiveMaxPooling(AdaptivePooling):
    """The largest of each of `output_size` windows: what AdaptiveMaxPool1d to 3d share.

    x (..., channels, *sizes) -> (..., channels, *output_size); with return_indices also where it
    stood, counted through the axes of one channel. output_size: a number, or one for each axis;
    None for as many as elements.
    Raises UsageError for numbers that are none, ShapeError for tensors with too few axes.
    """

    def __init__(self, output_size: Output, return_indices: bool = False) -> None:
        self.take(output_size)
        self.return_indices = return_indices

    def __call__(self, x: Any) -> Any:
        shares = self.shares(x)
        b, p, i, e = windows_of(shares, x)
        y, best, place = Tensor("y"), Tensor("best"), Tensor("place")
        y[*b, *p] = ph.max[i](e)
        if not self.return_indices:
            return y
        best[*b, *p] = ph.argmax[i](e)
        place[*b, *p] = place_of(best[*b, *p], shares, p)
        return y, place


def place_of(best: Any, shares: tuple[Share, ...], p: Indices) -> Any:
    """From the number of an element in its window to its number in its channel, row-major."""
    inside = split(best, tuple(s.kernel for s in shares))
    places = [s.begin(n) + m for s, n, m in zip(shares, p, inside, strict=True)]
    return joined(places, tuple(s.n for s in shares))


class AdaptiveAvgPool1d(AdaptiveAveragePooling):
    """Over one axis: see `AdaptiveAveragePooling`."""

    axes = 1


class AdaptiveAvgPool2d(AdaptiveAveragePooling):
    """Over two axes: see `AdaptiveAveragePooling`."""

    axes = 2


class AdaptiveAvgPool3d(AdaptiveAveragePooling):
    """Over three axes: see `AdaptiveAveragePooling`."""

    axes = 3


class AdaptiveMaxPool1d(AdaptiveMaxPooling):
    """Over one axis: see `AdaptiveMaxPooling`."""

    axes = 1


class AdaptiveMaxPool2d(AdaptiveMaxPooling):
    """Over two axes: see `AdaptiveMaxPooling`."""

    axes = 2


class AdaptiveMaxPool3d(AdaptiveMaxPooling):
    """Over three axes: see `AdaptiveMaxPooling`."""

    axes = 3
