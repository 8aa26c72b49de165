"""Layers made of layers, and functions that change gradients, against PyTorch; what they refuse."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal
from numpy.testing import assert_allclose

import phistar as ph
from phistar import nn
from phistar.errors import DTypeError, ExpressionError, IndexRangeError, ShapeError, UsageError
from phistar.nn import blocks, composition, gradients

b, j = ph.indices("b j")
rows, line, plane = normal(5, 4), normal(3, 4, 5), normal(2, 4, 5, 4)


def dense(i: int, j: int, **kwargs: Any) -> nn.Linear:
    return nn.Linear(i, j, dtype="f64", **kwargs)


def conv(*args: Any, **kwargs: Any) -> nn.Conv2d:
    return nn.Conv2d(*args, dtype="f64", **kwargs)


def centred(x: Any) -> Any:
    """A function of tensors, with equations of its own."""
    y = ph.tensors("y")
    y[b, j] = x[b, j] - ph.mean[b](x[b, j])
    return y


@ph.elementwise
def wave(z: Any) -> Any:
    return z * ph.sin(z)


def every_kind(torch: Any) -> Any:
    def peer(x: Any, **p: Any) -> Any:
        h = torch.relu(x @ p["0_weight"].T + p["0_bias"])
        h = (h @ p["2_weight"].T) * 0.5 + 1
        h = h - h.mean(0)
        h = h * torch.sin(h)
        h = h / (1 + h.abs())
        return h.softmax(-1)

    return peer


def inception(torch: Any) -> Any:
    f = torch.nn.functional

    def peer(x: Any, **p: Any) -> Any:
        def layer(x: Any, name: str, padding: int) -> Any:
            weight, bias = p[f"branch{name}_weight"], p[f"branch{name}_bias"]
            return torch.relu(f.conv2d(x, weight, bias, padding=padding))

        branches = [
            layer(x, "1_0", 0),
            layer(layer(x, "2_0", 0), "2_2", 1),
            layer(layer(x, "3_0", 0), "3_2", 2),
            layer(f.max_pool2d(x, 3, 1, 1), "4_1", 0),
        ]
        return torch.cat(branches, -3)

    return peer


def highway(activation: str) -> Any:
    def made(torch: Any) -> Any:
        def peer(x: Any, **p: Any) -> Any:
            h = getattr(torch, activation)(x @ p["transform_weight"].T + p["transform_bias"])
            t = torch.sigmoid(x @ p["gate_weight"].T + p["gate_bias"])
            return t * h + (1 - t) * x

        return peer

    return made


def excite(torch: Any) -> Any:
    def peer(x: Any, **p: Any) -> Any:
        h = torch.relu(x.flatten(2).mean(-1) @ p["fc1_weight"].T + p["fc1_bias"])
        s = torch.sigmoid(h @ p["fc2_weight"].T + p["fc2_bias"])
        return x * s.reshape(*s.shape, *(1 for _ in x.shape[2:]))

    return peer


def scaled(s: float) -> Any:
    """The gradient by a hook, as PyTorch's users do it."""

    def peer(x: Any) -> Any:
        y = x * 1
        y.register_hook(lambda gradient: s * gradient)
        return y

    return lambda torch: peer


def parallel(torch: Any) -> Any:
    return lambda x, **p: (x @ p["0_weight"].T + p["0_bias"], torch.tanh(x))


def joined(axis: int) -> Any:
    return lambda torch: lambda *x: torch.cat(x, axis)


def residual(torch: Any) -> Any:
    def peer(x: Any, **p: Any) -> Any:
        h = torch.nn.functional.conv2d(x, p["layer_weight"], p["layer_bias"], padding=1)
        return h + torch.nn.functional.conv2d(x, p["shortcut_weight"])

    return peer


def sequential(*names: tuple[Any, ...], **named: tuple[Any, ...]) -> Any:
    """PyTorch's Sequential of classes with their arguments."""

    def peer(torch: Any) -> Any:
        def made(parts: Any) -> Any:
            return [getattr(torch.nn, name)(*args) for name, *args in parts]

        if named:
            return torch.nn.Sequential(OrderedDict(zip(named, made(named.values()), strict=True)))
        return torch.nn.Sequential(*made(names))

    return peer


ROWS = {
    "Sequential": Row(
        lambda: nn.Sequential(dense(4, 3), ph.relu, dense(3, 2)),
        sequential(("Linear", 4, 3), ("ReLU",), ("Linear", 3, 2)),
        (rows,),
    ),
    "Sequential: every kind of part": Row(
        lambda: nn.Sequential(
            *(dense(4, 3), nn.ReLU(), dense(3, 2, bias=False)),
            *(lambda z: z * 0.5 + 1, centred, wave, lambda z: z / (1 + ph.abs(z))),
            lambda x: ph.softmax[j](x[..., j]),
        ),
        every_kind,
        (rows,),
    ),
    "Sequential: nothing": Row(nn.Sequential, sequential(), (rows,)),
    "Sequential: a number": Row(
        lambda: nn.Sequential(ph.tanh), sequential(("Tanh",)), (np.array(2.0),)
    ),
    "Sequential: named": Row(
        lambda: nn.Sequential({"hidden": dense(4, 3), "f": ph.tanh, "out": dense(3, 2)}),
        sequential(hidden=("Linear", 4, 3), f=("Tanh",), out=("Linear", 3, 2)),
        (rows,),
    ),
    "Sequential: inside another": Row(
        lambda: nn.Sequential(nn.Sequential(conv(4, 3, 3), ph.relu), nn.Flatten(), dense(18, 2)),
        lambda torch: torch.nn.Sequential(
            sequential(("Conv2d", 4, 3, 3), ("ReLU",))(torch),
            torch.nn.Flatten(),
            torch.nn.Linear(18, 2),
        ),
        (plane,),
    ),
    "Residual": Row(lambda: nn.Residual(ph.tanh), lambda torch: lambda x: x + x.tanh(), (line,)),
    "Residual: shortcut": Row(
        lambda: nn.Residual(conv(4, 3, 3, padding=1), conv(4, 3, 1, bias=False)),
        residual,
        (plane,),
    ),
    "Parallel": Row(lambda: nn.Parallel(dense(4, 3), ph.tanh), parallel, (rows,)),
    "Concatenate": Row(
        lambda: nn.Concatenate(dense(4, 3), ph.tanh, axis=-1),
        lambda torch: lambda *x, **p: torch.cat(parallel(torch)(*x, **p), -1),
        (rows,),
    ),
    "Concatenate: channels": Row(
        lambda: nn.Concatenate(ph.tanh, nn.Identity(), ph.relu),
        lambda torch: lambda x: torch.cat((x.tanh(), x, x.relu()), 1),
        (plane,),
    ),
    "concatenate": Row(
        lambda: lambda x, y: nn.concatenate([x, y]), joined(1), (line, normal(3, 2, 5))
    ),
    "concatenate: last axis": Row(
        lambda: lambda *x: nn.concatenate(x, -1), joined(-1), (line, line[:, :, :1], line)
    ),
    "concatenate: one": Row(lambda: lambda x: nn.concatenate([x], 0), joined(0), (rows,)),
    "Highway": Row(lambda: nn.Highway(4, dtype="f64"), highway("relu"), (rows,)),
    "Highway: tanh, three axes": Row(
        lambda: nn.Highway(5, ph.tanh, dtype="f64"), highway("tanh"), (line,)
    ),
    "SqueezeExcite": Row(lambda: nn.SqueezeExcite(4, 2, dtype="f64"), excite, (plane,)),
    "SqueezeExcite: a line": Row(lambda: nn.SqueezeExcite(4, 4, dtype="f64"), excite, (line,)),
    "Inception": Row(lambda: nn.Inception(4, 2, 3, 4, 1, 2, 3, dtype="f64"), inception, (plane,)),
    "Inception: no batch": Row(
        lambda: nn.Inception(4, 1, 1, 1, 1, 1, 1, dtype="f64"), inception, (plane[0],)
    ),
    "scale_gradient": Row(lambda: lambda x: nn.scale_gradient(x, 0.3), scaled(0.3), (line,)),
    "scale_gradient: none": Row(lambda: lambda x: nn.scale_gradient(x, 0), scaled(0), (rows,)),
    "reverse_gradient": Row(lambda: nn.reverse_gradient, scaled(-1), (line,)),
    "reverse_gradient: scale": Row(
        lambda: lambda x: nn.reverse_gradient(x, scale=2.5), scaled(-2.5), (np.array(2.0),)
    ),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((blocks, composition, gradients), ROWS)


# Parts --------------------------------------------------------------------------------------------


def test_parts_of_a_sequential() -> None:
    first, last = nn.Linear(4, 3), nn.Linear(3, 2)
    model = nn.Sequential(first, ph.relu, last)
    assert list(model.parameters) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert len(model) == 3
    assert list(model) == [first, ph.relu, last]
    assert model[0] is first
    assert model[-1] is last
    assert list(model[1:].parameters) == ["2.weight", "2.bias"]
    assert isinstance(model[:2], nn.Sequential)
    named = nn.Sequential({"hidden": first, "f": ph.relu})
    assert named["hidden"] is first
    assert list(named.parameters) == ["hidden.weight", "hidden.bias"]


def test_a_slice_of_a_concatenation_joins_along_its_axis() -> None:
    x = ph.tensor(rows, "x")
    model = nn.Concatenate(ph.tanh, ph.relu, ph.abs, axis=0)
    assert_allclose(model[:2](x).value, np.concatenate([np.tanh(rows), np.maximum(rows, 0)]))


def test_training_reaches_all_parts() -> None:
    model = nn.Sequential(nn.Residual(nn.BatchNorm1d(4)), nn.Concatenate(nn.BatchNorm1d(4)))
    model.training = False
    assert not model[0].layer.training
    assert not model[1][0].training


def test_a_shared_layer_has_one_name() -> None:
    layer = dense(4, 4)
    model = nn.Sequential(layer, ph.tanh, layer)
    assert list(model.parameters) == ["0.weight", "0.bias"]
    model.initialize()
    weight = model[0].weight.value
    want = np.tanh(rows @ weight.T) @ weight.T
    assert_allclose(model(ph.tensor(rows, "x")).value, want, rtol=1e-12)


def test_a_highway_lets_pass_at_first() -> None:
    layer = nn.Highway(3)
    layer.initialize()
    assert layer.gate.bias.value.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_a_sequential_is_trained(backend: str) -> None:
    x = normal(64, 4).astype(np.float32)
    data = ph.data.Dataset(x=x, label=(x[:, 0] > x[:, 1]).astype(np.int64))
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), ph.relu, nn.Linear(8, 2))

    def loss(model: Any, x: Any, label: Any) -> Any:
        s = model(x)
        return ph.mean[b](ph.logsumexp[j](s[b, j]) - s[b, label[b]])

    history = ph.fit(
        *(model, loss, data),
        **{"optimizer": ph.SGD(0.2), "epochs": 10, "backend": backend, "progress": False},
    )
    first, *_, last = history.epoch_losses
    assert last < first / 2


x, z = ph.tensor(rows, "x"), ph.tensor(line, "z")
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "a class": (
        lambda: nn.Sequential(nn.ReLU),
        UsageError,
        "Sequential takes layers and functions, not the class ReLU",
    ),
    "a list": (
        lambda: nn.Sequential([nn.ReLU()]),
        UsageError,
        r"Sequential takes layers and functions, not \[",
    ),
    "a name with a dot": (
        lambda: nn.Sequential({"a.b": ph.relu}),
        UsageError,
        "Sequential cannot call a part 'a.b': take another name",
    ),
    "a name that is taken": (
        lambda: nn.Parallel({"parameters": ph.relu}),
        UsageError,
        "Parallel cannot call a part 'parameters': take another name",
    ),
    "no such part": (
        lambda: nn.Sequential(ph.relu)[1],
        IndexRangeError,
        "Sequential has no part 1: there are 0",
    ),
    "a function that fails": (
        lambda: nn.Sequential(lambda x: x + z)(x),
        ExpressionError,
        "is used without its subscripts",
    ),
    "another shape": (
        lambda: nn.Residual(dense(4, 3))(x),
        ShapeError,
        r"Residual adds tensors of one shape, not \(5, 3\) and \(5, 4\)",
    ),
    "nothing to join": (lambda: nn.concatenate([]), UsageError, "concatenate takes a tensor or"),
    "no part to join": (lambda: nn.Concatenate(), UsageError, "Concatenate takes a part or more"),
    "no such axis": (
        lambda: nn.concatenate([x, x], 2),
        ShapeError,
        r"concatenate takes axis 2, which shape \(5, 4\) has not",
    ),
    "other axes": (
        lambda: nn.concatenate([x, z]),
        ShapeError,
        r"differ in axis 1 alone, not \(5, 4\), \(3, 4, 5\)",
    ),
    "size": (
        lambda: nn.Highway(3)(x),
        ShapeError,
        r"Highway has 3 features, but axis -1 of shape \(5, 4\) has 4",
    ),
    "channels": (
        lambda: nn.SqueezeExcite(16)(z),
        ShapeError,
        "SqueezeExcite has 16 channels, but axis 1",
    ),
    "reduction": (
        lambda: nn.SqueezeExcite(4, 8),
        UsageError,
        "reduction of SqueezeExcite is 8, but there are 4 channels",
    ),
    "no tensor": (
        lambda: nn.scale_gradient(rows, 2),
        UsageError,
        "scale_gradient takes a tensor, not ndarray",
    ),
    "no number": (
        lambda: nn.reverse_gradient(x, "2"),  # type: ignore[arg-type]
        UsageError,
        "scale of reverse_gradient must be a number, not '2'",
    ),
    "no gradient": (
        lambda: nn.reverse_gradient(ph.tensor(np.arange(3))),
        DTypeError,
        "reverse_gradient takes floating numbers, not i64",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
