"""Convolutions and transposed convolutions against PyTorch; what they refuse."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same

import phistar as ph
from phistar import nn
from phistar.errors import ShapeError, UsageError
from phistar.nn import convolution


def conv(axes: int, *args: Any, x: Any, everywhere: bool = False, **kwargs: Any) -> Row:
    return same(f"Conv{axes}d", *args, inputs=(x,), everywhere=everywhere, **kwargs)


def transposed(axes: int, *args: Any, x: Any, everywhere: bool = False, **kwargs: Any) -> Row:
    return same(f"ConvTranspose{axes}d", *args, inputs=(x,), everywhere=everywhere, **kwargs)


class SizedUp(nn.ConvTranspose2d):
    """One that is told the sizes of its result."""

    def __call__(self, x: Any) -> Any:
        return super().__call__(x, output_size=(16, 13))


line, plane, space = normal(2, 4, 9), normal(2, 4, 7, 6), normal(2, 2, 5, 4, 4)
# fmt: off
ROWS = {
    "Conv1d":                     conv(1, 4, 3, 3, x=line),
    "Conv1d: no batch":           conv(1, 4, 3, 3, x=line[0]),
    "Conv1d: length 1":           conv(1, 4, 3, 1, x=line[:, :, :1]),
    "Conv1d: kernel = size":      conv(1, 4, 3, 9, x=line),
    "Conv1d: same, even kernel":  conv(1, 4, 3, 4, padding="same", x=line, everywhere=True),
    "Conv1d: same, dilated":      conv(1, 4, 3, 4, padding="same", dilation=3, x=line),
    "Conv1d: reflect":            conv(1, 4, 3, 3, padding=2, padding_mode="reflect", x=line),
    "Conv1d: reflect, at most":   conv(1, 4, 3, 3, padding=8, padding_mode="reflect", x=line),
    "Conv1d: replicate":          conv(1, 4, 3, 3, padding=11, padding_mode="replicate", x=line),
    "Conv1d: circular":           conv(1, 4, 3, 3, padding=2, padding_mode="circular", x=line,
                                       everywhere=True),
    "Conv1d: circular, at most":  conv(1, 4, 3, 3, padding=9, padding_mode="circular", x=line),
    "Conv1d: circular, same":     conv(1, 4, 3, 4, padding="same", padding_mode="circular", x=line),
    "Conv2d":                     conv(2, 4, 3, 3, padding=1, x=plane),
    "Conv2d: no bias":            conv(2, 4, 3, 3, bias=False, x=plane),
    "Conv2d: no batch":           conv(2, 4, 3, 3, x=plane[0]),
    "Conv2d: batch of 1":         conv(2, 4, 3, 3, x=plane[:1]),
    "Conv2d: stride":             conv(2, 4, 3, 3, stride=2, padding=1, x=plane, everywhere=True),
    "Conv2d: stride > kernel":    conv(2, 4, 3, 2, stride=3, x=plane),
    "Conv2d: 1 x 1":              conv(2, 4, 3, 1, x=plane),
    "Conv2d: 1 x 1, stride":      conv(2, 4, 3, 1, stride=2, x=plane),
    "Conv2d: kernel = size":      conv(2, 4, 3, (7, 6), x=plane),
    "Conv2d: kernel > size":      conv(2, 4, 3, 9, padding=2, x=plane),
    "Conv2d: size 1":             conv(2, 4, 3, 3, padding=1, x=plane[:, :, :1, :1]),
    "Conv2d: all by axis":        conv(2, 4, 3, (3, 2), stride=(1, 2), padding=(2, 0),
                                       dilation=(2, 1), x=plane),
    "Conv2d: dilation":           conv(2, 4, 3, 3, dilation=2, x=plane),
    "Conv2d: valid":              conv(2, 4, 3, 3, padding="valid", x=plane),
    "Conv2d: same":               conv(2, 4, 3, (3, 2), padding="same", x=plane),
    "Conv2d: groups":             conv(2, 4, 6, 3, groups=2, x=plane, everywhere=True),
    "Conv2d: depthwise":          conv(2, 4, 4, 3, groups=4, x=plane, everywhere=True),
    "Conv2d: depthwise, stride":  conv(2, 4, 4, 3, stride=2, padding=1, groups=4, x=plane),
    "Conv2d: depthwise, more":    conv(2, 4, 8, 3, groups=4, x=plane),
    "Conv2d: groups of 1 out":    conv(2, 4, 2, 3, groups=2, x=plane),
    "Conv2d: reflect":            conv(2, 4, 3, 3, padding=(1, 2), padding_mode="reflect", x=plane,
                                       everywhere=True),
    "Conv2d: reflect, stride":    conv(2, 4, 3, 3, stride=2, padding=1, padding_mode="reflect",
                                       x=plane),
    "Conv2d: reflect, groups":    conv(2, 4, 6, 3, padding=1, padding_mode="reflect", groups=2,
                                       x=plane),
    "Conv2d: replicate":          conv(2, 4, 3, 3, padding=2, padding_mode="replicate", x=plane),
    "Conv2d: circular":           conv(2, 4, 3, 3, padding=2, padding_mode="circular", x=plane),
    "Conv3d":                     conv(3, 2, 3, 3, padding=1, x=space),
    "Conv3d: stride, dilation":   conv(3, 2, 3, 2, stride=2, dilation=(2, 1, 1), x=space),
    "Conv3d: groups":             conv(3, 2, 4, 2, groups=2, x=space),
    "Conv3d: replicate":          conv(3, 2, 2, 2, padding=1, padding_mode="replicate", x=space),

    "ConvTranspose1d":               transposed(1, 4, 3, 3, x=line),
    "ConvTranspose1d: stride":       transposed(1, 4, 3, 3, stride=2, x=line),
    "ConvTranspose1d: no batch":     transposed(1, 4, 3, 3, stride=2, x=line[0]),
    "ConvTranspose1d: length 1":     transposed(1, 4, 3, 3, x=line[:, :, :1]),
    "ConvTranspose1d: more":         transposed(1, 4, 3, 2, stride=4, output_padding=3, x=line),
    "ConvTranspose1d: cropped":      transposed(1, 4, 3, 3, padding=2, x=line),
    "ConvTranspose2d":               transposed(2, 4, 3, 3, stride=2, padding=1, x=plane),
    "ConvTranspose2d: no bias":      transposed(2, 4, 3, 3, bias=False, x=plane),
    "ConvTranspose2d: batch of 1":   transposed(2, 4, 3, 3, x=plane[:1]),
    "ConvTranspose2d: doubling":     transposed(2, 4, 3, 2, stride=2, x=plane),
    "ConvTranspose2d: output":       transposed(2, 4, 3, 3, stride=2, padding=1, output_padding=1,
                                                x=plane, everywhere=True),
    "ConvTranspose2d: stride > kernel": transposed(2, 4, 3, 2, stride=3, x=plane),
    "ConvTranspose2d: dilation":     transposed(2, 4, 3, 2, dilation=3, output_padding=2, x=plane),
    "ConvTranspose2d: groups":       transposed(2, 4, 6, 3, groups=2, x=plane, everywhere=True),
    "ConvTranspose2d: depthwise":    transposed(2, 4, 4, 3, stride=2, groups=4, x=plane,
                                                everywhere=True),
    "ConvTranspose2d: all by axis":  transposed(2, 4, 6, (3, 2), stride=(2, 3), padding=(1, 0),
                                                output_padding=(1, 2), groups=2, dilation=(1, 2),
                                                x=plane),
    "ConvTranspose3d":               transposed(3, 2, 3, 2, stride=2, x=space),
    "ConvTranspose3d: groups":       transposed(3, 2, 4, 3, padding=1, groups=2, x=space),
}
ROWS["ConvTranspose2d: output size"] = Row(
    lambda: SizedUp(4, 3, 3, stride=2, dtype="f64"),
    lambda torch: torch.nn.ConvTranspose2d(4, 3, 3, stride=2, output_padding=(1, 0)),
    (plane,),
)
for name, x in (("Conv1d", line), ("Conv2d", plane), ("Conv3d", space)):
    ROWS[f"{name}: channels from the input"] = Row(
        lambda name=name: getattr(nn, name)(None, 4, 2, dtype="f64"),
        lambda torch, name=name, x=x: getattr(torch.nn, name)(x.shape[1], 4, 2),
        (x,),
    )
# fmt: on


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(convolution, ROWS)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "groups": (
        lambda: nn.Conv2d(4, 6, 3, groups=4),
        UsageError,
        "out_channels of Conv2d is 6, which does not fall into 4 equal groups",
    ),
    "no channels": (
        lambda: nn.Conv2d(None, 6, 3, groups=2),
        UsageError,
        "in_channels of Conv2d must be a whole number from 1 on, not None",
    ),
    "no channels, transposed": (
        lambda: nn.ConvTranspose1d(None, 6, 3),
        UsageError,
        "in_channels of ConvTranspose1d must be a whole number from 1 on, not None",
    ),
    "mode": (
        lambda: nn.Conv1d(4, 6, 3, padding_mode="reflekt"),
        UsageError,
        "padding_mode 'reflekt' is unknown: did you mean reflect?",
    ),
    "padding": (
        lambda: nn.Conv1d(4, 6, 3, padding="some"),
        UsageError,
        "padding 'some' of Conv1d is unknown: did you mean same?",
    ),
    "negative padding": (
        lambda: nn.Conv1d(4, 6, 3, padding=-1),
        UsageError,
        "padding of Conv1d must be a whole number from 0 on, not -1",
    ),
    "same with a stride": (
        lambda: nn.Conv2d(4, 6, 3, stride=2, padding="same"),
        UsageError,
        'padding="same" of Conv2d wants a stride of 1',
    ),
    "number of axes": (
        lambda: nn.Conv2d(4, 6, (3, 3, 3)),
        UsageError,
        r"kernel_size of Conv2d must be one number or 2, not \(3, 3, 3\)",
    ),
    "output padding": (
        lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=2),
        UsageError,
        "output_padding of ConvTranspose2d is 2: it must be smaller than the stride 2",
    ),
    "axes": (
        lambda: nn.Conv2d(4, 6, 3)(zeros(4, 4)),
        ShapeError,
        r"Conv2d takes a tensor with at least 3 axes, not shape \(4, 4\)",
    ),
    "channels": (
        lambda: nn.Conv2d(4, 6, 3)(zeros(2, 3, 9, 9)),
        ShapeError,
        r"Conv2d has 4 input channels, but axis -3 of shape \(2, 3, 9, 9\) has 3",
    ),
    "empty batch": (
        lambda: nn.Conv2d(4, 6, 3)(zeros(0, 4, 9, 9)),
        ShapeError,
        "Conv2d got an empty batch",
    ),
    "window": (
        lambda: nn.Conv2d(4, 6, 3, dilation=5, padding=1)(zeros(2, 4, 12, 8)),
        ShapeError,
        "Conv2d has windows of 11 elements, which is more than an axis of size 8 has",
    ),
    "reflected too far": (
        lambda: nn.Conv1d(4, 6, 3, padding=5, padding_mode="reflect")(zeros(2, 4, 5)),
        ShapeError,
        "padding by 5 with mode 'reflect' is too much for an axis of size 5",
    ),
    "output size": (
        lambda: nn.ConvTranspose1d(4, 6, 3, stride=2)(zeros(2, 4, 5), 13),
        ShapeError,
        r"ConvTranspose1d makes a size from 11 to 12, not 13, of shape \(2, 4, 5\)",
    ),
    "cropped to nothing": (
        lambda: nn.ConvTranspose1d(4, 6, 3, padding=2)(zeros(2, 4, 2)),
        ShapeError,
        "ConvTranspose1d takes the padding off, and nothing is left",
    ),
}


def zeros(*shape: int) -> Any:
    return ph.tensor(np.zeros(shape, np.float32), "x")


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str) -> None:
    mistake, error, words = BAD[what]
    with pytest.raises(error, match=words):
        mistake()


def test_the_equations_are_the_blackboards() -> None:
    def conv(layer: Any, x: Any) -> Any:
        return layer(x)

    x = np.zeros((2, 4, 9, 9), np.float32)
    assert str(ph.trace(conv, nn.Conv2d(4, 6, 3, stride=2, padding=1), x)) == (
        "y[b, k, p, q] = Σ_{c, i, j} weight[k, c, i, j] * x[b, c, pad(2*p + i, 1), pad(2*q + j, 1)]"
        " + bias[k]"
    )
    assert str(ph.trace(conv, nn.Conv2d(4, 6, 3, groups=2, bias=False), x)) == (
        "y[b, (g, k), p, q] = Σ_{c, i, j} weight[(g, k), c, i, j] * x[b, (g, c), p + i, q + j]"
    )
    assert str(ph.trace(conv, nn.Conv2d(4, 4, 3, groups=4, bias=False), x)) == (
        "y[b, g, p, q] = Σ_{i, j} weight[g, 0, i, j] * x[b, g, p + i, q + j]"
    )
    assert str(ph.trace(conv, nn.ConvTranspose2d(4, 6, 3, stride=2, bias=False), x)) == (
        "y[b, k, 2*p + i, 2*q + j] += Σ_c weight[c, k, i, j] * x[b, c, p, q]"
    )


def test_the_default_start_has_the_fan_of_the_window() -> None:
    layer = nn.Conv2d(32, 64, 3)
    layer.initialize()
    assert abs(layer.weight.value.std() - np.sqrt(2 / (32 * 9))) < 1e-3
    assert not layer.bias.value.any()
