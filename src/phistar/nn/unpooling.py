"""The way back from pooling: what was the largest stands where it stood, all else is 0.

flat[b, c, place[b, c, p, q]] += x[b, c, p, q]
y[b, c, h, w] = flat[b, c, (h, w)]
"""

from math import prod
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import each, expect, leading
from phistar.nn.windows import made_windows, positions

Size = int | tuple[int, ...]
c = ph.index("c")


class Unpooling(ph.Model):
    """The way back from max pooling: what MaxUnpool1d, MaxUnpool2d and MaxUnpool3d share.

    x (..., channels, *counts) and the places that `MaxPool2d(..., return_indices=True)` gives ->
    (..., channels, *sizes), where a size is (count - 1) stride - 2 padding + kernel, or what
    output_size says. Where windows overlap and several name one place, their mean stands there.
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not; a
    place outside is an IndexRangeError when it is read.
    """

    axes: ClassVar[int]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        sides = each(self, "padding", padding, self.axes, least=0)
        stride = kernel_size if stride is None else stride
        self.windows = made_windows(self, kernel_size, stride, 1, [(n, n) for n in sides])

    def __call__(self, x: Any, place: Any, output_size: tuple[int, ...] | None = None) -> Any:
        shape = expect(x, self, least=self.axes + 1)
        if expect(place, self) != shape:
            raise ShapeError(
                f"{type(self).__name__} takes a place for each element: "
                f"shapes {shape} and {place.shape} differ"
            )
        sizes = self.sizes(shape, output_size)
        b, p = (*leading(shape, self.axes + 1), c), positions(self.axes)
        flat: Any = Tensor("flat", sizes=[*shape[: -self.axes], prod(sizes)])
        at = place[*b, *p]
        if any(w.stride < w.kernel for w in self.windows):
            count: Any = Tensor("count", sizes=list(flat.shape))
            count[*b, at] += ph.cast(1, x.dtype)
            flat[*b, at] += x[*b, *p] / count[*b, at]
        else:
            flat[*b, at] += x[*b, *p]
        return unflattened(flat, b, sizes)

    def sizes(self, shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> tuple[int, ...]:
        """The sizes of the result; ShapeError for such as no pooling takes to these counts."""
        usual = tuple(
            (count - 1) * w.stride - w.low - w.high + w.kernel
            for w, count in zip(self.windows, shape[-self.axes :], strict=True)
        )
        if wanted is None:
            wanted = usual
        if len(wanted) != self.axes:
            raise UsageError(
                f"output_size of {type(self).__name__} has {self.axes} sizes, not {wanted!r}"
            )
        for w, size, n in zip(self.windows, usual, wanted, strict=True):
            if n < 1 or not size - w.stride < n < size + w.stride:
                raise ShapeError(
                    f"{type(self).__name__} makes sizes near {usual}, not {tuple(wanted)}, "
                    f"of shape {shape}"
                )
        return tuple(wanted)


def unflattened(flat: Tensor, b: tuple[Index, ...], sizes: tuple[int, ...]) -> Tensor:
    """The last axis as several, row-major."""
    if len(sizes) == 1:
        return flat
    y = Tensor("y")
    h = tuple(
        Index(name, size) for name, size in zip(("d", "h", "w")[-len(sizes) :], sizes, strict=True)
    )
    y[*b, *h] = flat[*b, h]
    return y


class MaxUnpool1d(Unpooling):
    """y[b, c, place[b, c, p]] += x[b, c, p]: see `Unpooling`."""

    axes = 1


class MaxUnpool2d(Unpooling):
    """y[b, c, (h, w)] of places h w_size + w: see `Unpooling`."""

    axes = 2


class MaxUnpool3d(Unpooling):
    """The same over three axes: see `Unpooling`."""

    axes = 3
