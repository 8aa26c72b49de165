"""Normalisation against PyTorch; running statistics over a training; what is refused."""

from typing import Any

import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same

from phistar import nn
from phistar.nn import normalisation, running

rows, line, plane, space = (
    normal(5, 4),
    normal(3, 4, 5),
    normal(2, 4, 3, 5),
    normal(2, 4, 2, 3, 2),
)


def without(name: str, *args: Any, x: Any, **kwargs: Any) -> Row:
    """A row for a layer without parameters and type."""
    return Row(
        lambda: getattr(nn, name)(*args, **kwargs),
        lambda torch: getattr(torch.nn, name)(*args, **kwargs),
        (x,),
    )


def norm(name: str, *args: Any, x: Any, training: bool = True, **kwargs: Any) -> Row:
    return Row(
        lambda: getattr(nn, name)(*args, **kwargs, dtype="f64"),
        lambda torch: getattr(torch.nn, name)(*args, **kwargs),
        (x,),
        training=training,
        everywhere=not training and name == "BatchNorm2d",
    )


# fmt: off
ROWS = {
    "BatchNorm1d":                norm("BatchNorm1d", 4, x=line),
    "BatchNorm1d: no length":     norm("BatchNorm1d", 4, x=rows),
    "BatchNorm1d: evaluated":     norm("BatchNorm1d", 4, x=rows, training=False),
    "BatchNorm1d: one example":   norm("BatchNorm1d", 4, x=line[:1]),
    "BatchNorm1d: one evaluated": norm("BatchNorm1d", 4, x=rows[:1], training=False),
    "BatchNorm2d":                norm("BatchNorm2d", 4, x=plane),
    "BatchNorm2d: evaluated":     norm("BatchNorm2d", 4, x=plane, training=False),
    "BatchNorm2d: bare":          norm("BatchNorm2d", 4, affine=False, x=plane),
    "BatchNorm2d: untracked":     norm("BatchNorm2d", 4, track_running_stats=False, x=plane),
    "BatchNorm2d: untracked, evaluated":
        norm("BatchNorm2d", 4, track_running_stats=False, x=plane, training=False),
    "BatchNorm2d: other numbers": norm("BatchNorm2d", 4, eps=0.1, momentum=0.7, x=plane),
    "BatchNorm2d: all alike":     norm("BatchNorm2d", 4, momentum=None, x=plane),
    "BatchNorm2d: one channel":   norm("BatchNorm2d", 1, x=plane[:, :1]),
    "BatchNorm3d":                norm("BatchNorm3d", 4, x=space),
    "BatchNorm3d: evaluated":     norm("BatchNorm3d", 4, x=space, training=False),

    "InstanceNorm1d":             norm("InstanceNorm1d", 4, x=line),
    "InstanceNorm1d: no batch":   norm("InstanceNorm1d", 4, x=line[0]),
    "InstanceNorm1d: affine":     norm("InstanceNorm1d", 4, affine=True, x=line),
    "InstanceNorm2d":             norm("InstanceNorm2d", 4, affine=True, track_running_stats=True,
                                       x=plane),
    "InstanceNorm2d: no batch":   norm("InstanceNorm2d", 4, affine=True, track_running_stats=True,
                                       x=plane[0]),
    "InstanceNorm2d: evaluated":  norm("InstanceNorm2d", 4, affine=True, track_running_stats=True,
                                       x=plane, training=False),
    "InstanceNorm2d: bare, evaluated": norm("InstanceNorm2d", 4, x=plane, training=False),
    "InstanceNorm3d":             norm("InstanceNorm3d", 4, affine=True, x=space),
    "InstanceNorm3d: no batch":   norm("InstanceNorm3d", 4, x=space[0]),

    "LayerNorm":                  same("LayerNorm", 5, inputs=(line,)),
    "LayerNorm: two axes":        same("LayerNorm", (4, 5), inputs=(line,)),
    "LayerNorm: all axes":        same("LayerNorm", [3, 4, 5], inputs=(line,)),
    "LayerNorm: no bias":         same("LayerNorm", 5, bias=False, inputs=(line,)),
    "LayerNorm: bare":            same("LayerNorm", 5, elementwise_affine=False, inputs=(line,)),
    "LayerNorm: other epsilon":   same("LayerNorm", 4, eps=0.1, inputs=(rows[0],)),
    "RMSNorm":                    same("RMSNorm", 5, inputs=(line,)),
    "RMSNorm: two axes":          same("RMSNorm", (4, 5), eps=1e-3, inputs=(line,)),
    "RMSNorm: bare":              same("RMSNorm", 4, elementwise_affine=False, inputs=(rows[0],)),
    "GroupNorm":                  same("GroupNorm", 2, 4, inputs=(plane,)),
    "GroupNorm: one group":       same("GroupNorm", 1, 4, inputs=(line,)),
    "GroupNorm: each channel":    same("GroupNorm", 4, 4, inputs=(space,)),
    "GroupNorm: no sizes":        same("GroupNorm", 2, 4, eps=0.1, inputs=(rows,)),
    "GroupNorm: bare":            same("GroupNorm", 2, 4, affine=False, inputs=(plane,)),
    "LocalResponseNorm":          without("LocalResponseNorm", 3, x=plane),
    "LocalResponseNorm: even":    without("LocalResponseNorm", 2, alpha=0.5, beta=0.6, k=2.0,
                                          x=line),
    "LocalResponseNorm: wide":    without("LocalResponseNorm", 9, alpha=2.0, x=plane),
    "LocalResponseNorm: one":     without("LocalResponseNorm", 1, alpha=2.0, x=space),
}
# fmt: on


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((normalisation, running), ROWS)
