"""Activation layers against PyTorch, or against the papers' formulas where it has none."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal

import phistar as ph
from phistar import nn
from phistar.errors import ShapeError, UsageError
from phistar.nn import activations

x = 4 * normal(3, 4, 6)
x.flat[:3] = 0  # kinks


def act(name: str, *args: Any, x: Any = x, **kwargs: Any) -> Row:
    """A row for a layer that takes PyTorch's arguments."""
    return Row(
        lambda: getattr(nn, name)(*args, **kwargs),
        lambda torch: getattr(torch.nn, name)(*args, **kwargs),
        (x,),
    )


def along(name: str, axis: int, x: Any = x) -> Row:
    return Row(
        lambda: getattr(nn, name)(axis),
        lambda torch: getattr(torch.nn, name)(axis),
        (x,),
    )


def gated(name: str, function: str, axis: int = -1) -> Row:
    def peer(torch: Any) -> Any:
        f = getattr(torch.nn.functional, function)
        return lambda x: x.chunk(2, axis)[0] * f(x.chunk(2, axis)[1])

    return Row(lambda: getattr(nn, name)(axis), peer, (x,))


def prelu(n: int, x: Any) -> Row:
    return Row(lambda: nn.PReLU(n, dtype="f64"), lambda torch: torch.nn.PReLU(n), (x,))


# fmt: off
ROWS = {
    "ReLU":                   act("ReLU"),
    "ReLU: a number":         act("ReLU", x=np.array(-0.5)),
    "ReLU6":                  act("ReLU6"),
    "LeakyReLU":              act("LeakyReLU"),
    "LeakyReLU: slope":       act("LeakyReLU", 0.3),
    "ELU":                    act("ELU"),
    "ELU: alpha":             act("ELU", alpha=0.3),
    "SELU":                   act("SELU"),
    "CELU":                   act("CELU"),
    "CELU: alpha":            act("CELU", alpha=0.5),  # PyTorch has 1 / alpha in f32
    "GELU":                   act("GELU"),
    "GELU: tanh":             act("GELU", approximate="tanh"),
    "SiLU":                   act("SiLU"),
    "Mish":                   act("Mish"),
    "Sigmoid":                act("Sigmoid"),
    "LogSigmoid":             act("LogSigmoid"),
    "Tanh":                   act("Tanh"),
    "Softplus":               act("Softplus"),
    "Softplus: numbers":      act("Softplus", beta=2.0, threshold=1.5),
    "Softplus: large":        act("Softplus", x=np.array([-800.0, -1, 0, 19, 21, 800])),
    "Softsign":               act("Softsign"),
    "Hardtanh":               act("Hardtanh"),
    "Hardtanh: numbers":      act("Hardtanh", min_val=-2.5, max_val=0.5),
    "Hardtanh: at its ends":  act("Hardtanh", x=np.array([-2.0, -1, 0, 1, 2])),
    "Hardsigmoid":            Row(nn.Hardsigmoid, lambda torch: lambda x:  # PyTorch has 1/6 in f32
                                  torch.nn.functional.relu6(x + 3) / 6, (x,)),
    "Hardswish":              act("Hardswish"),
    "Threshold":              act("Threshold", 0.5, -2.0),
    "Hardshrink":             act("Hardshrink"),
    "Hardshrink: number":     act("Hardshrink", 2.0),
    "Softshrink":             act("Softshrink"),
    "Softshrink: number":     act("Softshrink", 2.0),
    "Tanhshrink":             act("Tanhshrink"),
    "Identity":               act("Identity", 5, unused=True),
    "PReLU":                  prelu(1, x),
    "PReLU: no axes":         prelu(1, np.array(-2.0)),
    "PReLU: channels":        prelu(4, x),
    "PReLU: no sizes":        prelu(4, x[:, :, 0]),
    "Softmax":                along("Softmax", -1),
    "Softmax: first axis":    along("Softmax", 0),
    "Softmax: one axis":      along("Softmax", 0, x=x[0, 0]),
    "LogSoftmax":             along("LogSoftmax", -1),
    "LogSoftmax: channels":   along("LogSoftmax", 1),
    "LogSoftmax: large":      along("LogSoftmax", 1, x=x * 300),
    "Maxout":                 Row(lambda: nn.Maxout(3), lambda torch: lambda x:
                                  x.unflatten(-1, (2, 3)).max(-1).values, (normal(5, 6),)),
    "Maxout: channels":       Row(lambda: nn.Maxout(axis=1), lambda torch: lambda x:
                                  x.unflatten(1, (2, 2)).max(2).values, (normal(3, 4, 5),)),
    "GLU":                    along("GLU", -1),
    "GLU: channels":          along("GLU", 1),
    "GEGLU":                  gated("GEGLU", "gelu"),
    "SwiGLU":                 gated("SwiGLU", "silu"),
    "SwiGLU: channels":       gated("SwiGLU", "silu", 1),
    "ReGLU":                  gated("ReGLU", "relu"),
}
# fmt: on


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(activations, ROWS)


def test_first_slope() -> None:
    layer = nn.PReLU(3)
    layer.initialize()
    assert layer.weight.value.tolist() == [0.25] * 3
    layer = nn.PReLU(init=0.5)
    layer.initialize()
    assert layer.weight.value.tolist() == [0.5]


t = ph.tensor(x, "x")
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no tensor": (lambda: nn.ReLU()(x), UsageError, "ReLU takes a tensor, not ndarray"),
    "slope": (
        lambda: nn.LeakyReLU("0.1"),  # type: ignore[arg-type]
        UsageError,
        "negative_slope of LeakyReLU must be a number, not '0.1'",
    ),
    "alpha": (lambda: nn.CELU(0), UsageError, "alpha of CELU is divided by: it cannot be 0"),
    "approximate": (
        lambda: nn.GELU("erf"),
        UsageError,
        'approximate of GELU is "none" or "tanh", not \'erf\'',
    ),
    "beta": (lambda: nn.Softplus(0), UsageError, "beta of Softplus is divided by"),
    "ends": (
        lambda: nn.Hardtanh(2, 1),
        UsageError,
        "Hardtanh wants min_val < max_val, not 2 and 1",
    ),
    "negative": (lambda: nn.Softshrink(-1), UsageError, "lambd of Softshrink cannot be negative"),
    "slopes": (
        lambda: nn.PReLU(3)(t),
        ShapeError,
        r"PReLU has 3 parameters, but axis 1 of shape \(3, 4, 6\) has 4",
    ),
    "axis": (
        lambda: nn.Softmax(3)(t),
        ShapeError,
        r"Softmax takes axis 3, which shape \(3, 4, 6\) has not",
    ),
    "no axis": (
        lambda: nn.Softmax(None),  # type: ignore[arg-type]
        UsageError,
        "Softmax takes the number of an axis, not None",
    ),
    "pieces": (
        lambda: nn.Maxout(4)(t),
        ShapeError,
        r"Maxout takes a multiple of 4 features, not the 6 of shape \(3, 4, 6\)",
    ),
    "halves": (
        lambda: nn.GLU(0)(t),
        ShapeError,
        r"GLU takes a multiple of 2 features, not the 3 of shape \(3, 4, 6\)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
