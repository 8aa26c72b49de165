"""Convolutions and transposed convolutions over one, two and three axes, channels first.

    convolution             y[b, k, p, q] = W[k, c, i, j] x[b, c, s p + d i, s q + d j] + a[k]
    in groups               y[b, (g, k), p, q] = W[(g, k), c, i, j] x[b, (g, c), ...] + a[(g, k)]
    transposed convolution  y[b, k, s p + d i, s q + d j] += W[c, k, i, j] x[b, c, p, q]

Positions count on the axis after padding. Weights lie as in PyTorch.
"""

from typing import Any, ClassVar

import phistar as ph
from phistar.errors import ShapeError, UsageError, suggestion
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.edges import MODES, extended
from phistar.nn.shapes import each, expect, expect_size, leading, whole
from phistar.nn.windows import Window, counts, elements, made_windows, places, positions

Size = int | tuple[int, ...]

# Convolutions -------------------------------------------------------------------------------------


class Convolution(ph.Model):
    """A convolution over `axes` axes: what Conv1d, Conv2d and Conv3d share.

    x (..., in_channels, *sizes) -> (..., out_channels, *counts). in_channels: None leaves it to the
    first tensor that comes, where there is one group. kernel_size, stride, dilation: a number, or
    one for each axis. padding: likewise, or "same" (as many windows as elements; what is odd goes
    to the end) or "valid" (none). groups: channels in and out fall into as many groups, each of
    which sees only its own; as many groups as channels is a depthwise convolution. padding_mode:
    "zeros", "reflect", "replicate" or "circular". init, bias_init: as `ph.param` takes them; by
    default He's by fan-in, and 0. weight: (out_channels, in_channels / groups, *kernel_size).
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not.
    """

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        init: Any = None,
        bias_init: Any = 0,
        dtype: Any = "f32",
    ) -> None:
        check_channels(self, in_channels, out_channels, groups)
        check_mode(padding_mode)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.windows = padded_windows(self, kernel_size, stride, padding, dilation)
        self.padding_mode = padding_mode
        shape: tuple[int, ...] = ()
        if in_channels is not None:
            shape = (out_channels, in_channels // groups, *(w.kernel for w in self.windows))
        self.weight = ph.param(*shape, init=init, dtype=dtype)
        self.bias = ph.param(out_channels, init=bias_init, dtype=dtype) if bias else None

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=self.axes + 1)
        check_input(self, shape)
        counts(self, self.windows, shape)
        windows = self.windows
        if self.padding_mode != "zeros":
            x = extended(x, tuple((w.low, w.high) for w in windows), self.padding_mode)
            windows = tuple(Window(w.kernel, w.stride, w.dilation) for w in windows)
        b, p, i = leading(shape, self.axes + 1), positions(self.axes), elements(windows)
        at, y = places(windows, p, i), Tensor("y")
        k, _ = in_groups("k", self.out_channels, self.groups)
        c, own = in_groups("c", shape[-self.axes - 1], self.groups)
        if self.bias is None:
            y[*b, k, *p] = self.weight[k, own, *i] * x[*b, c, *at]
        else:
            y[*b, k, *p] = self.weight[k, own, *i] * x[*b, c, *at] + self.bias[k,]
        return y


class Conv1d(Convolution):
    """y[b, k, p] = W[k, c, i] x[b, c, s p + d i] + a[k]: see `Convolution`."""

    axes = 1


class Conv2d(Convolution):
    """y[b, k, p, q] = W[k, c, i, j] x[b, c, s p + d i, s q + d j] + a[k]: see `Convolution`."""

    axes = 2


class Conv3d(Convolution):
    """The same over three axes p, q, r, with windows i, j, l: see `Convolution`."""

    axes = 3


# Transposed convolutions --------------------------------------------------------------------------


class TransposedConvolution(ph.Model):
    """The gradient of a convolution by its input, as a layer: what ConvTranspose1d to 3d share.

    x (..., in_channels, *counts) -> (..., out_channels, *sizes), where a size is
    (count - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1. kernel_size,
    stride, padding, output_padding, dilation: a number, or one for each axis. weight:
    (in_channels, out_channels / groups, *kernel_size). The rest is as in `Convolution`.
    output_size, in a call: the sizes of the result, in place of output_padding.
    Raises UsageError for arguments that do not fit together, ShapeError for tensors that do not.
    """

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        init: Any = None,
        bias_init: Any = 0,
        dtype: Any = "f32",
    ) -> None:
        check_channels(self, in_channels, out_channels, groups)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        sides = each(self, "padding", padding, self.axes, least=0)
        self.windows = made_windows(self, kernel_size, stride, dilation, [(n, n) for n in sides])
        self.output_padding = each(self, "output_padding", output_padding, self.axes, least=0)
        check_output_padding(self)
        kernel = (w.kernel for w in self.windows)
        self.weight = ph.param(in_channels, out_channels // groups, *kernel, init=init, dtype=dtype)
        self.bias = ph.param(out_channels, init=bias_init, dtype=dtype) if bias else None

    def __call__(self, x: Any, output_size: Size | None = None) -> Any:
        shape = expect(x, self, least=self.axes + 1)
        check_input(self, shape)
        sizes = self.sizes(shape, output_size)
        b, p, i = leading(shape, self.axes + 1), positions(self.axes), elements(self.windows)
        y: Any = Tensor("y", sizes=[*shape[: len(b)], self.out_channels, *sizes])
        at = places(self.windows, p, i)
        k, own = in_groups("k", self.out_channels, self.groups)
        c, _ = in_groups("c", self.in_channels, self.groups)
        y[*b, k, *at] += self.weight[c, own, *i] * x[*b, c, *p]
        if self.bias is not None:
            y[*b, k, *p] += self.bias[k,]
        return y

    def sizes(self, shape: tuple[int, ...], wanted: Size | None) -> list[int | None]:
        """The sizes of the result; ShapeError for such as no convolution takes to these counts."""
        counts = shape[-self.axes :]
        least = [
            (count - 1) * w.stride + w.span - w.low - w.high
            for w, count in zip(self.windows, counts, strict=True)
        ]
        if wanted is None:
            found = [n + more for n, more in zip(least, self.output_padding, strict=True)]
        else:
            found = list(each(self, "output_size", wanted, self.axes))
            for w, n, size in zip(self.windows, least, found, strict=True):
                if not n <= size < n + w.stride:
                    raise ShapeError(
                        f"{type(self).__name__} makes a size from {n} to {n + w.stride - 1}, "
                        f"not {size}, of shape {shape}"
                    )
        if min(found) < 1:
            raise ShapeError(
                f"{type(self).__name__} takes the padding off, and nothing is left of a tensor "
                f"of shape {shape}"
            )
        return [*found]


class ConvTranspose1d(TransposedConvolution):
    """y[b, k, s p + d i] += W[c, k, i] x[b, c, p]: see `TransposedConvolution`."""

    axes = 1


class ConvTranspose2d(TransposedConvolution):
    """y[b, k, s p + d i, s q + d j] += W[c, k, i, j] x[b, c, p, q]: see `TransposedConvolution`."""

    axes = 2


class ConvTranspose3d(TransposedConvolution):
    """The same over three axes p, q, r, with windows i, j, l: see `TransposedConvolution`."""

    axes = 3


# Channels and windows -----------------------------------------------------------------------------


def in_groups(name: str, channels: int, groups: int) -> tuple[Any, Any]:
    """The subscript of all channels, (g, k), and of those within a group, k.

    One group needs no g; groups of one channel need no k.
    """
    g, k = Index("g", groups), Index(name, channels // groups)
    if groups == 1:
        return k, k
    return (g, 0) if channels == groups else ((g, k), k)


def check_channels(layer: Any, in_channels: Any, out_channels: Any, groups: Any) -> None:
    """UsageError for channels that are no whole numbers or do not fall into the groups."""
    whole(layer, "groups", groups)
    whole(layer, "out_channels", out_channels)
    if in_channels is not None or groups > 1 or isinstance(layer, TransposedConvolution):
        whole(layer, "in_channels", in_channels)
    for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels is not None and channels % groups:
            raise UsageError(
                f"{what} of {type(layer).__name__} is {channels}, "
                f"which does not fall into {groups} equal groups"
            )


def check_input(layer: Any, shape: tuple[int, ...]) -> None:
    """ShapeError for a tensor that has other channels than the layer was made for."""
    axis = -layer.axes - 1
    if layer.in_channels is not None:
        expect_size(layer, "input channels", layer.in_channels, shape, axis)


def check_mode(padding_mode: str) -> None:
    """UsageError for a padding mode that is none."""
    if padding_mode not in MODES:
        hint = suggestion(str(padding_mode), MODES)
        raise UsageError(f"padding_mode {padding_mode!r} is unknown: {hint}")


def check_output_padding(layer: TransposedConvolution) -> None:
    """UsageError where more is added than the elements between two windows."""
    for w, more in zip(layer.windows, layer.output_padding, strict=True):
        if more >= max(w.stride, w.dilation):
            raise UsageError(
                f"output_padding of {type(layer).__name__} is {more}: "
                f"it must be smaller than the stride {w.stride} or the dilation {w.dilation}"
            )


def padded_windows(
    layer: Convolution, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Window, ...]:
    """The windows of a convolution, with the padding in numbers; UsageError for what is none."""
    if not isinstance(padding, str):
        sides = [(n, n) for n in each(layer, "padding", padding, layer.axes, least=0)]
        return made_windows(layer, kernel_size, stride, dilation, sides)
    bare = made_windows(layer, kernel_size, stride, dilation, [(0, 0)] * layer.axes)
    if padding == "valid":
        return bare
    if padding != "same":
        hint = suggestion(padding, ("same", "valid"))
        raise UsageError(f"padding {padding!r} of {type(layer).__name__} is unknown: {hint}")
    if any(w.stride != 1 for w in bare):
        raise UsageError(f'padding="same" of {type(layer).__name__} wants a stride of 1')
    sides = [((w.span - 1) // 2, w.span // 2) for w in bare]
    return made_windows(layer, kernel_size, stride, dilation, sides)
