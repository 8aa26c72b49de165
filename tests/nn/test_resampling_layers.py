"""Layers that move elements or give axes another size, against PyTorch; what they refuse."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same
from numpy.testing import assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import ShapeError, UsageError
from phistar.nn import resampling, reshaping

line, plane, space = normal(2, 3, 7), normal(2, 3, 5, 4), normal(1, 2, 3, 4, 2)
deep = normal(2, 8, 3, 2)


def row(name: str, *args: Any, x: Any, everywhere: bool = False, **kwargs: Any) -> Row:
    return same(name, *args, inputs=(x,), everywhere=everywhere, **kwargs)


def up(
    x: np.ndarray, everywhere: bool = False, align_corners: bool | None = None, **kwargs: Any
) -> Row:
    corners = {} if align_corners is None else {"align_corners": align_corners}
    return Row(
        lambda: nn.Upsample(**kwargs, **corners),
        lambda torch: torch.nn.Upsample(**kwargs, align_corners=align_corners),
        (x,),
        everywhere=everywhere,
    )


# fmt: off
ROWS = {
    "Flatten":                    row("Flatten", x=plane),
    "Flatten: all":               row("Flatten", 0, x=plane),
    "Flatten: between":           row("Flatten", 1, 2, x=plane),
    "Flatten: nothing":           row("Flatten", -1, x=plane),
    "Flatten: five axes":         row("Flatten", -3, 3, x=space),
    "Unflatten":                  row("Unflatten", 1, (2, 4), x=deep),
    "Unflatten: first":           row("Unflatten", 0, (2, 1), x=deep),
    "Unflatten: the rest":        row("Unflatten", -3, (2, -1, 2), x=deep),
    "Unflatten: one":             row("Unflatten", 1, (8,), x=deep),
    "PixelShuffle":               row("PixelShuffle", 2, x=deep),
    "PixelShuffle: by 1":         row("PixelShuffle", 1, x=deep),
    "PixelShuffle: no batch":     row("PixelShuffle", 2, x=deep[0]),
    "PixelShuffle: two batches":  row("PixelShuffle", 3, x=normal(2, 1, 9, 2, 3)),
    "PixelUnshuffle":             row("PixelUnshuffle", 2, x=normal(2, 3, 4, 6)),
    "PixelUnshuffle: no batch":   row("PixelUnshuffle", 3, x=normal(1, 3, 6)),
    "Upsample":                   up(plane, scale_factor=2),
    "Upsample: one axis":         up(line, scale_factor=3),
    "Upsample: three axes":       up(space, scale_factor=(2, 1, 3)),
    "Upsample: nearest, size":    up(plane, size=(8, 3), everywhere=True),
    "Upsample: nearest, factor":  up(plane, scale_factor=1.5),
    "Upsample: nearest, smaller": up(plane, scale_factor=0.5),
    "Upsample: exact":            up(plane, scale_factor=2, mode="nearest-exact"),
    "Upsample: exact, size":      up(plane, size=(8, 3), mode="nearest-exact"),
    "Upsample: linear":           up(line, scale_factor=2, mode="linear"),
    "Upsample: linear, 1":        up(line[:, :, :1], scale_factor=4, mode="linear"),
    "Upsample: linear, to 1":     up(line, size=1, mode="linear"),
    "Upsample: linear, smaller":  up(line, size=3, mode="linear"),
    "Upsample: linear, 2.6":      up(line, scale_factor=2.6, mode="linear"),
    "Upsample: linear, as it is": up(line, size=7, mode="linear"),
    "Upsample: linear, corners":  up(line, size=12, mode="linear", align_corners=True),
    "Upsample: corners, 1":       up(line[:, :, :1], size=4, mode="linear", align_corners=True),
    "Upsample: corners, to 1":    up(line, size=1, mode="linear", align_corners=True),
    "Upsample: bilinear":         up(plane, scale_factor=2, mode="bilinear", everywhere=True),
    "Upsample: bilinear, size":   up(plane, size=(3, 9), mode="bilinear"),
    "Upsample: bilinear, 1.25":   up(plane, scale_factor=1.25, mode="bilinear"),
    "Upsample: bilinear, corners": up(plane, size=(3, 9), mode="bilinear", align_corners=True,
                                      everywhere=True),
    "Upsample: trilinear":        up(space, scale_factor=2, mode="trilinear"),
    "Upsample: trilinear, corners": up(space, size=(5, 4, 3), mode="trilinear",
                                       align_corners=True),
}
# fmt: on


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((resampling, reshaping), ROWS)


def test_shuffle_and_unshuffle_undo_each_other() -> None:
    there_and_back = ph.jit(lambda x: nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x)))
    assert_array_equal(there_and_back(deep), deep)


def test_the_equations_are_the_blackboards() -> None:
    def source(layer: Any, x: Any) -> str:
        return str(ph.trace(lambda x: layer(x), x))

    assert source(nn.Flatten(), plane) == "y[b, (c, h, w)] = x[b, c, h, w]"
    assert source(nn.PixelShuffle(2), deep) == "y[b, c, (h, i), (w, j)] = x[b, (c, i, j), h, w]"
    assert source(nn.Upsample(scale_factor=2), line) == "y[b, c, p] = x[b, c, p//2]"


def zeros(*shape: int) -> Any:
    return ph.tensor(np.zeros(shape, np.float32), "x")


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "axis": (
        lambda: nn.Flatten(1.0),
        UsageError,
        "Flatten takes the number of an axis, not 1.0",
    ),
    "no such axis": (
        lambda: nn.Flatten(4)(zeros(2, 3)),
        ShapeError,
        r"Flatten takes axis 4, which shape \(2, 3\) has not",
    ),
    "order": (
        lambda: nn.Flatten(2, 1)(zeros(2, 3, 4)),
        ShapeError,
        r"Flatten takes axis 2 to 1, but these are 2 to 1 of shape \(2, 3, 4\)",
    ),
    "two rests": (
        lambda: nn.Unflatten(1, (-1, -1)),
        UsageError,
        r"must have one size or more, and one -1 at most, not \(-1, -1\)",
    ),
    "no sizes": (lambda: nn.Unflatten(1, ()), UsageError, "must have one size or more"),
    "size": (
        lambda: nn.Unflatten(1, (2, 0)),
        UsageError,
        "unflattened_size of Unflatten must be a whole number from 1 on, not 0",
    ),
    "elements": (
        lambda: nn.Unflatten(1, (3, -1))(zeros(2, 8)),
        ShapeError,
        r"Unflatten makes \(3, -1\) of axis 1, but that has 8 elements in shape \(2, 8\)",
    ),
    "factor": (
        lambda: nn.PixelShuffle(1.5),
        UsageError,
        "upscale_factor of PixelShuffle must be a whole number from 1 on, not 1.5",
    ),
    "channels": (
        lambda: nn.PixelShuffle(2)(zeros(1, 6, 3, 3)),
        ShapeError,
        r"PixelShuffle takes a multiple of 4 channels, not the 6 of shape \(1, 6, 3, 3\)",
    ),
    "pixels": (
        lambda: nn.PixelUnshuffle(2)(zeros(1, 6, 3, 4)),
        ShapeError,
        r"multiples of 2, not those of shape \(1, 6, 3, 4\)",
    ),
    "neither": (lambda: nn.Upsample(), UsageError, "takes either size or scale_factor"),
    "both": (lambda: nn.Upsample(2, 2), UsageError, "takes either size or scale_factor"),
    "mode": (
        lambda: nn.Upsample(2, mode="bilinar"),
        UsageError,
        "mode 'bilinar' of Upsample is unknown: did you mean bilinear?",
    ),
    "corners": (
        lambda: nn.Upsample(2, align_corners=True),
        UsageError,
        "align_corners of Upsample is for linear modes, not for 'nearest'",
    ),
    "rank": (
        lambda: nn.Upsample(2, mode="bilinear")(zeros(1, 2, 3)),
        ShapeError,
        r"Upsample with mode 'bilinear' takes a tensor with 4 axes, not shape \(1, 2, 3\)",
    ),
    "axes": (
        lambda: nn.Upsample(2)(zeros(2, 3)),
        ShapeError,
        r"Upsample takes a tensor with 3 to 5 axes, not shape \(2, 3\)",
    ),
    "nothing left": (
        lambda: nn.Upsample(scale_factor=0.1)(zeros(1, 2, 3)),
        ShapeError,
        r"Upsample by 0.1 leaves nothing of sizes \(3,\)",
    ),
    "factors": (
        lambda: nn.Upsample(scale_factor=(2, 2))(zeros(1, 2, 3)),
        UsageError,
        r"scale_factor of Upsample must be one number or 1, not \(2, 2\)",
    ),
    "negative": (
        lambda: nn.Upsample(scale_factor=-2)(zeros(1, 2, 3)),
        UsageError,
        "scale_factor of Upsample must be above 0, not -2",
    ),
    "empty batch": (
        lambda: nn.Flatten()(zeros(0, 2, 3)),
        ShapeError,
        "Flatten got an empty batch",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str) -> None:
    mistake, error, words = BAD[what]
    with pytest.raises(error, match=words):
        mistake()
