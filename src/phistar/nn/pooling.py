"""Pooling over windows and over whole axes, channels first.

    max         y[b, c, p, q] = max[i, j](x[b, c, s p + d i, s q + d j])
    average     y[b, c, p, q] = mean[i, j](x[b, c, s p + i, s q + j])
    LP          y[b, c, p, q] = (Σ[i, j] x[b, c, s p + i, s q + j]^e)^(1/e)
    global      y[b, c] = mean[p, q](x[b, c, p, q])

Positions count on the axis after padding, with -inf for the maximum, with 0 for the others. At the
edges an average is over those elements that count, n(p) m(q) of them.
"""

from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import each, expect, leading
from phistar.nn.windows import (
    Window,
    counts,
    elements,
    joined,
    made_windows,
    places,
    positions,
    split,
    times,
)

Size = int | tuple[int, ...]
b, c = ph.indices("b c")


class Pooling(ph.Model):
    """What pooling layers share: their windows, one window after the other by default."""

    axes: ClassVar[int]
    windows: tuple[Window, ...]
    ceil_mode: bool

    def take(
        self, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool
    ) -> None:
        """Keep the arguments as windows; UsageError where they do not fit together."""
        sides = each(self, "padding", padding, self.axes, least=0)
        stride = kernel_size if stride is None else stride
        self.windows = made_windows(self, kernel_size, stride, dilation, [(n, n) for n in sides])
        self.ceil_mode = ceil_mode
        for w in self.windows:
            if w.low > w.span // 2:
                raise UsageError(
                    f"padding of {type(self).__name__} is {w.low}: "
                    f"it may be half of a window of {w.span} elements at most"
                )

    def placed(self, x: Any) -> tuple[tuple[Window, ...], tuple[Index, ...], tuple[Index, ...]]:
        """The windows on x; indices b, c for the axes before theirs; p, q for the windows."""
        shape = expect(x, self, least=self.axes + 1)
        windows = self.windows
        if self.ceil_mode:
            windows = tuple(
                reaching(w, n) for w, n in zip(windows, shape[-self.axes :], strict=True)
            )
        found = counts(self, windows, shape)
        p = tuple(Index(i.name, n) for i, n in zip(positions(self.axes), found, strict=True))
        return windows, (*leading(shape, self.axes + 1), c), p


def reaching(w: Window, size: int) -> Window:
    """The window with room for one more at the end, if that begins on the axis or before it."""
    count = -(-(size + w.low + w.high - w.span) // w.stride) + 1
    if (count - 1) * w.stride >= size + w.low:
        count -= 1
    return replace(w, high=max(w.high, (count - 1) * w.stride + w.span - size - w.low))


# The largest --------------------------------------------------------------------------------------


class MaxPooling(Pooling):
    """The largest element of each window: what MaxPool1d, MaxPool2d and MaxPool3d share.

    x (..., channels, *sizes) -> (..., channels, *counts); with return_indices also where it stood,
    counted through the axes of one channel, as `MaxUnpool2d` takes it. kernel_size, stride,
    padding, dilation: a number, or one for each axis; the stride is the kernel's size by default.
    ceil_mode: windows may reach beyond the end. Of equal elements the first is the largest.
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.take(kernel_size, stride, padding, dilation, ceil_mode)
        self.return_indices = return_indices

    def __call__(self, x: Any) -> Any:
        windows, b, p = self.placed(x)
        i, y = elements(windows), Tensor("y")
        at = places(windows, p, i, fill=float("-inf"))
        y[*b, *p] = ph.max[i](x[*b, *at])
        if not self.return_indices:
            return y
        best, place = Tensor("best"), Tensor("place")
        best[*b, *p] = ph.argmax[i](x[*b, *at])
        place[*b, *p] = place_of(best[*b, *p], windows, p, x.shape)
        return y, place


def place_of(
    best: Any, windows: tuple[Window, ...], p: tuple[Index, ...], shape: tuple[int, ...]
) -> Any:
    """From the number of an element in its window to its number in its channel, both row-major."""
    inside = split(best, tuple(w.kernel for w in windows))
    places = [
        times(w.stride, n) + w.dilation * m - w.low
        for w, n, m in zip(windows, p, inside, strict=True)
    ]
    return joined(places, shape[-len(windows) :])


class MaxPool1d(MaxPooling):
    """y[b, c, p] = max[i](x[b, c, s p + d i]): see `MaxPooling`."""

    axes = 1


class MaxPool2d(MaxPooling):
    """y[b, c, p, q] = max[i, j](x[b, c, s p + d i, s q + d j]): see `MaxPooling`."""

    axes = 2


class MaxPool3d(MaxPooling):
    """The same over three axes: see `MaxPooling`."""

    axes = 3


# The average --------------------------------------------------------------------------------------


class AveragePooling(Pooling):
    """The mean of each window: what AvgPool1d, AvgPool2d and AvgPool3d share.

    x (..., channels, *sizes) -> (..., channels, *counts). kernel_size, stride, padding: a number,
    or one for each axis; the stride is the kernel's size by default. ceil_mode: windows may reach
    beyond the end. count_include_pad: whether the mean is also over the zeros of the padding.
    divisor_override: what the sum is divided by instead.
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.take(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override
        if divisor_override is not None and (
            type(divisor_override) is not int or not divisor_override
        ):
            raise UsageError(
                f"divisor_override of {type(self).__name__} must be a whole number other than 0, "
                f"not {divisor_override!r}"
            )

    def __call__(self, x: Any) -> Any:
        windows, b, p = self.placed(x)
        i, y = elements(windows), Tensor("y")
        e, n = x[*b, *places(windows, p, i)], self.number(windows, p, x.shape)
        y[*b, *p] = ph.mean[i](e) if n is None else ph.sum[i](e) / n
        return y

    def number(
        self, windows: tuple[Window, ...], p: tuple[Index, ...], shape: tuple[int, ...]
    ) -> Any:
        """What the sum of a window is divided by; None where it is the size of all windows."""
        if self.divisor_override is not None:
            return self.divisor_override
        ends = [
            (0, n + 2 * w.low) if self.count_include_pad else (w.low, n + w.low)
            for w, n in zip(windows, shape[-self.axes :], strict=True)
        ]
        if all(within(w, n, *end) for w, n, end in zip(windows, p, ends, strict=True)):
            return None
        return prod(counted(w, n, *end) for w, n, end in zip(windows, p, ends, strict=True))


def within(w: Window, n: Index, first: int, end: int) -> bool:
    """Whether all windows lie between these two places of the axis after padding."""
    return first == 0 and (size_of(n) - 1) * w.stride + w.kernel <= end


def counted(w: Window, n: Index, first: int, end: int) -> Any:
    """How many elements of window n lie between two places of the axis after padding."""
    if within(w, n, first, end):
        return w.kernel
    begin = times(w.stride, n)
    return ph.minimum(begin + w.kernel, end) - ph.maximum(begin, first)


def size_of(n: Index) -> int:
    assert n.declared is not None
    return n.declared


class AvgPool1d(AveragePooling):
    """y[b, c, p] = mean[i](x[b, c, s p + i]): see `AveragePooling`."""

    axes = 1


class AvgPool2d(AveragePooling):
    """y[b, c, p, q] = mean[i, j](x[b, c, s p + i, s q + j]): see `AveragePooling`."""

    axes = 2


class AvgPool3d(AveragePooling):
    """The same over three axes: see `AveragePooling`."""

    axes = 3


# Powers -------------------------------------------------------------------------------------------


class PowerPooling(Pooling):
    """The LP norm of each window without absolute values: what LPPool1d to LPPool3d share.

    y[b, c, p, q] = (Σ[i, j] x[b, c, s p + i, s q + j]^e)^(1/e), with e = norm_type: the sum for 1,
    near the maximum for large e. Where the sum is 0, so is its gradient. A window that reaches
    beyond the end (ceil_mode) counts as if the elements it lacks were like those it has.
    x (..., channels, *sizes) -> (..., channels, *counts).
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not.
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        self.take(kernel_size, stride, 0, 1, ceil_mode)
        if isinstance(norm_type, bool) or not isinstance(norm_type, int | float) or norm_type <= 0:
            raise UsageError(
                f"norm_type of {type(self).__name__} must be a number above 0, not {norm_type!r}"
            )
        self.norm_type = norm_type

    def __call__(self, x: Any) -> Any:
        windows, b, p = self.placed(x)
        i, e = elements(windows), self.norm_type
        total, y = Tensor("total"), Tensor("y")
        powers = ph.sum[i](x[*b, *places(windows, p, i)] ** e)
        for w, n, size in zip(windows, p, x.shape[-self.axes :], strict=True):
            if not within(w, n, 0, size):
                powers = powers * (w.kernel / counted(w, n, 0, size))
        total[*b, *p] = powers
        some = ph.not_equal(total[*b, *p], 0)
        y[*b, *p] = ph.where(some, total[*b, *p] ** (1 / e), 0)
        return y


class LPPool1d(PowerPooling):
    """y[b, c, p] = (Σ[i] x[b, c, s p + i]^e)^(1/e): see `PowerPooling`."""

    axes = 1


class LPPool2d(PowerPooling):
    """y[b, c, p, q] = (Σ[i, j] x[b, c, s p + i, s q + j]^e)^(1/e): see `PowerPooling`."""

    axes = 2


class LPPool3d(PowerPooling):
    """The same over three axes: see `PowerPooling`."""

    axes = 3


# Whole axes ---------------------------------------------------------------------------------------


class GlobalPooling(ph.Model):
    """One number for each channel: what GlobalAvgPool and GlobalMaxPool share.

    x (batch, channels, *sizes) -> (batch, channels), or with keepdims (batch, channels, 1, ..., 1).
    Raises ShapeError for a tensor without axes after its channels.
    """

    reduction: ClassVar[Any]

    def __init__(self, keepdims: bool = False) -> None:
        self.keepdims = keepdims

    def __call__(self, x: Any) -> Any:
        sizes = expect(x, self, least=3)[2:]
        p = tuple(Index(f"p{n}") for n in range(len(sizes)))
        y, place = Tensor("y"), (0,) * len(sizes) if self.keepdims else ()
        y[b, c, *place] = self.reduction[p](x[b, c, *p])
        return y


class GlobalAvgPool(GlobalPooling):
    """y[b, c] = mean[p, q](x[b, c, p, q]), over any number of axes: see `GlobalPooling`."""

    reduction = ph.mean


class GlobalMaxPool(GlobalPooling):
    """y[b, c] = max[p, q](x[b, c, p, q]), over any number of axes: see `GlobalPooling`."""

    reduction = ph.max
