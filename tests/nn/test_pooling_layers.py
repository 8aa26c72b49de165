"""Pooling and unpooling against PyTorch; what they refuse."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import IndexRangeError, ShapeError, UsageError
from phistar.nn import adaptive, pooling, unpooling

line, plane, space = normal(2, 3, 9), normal(2, 3, 7, 6), normal(2, 2, 5, 4, 4)
square = normal(2, 3, 7, 7)


def row(name: str, *args: Any, x: Any, everywhere: bool = False, **kwargs: Any) -> Row:
    return same(name, *args, inputs=(x,), everywhere=everywhere, **kwargs)


def places(x: np.ndarray, name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Numbers and places as pooling gives them."""
    pool = ph.jit(lambda layer, x: layer(x), backend="numpy")
    return pool(getattr(nn, name)(*args, return_indices=True, **kwargs), x)


# fmt: off
ROWS = {
    "MaxPool1d":                  row("MaxPool1d", 2, x=line),
    "MaxPool1d: no batch":        row("MaxPool1d", 2, x=line[0]),
    "MaxPool1d: kernel = size":   row("MaxPool1d", 9, x=line),
    "MaxPool1d: length 1":        row("MaxPool1d", 1, x=line[:, :, :1]),
    "MaxPool1d: places":          row("MaxPool1d", 3, 2, 1, return_indices=True, x=line),
    "MaxPool1d: dilation":        row("MaxPool1d", 3, 1, dilation=3, return_indices=True, x=line),
    "MaxPool1d: ceil":            row("MaxPool1d", 4, 4, ceil_mode=True, x=line),
    "MaxPool1d: ceil, dropped":   row("MaxPool1d", 2, 4, 1, ceil_mode=True, x=line[:, :, :7]),
    "MaxPool2d":                  row("MaxPool2d", 2, x=plane),
    "MaxPool2d: overlapping":     row("MaxPool2d", 3, 2, 1, x=plane, everywhere=True),
    "MaxPool2d: stride > kernel": row("MaxPool2d", 2, 3, x=plane),
    "MaxPool2d: kernel = size":   row("MaxPool2d", (7, 6), x=plane),
    "MaxPool2d: batch of 1":      row("MaxPool2d", 2, x=plane[:1]),
    "MaxPool2d: places":          row("MaxPool2d", 3, 2, 1, return_indices=True, x=plane,
                                      everywhere=True),
    "MaxPool2d: all by axis":     row("MaxPool2d", (3, 2), (2, 1), (1, 0), (2, 3),
                                      return_indices=True, x=plane),
    "MaxPool2d: ceil":            row("MaxPool2d", 3, 2, 1, ceil_mode=True, return_indices=True,
                                      x=plane, everywhere=True),
    "MaxPool2d: ties":            row("MaxPool2d", 2, return_indices=True, x=np.ones((1, 1, 4, 4))),
    "MaxPool3d":                  row("MaxPool3d", 2, x=space),
    "MaxPool3d: places":          row("MaxPool3d", (3, 2, 3), (2, 1, 1), (1, 0, 1),
                                      return_indices=True, x=space),

    "AvgPool1d":                  row("AvgPool1d", 2, x=line),
    "AvgPool1d: no batch":        row("AvgPool1d", 2, x=line[0]),
    "AvgPool1d: padding":         row("AvgPool1d", 4, 3, 2, x=line),
    "AvgPool1d: without padding": row("AvgPool1d", 4, 3, 2, count_include_pad=False, x=line),
    "AvgPool1d: length 1":        row("AvgPool1d", 1, x=line[:, :, :1]),
    "AvgPool2d":                  row("AvgPool2d", 2, x=plane),
    "AvgPool2d: stride > kernel": row("AvgPool2d", 2, 3, x=plane),
    "AvgPool2d: kernel = size":   row("AvgPool2d", (7, 6), x=plane),
    "AvgPool2d: padding":         row("AvgPool2d", 3, 2, 1, x=plane),
    "AvgPool2d: without padding": row("AvgPool2d", 3, 2, 1, count_include_pad=False, x=plane,
                                      everywhere=True),
    "AvgPool2d: ceil":            row("AvgPool2d", 3, 2, 1, ceil_mode=True, x=plane,
                                      everywhere=True),
    "AvgPool2d: ceil, no padding": row("AvgPool2d", 4, 3, ceil_mode=True, x=plane),
    "AvgPool2d: ceil, without":   row("AvgPool2d", 3, 2, 1, ceil_mode=True, x=plane,
                                      count_include_pad=False),
    "AvgPool2d: divisor":         row("AvgPool2d", 3, 2, 1, divisor_override=5, x=plane),
    "AvgPool3d":                  row("AvgPool3d", 2, x=space),
    "AvgPool3d: all by axis":     row("AvgPool3d", (3, 2, 2), (2, 1, 2), (1, 0, 1), ceil_mode=True,
                                      count_include_pad=False, x=space),

    "LPPool1d":                   row("LPPool1d", 2, 3, x=line),
    "LPPool1d: ceil":             row("LPPool1d", 4, 2, 2, ceil_mode=True, x=line[:, :, :8]),
    "LPPool1d: ceil, cut":        row("LPPool1d", 2, 4, 3, ceil_mode=True, x=line),
    "LPPool2d":                   row("LPPool2d", 2, 2, x=plane),
    "LPPool2d: odd":              row("LPPool2d", 3, 3, 2, x=np.abs(plane)),
    "LPPool2d: sum":              row("LPPool2d", 1, 3, 2, x=plane),
    "LPPool2d: fraction":         row("LPPool2d", 1.5, (3, 2), (1, 2), x=np.abs(plane)),
    "LPPool3d":                   row("LPPool3d", 2, 2, x=space),

    "AdaptiveAvgPool1d":          row("AdaptiveAvgPool1d", 3, x=line),
    "AdaptiveAvgPool1d: ragged":  row("AdaptiveAvgPool1d", 4, x=line, everywhere=True),
    "AdaptiveAvgPool1d: more":    row("AdaptiveAvgPool1d", 13, x=line),
    "AdaptiveAvgPool1d: no batch": row("AdaptiveAvgPool1d", 2, x=line[0]),
    "AdaptiveAvgPool2d":          row("AdaptiveAvgPool2d", 1, x=plane),
    "AdaptiveAvgPool2d: ragged":  row("AdaptiveAvgPool2d", (3, 4), x=plane, everywhere=True),
    "AdaptiveAvgPool2d: one":     row("AdaptiveAvgPool2d", (3, 2), x=plane),
    "AdaptiveAvgPool2d: as it is": row("AdaptiveAvgPool2d", (None, 5), x=plane),
    "AdaptiveAvgPool3d":          row("AdaptiveAvgPool3d", (2, 3, 4), x=space),
    "AdaptiveMaxPool1d":          row("AdaptiveMaxPool1d", 3, x=line),
    "AdaptiveMaxPool1d: ragged":  row("AdaptiveMaxPool1d", 4, return_indices=True, x=line),
    "AdaptiveMaxPool1d: more":    row("AdaptiveMaxPool1d", 13, return_indices=True, x=line),
    "AdaptiveMaxPool2d":          row("AdaptiveMaxPool2d", (7, 3), x=plane),
    "AdaptiveMaxPool2d: ragged":  row("AdaptiveMaxPool2d", (3, 4), return_indices=True, x=plane,
                                      everywhere=True),
    "AdaptiveMaxPool2d: negative": row("AdaptiveMaxPool2d", (3, 4), x=-np.abs(plane) - 1),
    "AdaptiveMaxPool3d":          row("AdaptiveMaxPool3d", (2, 3, 4), x=space),

    "MaxUnpool1d":                same("MaxUnpool1d", 2, inputs=places(line, "MaxPool1d", 2)),
    "MaxUnpool1d: stride > kernel": same("MaxUnpool1d", 2, 3,
                                      inputs=places(line, "MaxPool1d", 2, 3)),
    "MaxUnpool2d":                same("MaxUnpool2d", 2, inputs=places(plane, "MaxPool2d", 2)),
    "MaxUnpool2d: padding":       same("MaxUnpool2d", 3, 3, 1,
                                      inputs=places(square, "MaxPool2d", 3, 3, 1)),
    "MaxUnpool3d":                same("MaxUnpool3d", 2, inputs=places(space, "MaxPool3d", 2)),
    "GlobalAvgPool":              Row(nn.GlobalAvgPool, lambda torch: lambda x: x.mean((2, 3)),
                                      (plane,)),
    "GlobalAvgPool: one axis":    Row(nn.GlobalAvgPool, lambda torch: lambda x: x.mean(2), (line,)),
    "GlobalAvgPool: kept":        Row(lambda: nn.GlobalAvgPool(keepdims=True),
                                      lambda torch: lambda x: x.mean((2, 3), keepdim=True),
                                      (plane,)),
    "GlobalMaxPool":              Row(nn.GlobalMaxPool, lambda torch: lambda x: x.amax((2, 3)),
                                      (plane,)),
    "GlobalMaxPool: kept":        Row(lambda: nn.GlobalMaxPool(keepdims=True),
                                      lambda torch: lambda x: x.amax((2, 3, 4), keepdim=True),
                                      (space,)),
}
# fmt: on


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((pooling, adaptive, unpooling), ROWS)


def unpooled(layer: Any, x: Any, place: Any, size: Any = None, backend: str = "numpy") -> Any:
    return ph.jit(lambda layer, x, place: layer(x, place, size), backend=backend)(layer, x, place)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_overlapping_windows_that_name_one_place(backend: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    x, place = places(plane, "MaxPool2d", 3, 2, 1)
    want = torch.nn.MaxUnpool2d(3, 2, 1)(torch.tensor(x), torch.tensor(place), (7, 6)).numpy()
    assert len(np.unique(place[0, 0])) < place[0, 0].size
    found = unpooled(nn.MaxUnpool2d(3, 2, 1), x, place, (7, 6), backend)
    assert_allclose(found, want, rtol=1e-12)


def test_unpooling_to_a_size_that_windows_did_not_fill() -> None:
    x, place = places(plane, "MaxPool2d", (2, 4))
    found = unpooled(nn.MaxUnpool2d((2, 4)), x, place, (7, 6))
    assert found.shape == plane.shape
    assert_array_equal(found[found != 0], plane[found != 0])
    assert (found != 0).sum() == x.size


def test_the_gradient_of_a_power_that_sums_to_nothing_is_zero() -> None:
    def total(x: Any) -> Any:
        y = nn.LPPool1d(2, 2)(x)
        b, c, p = ph.indices("b c p")
        return ph.sum[b, c, p](y[b, c, p])

    value, gradient = ph.value_and_grad(total)(np.array([[[0.0, 0.0, 3.0, 4.0]]]))
    assert value == 5
    assert_allclose(gradient, [[[0, 0, 0.6, 0.8]]])


def test_the_equations_are_the_blackboards() -> None:
    def pool(layer: Any, x: Any) -> Any:
        return layer(x)

    x = np.zeros((2, 4, 9, 9))
    assert str(ph.trace(pool, nn.MaxPool2d(3, 2, 1), x)) == (
        "y[b, c, p, q] = max[i, j](x[b, c, pad(2*p + i, 1, value=-inf), "
        "pad(2*q + j, 1, value=-inf)])"
    )
    assert str(ph.trace(pool, nn.AvgPool2d(2), x)) == (
        "y[b, c, p, q] = mean[i, j](x[b, c, 2*p + i, 2*q + j])"
    )
    assert str(ph.trace(pool, nn.AdaptiveAvgPool2d(3), x)) == (
        "y[b, c, p, q] = mean[i, j](x[b, c, 3*p + i, 3*q + j])"
    )


def zeros(*shape: int) -> Any:
    return ph.tensor(np.zeros(shape, np.float32), "x")


def wholes(*shape: int) -> Any:
    return ph.tensor(np.zeros(shape, np.int64), "place")


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "padding": (
        lambda: nn.MaxPool2d(3, padding=2),
        UsageError,
        "padding of MaxPool2d is 2: it may be half of a window of 3 elements at most",
    ),
    "divisor": (
        lambda: nn.AvgPool2d(3, divisor_override=0),
        UsageError,
        "divisor_override of AvgPool2d must be a whole number other than 0, not 0",
    ),
    "exponent": (
        lambda: nn.LPPool2d(0, 3),
        UsageError,
        "norm_type of LPPool2d must be a number above 0, not 0",
    ),
    "axes": (
        lambda: nn.MaxPool2d(2)(zeros(4, 4)),
        ShapeError,
        r"MaxPool2d takes a tensor with at least 3 axes, not shape \(4, 4\)",
    ),
    "window": (
        lambda: nn.AvgPool1d(5)(zeros(1, 2, 4)),
        ShapeError,
        "AvgPool1d has windows of 5 elements, which is more than an axis of size 4 has",
    ),
    "window, ceil": (
        lambda: nn.MaxPool1d(9, 2, ceil_mode=True)(zeros(1, 2, 4)),
        ShapeError,
        "MaxPool1d has windows of 9 elements, which is more than an axis of size 4 has",
    ),
    "empty batch": (
        lambda: nn.GlobalAvgPool()(zeros(0, 2, 4)),
        ShapeError,
        "GlobalAvgPool got an empty batch",
    ),
    "outputs": (
        lambda: nn.AdaptiveAvgPool2d((2, 3, 4)),
        UsageError,
        r"output_size of AdaptiveAvgPool2d must be one number or 2, not \(2, 3, 4\)",
    ),
    "no output": (
        lambda: nn.AdaptiveMaxPool1d(0),
        UsageError,
        "output_size of AdaptiveMaxPool1d must be a whole number from 1 on, not 0",
    ),
    "places": (
        lambda: nn.MaxUnpool1d(2)(zeros(1, 2, 4), wholes(1, 2, 3)),
        ShapeError,
        r"a place for each element: shapes \(1, 2, 4\) and \(1, 2, 3\) differ",
    ),
    "axes back": (
        lambda: nn.MaxUnpool1d(2)(zeros(1, 2, 4), wholes(1, 2, 4), (8, 8)),
        UsageError,
        r"output_size of MaxUnpool1d has 1 sizes, not \(8, 8\)",
    ),
    "size back": (
        lambda: nn.MaxUnpool1d(2)(zeros(1, 2, 4), wholes(1, 2, 4), (10,)),
        ShapeError,
        r"MaxUnpool1d makes sizes near \(8,\), not \(10,\), of shape \(1, 2, 4\)",
    ),
    "place back": (
        lambda: nn.MaxUnpool1d(2)(zeros(1, 1, 1), ph.tensor(np.array([[[2]]]), "place")).value,
        IndexRangeError,
        "2",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str) -> None:
    mistake, error, words = BAD[what]
    with pytest.raises(error, match=words):
        mistake()
