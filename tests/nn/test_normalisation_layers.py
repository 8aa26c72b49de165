"""Normalisation against PyTorch; running statistics over a training; what is refused."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import DTypeError, ShapeError, UsageError
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


# Training -----------------------------------------------------------------------------------------


class Normalised(ph.Model):
    """A linear layer, normalised, and another one."""

    def __init__(self, norm: Any) -> None:
        self.first = nn.Linear(4, 3, dtype="f64")
        self.norm = norm
        self.second = nn.Linear(3, 1, dtype="f64")

    def __call__(self, x: Any) -> Any:
        return self.second(self.norm(self.first(x)))


def squares(model: Any, x: Any, target: Any) -> Any:
    b = ph.index("b")
    return ph.mean[b]((model(x)[b, 0] - target[b]) ** 2)


def trained_by_torch(torch: Any, model: Any, x: Any, target: Any, **settings: Any) -> Any:
    """PyTorch's model after SGD with the same values, minibatches in order."""
    layers = [torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3, **settings), torch.nn.Linear(3, 1)]
    peer = torch.nn.Sequential(*layers).double()
    for n, part in enumerate(("first", "norm", "second")):
        tensors = getattr(model, part).named_tensors().items()
        peer[n].load_state_dict({name: torch.tensor(t.value) for name, t in tensors})
    descent = torch.optim.SGD(peer.parameters(), 0.1)
    for n in range(0, len(x), 6):
        descent.zero_grad()
        error = peer(torch.tensor(x[n : n + 6]))[:, 0] - torch.tensor(target[n : n + 6])
        (error**2).mean().backward()
        descent.step()
    return peer.eval()


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_running_statistics_of_a_training(backend: str, momentum: float | None) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    x, target = 2 + 3 * normal(32, 4), normal(32)  # five steps of 6, one of 2
    model = Normalised(nn.BatchNorm1d(3, momentum=momentum, dtype="f64"))
    model.initialize(2)
    peer = trained_by_torch(torch, model, x, target, momentum=momentum)
    data = ph.data.Dataset(x=x, target=target)
    settings: dict[str, Any] = {"backend": backend, "progress": False, "shuffle": False}
    ph.fit(model, squares, data, optimizer=ph.SGD(0.1), epochs=1, batch_size=6, **settings)
    for part, layer in zip(("first", "norm", "second"), peer, strict=True):
        for name, want in layer.state_dict().items():
            got = getattr(model, part).named_tensors()[name].value
            assert_allclose(got, want.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    assert model.norm.num_batches_tracked.value == 6
    before = {name: t.value.copy() for name, t in model.states.items()}
    got = ph.evaluate(model, squares, data, backend=backend, batch_size=1)["loss"]
    want = ((peer(torch.tensor(x))[:, 0] - torch.tensor(target)) ** 2).mean().item()
    assert_allclose(got, want, rtol=1e-9)
    for name, value in before.items():
        assert_array_equal(model.states[name].value, value)


def test_half_precision_is_normalised_in_single() -> None:
    x = (300 * normal(4, 3)).astype(np.float16)  # squares that f16 does not hold
    for name, args in {"BatchNorm1d": (3,), "LayerNorm": (3,), "RMSNorm": (3,)}.items():
        layer, twin = (getattr(nn, name)(*args, dtype=t) for t in ("f16", "f32"))
        got, want = layer(ph.tensor(x)), twin(ph.tensor(x.astype(np.float32)))
        assert got.value.dtype == np.float16
        assert_allclose(got.value, want.value, rtol=2e-3, atol=1e-4)


def test_one_feature_is_always_its_bias() -> None:
    y = nn.LayerNorm(1)(ph.tensor(normal(5, 1), "x", "f32"))
    assert_array_equal(y.value, np.zeros((5, 1)))


def test_names_and_values_at_the_start() -> None:
    layer = nn.BatchNorm2d(3)
    layer.initialize()
    assert {name: t.value.tolist() for name, t in layer.named_tensors().items()} == {
        "weight": [1, 1, 1],
        "bias": [0, 0, 0],
        "running_mean": [0, 0, 0],
        "running_var": [1, 1, 1],
        "num_batches_tracked": 0,
    }
    assert not nn.InstanceNorm2d(3).named_tensors()
    assert list(nn.LayerNorm((2, 3), bias=False).named_tensors()) == ["weight"]
    assert not nn.LayerNorm(3, elementwise_affine=False).named_tensors()


x = ph.tensor(normal(2, 4, 3), "x", "f32")
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "one value": (
        lambda: nn.BatchNorm1d(4)(ph.tensor(np.ones((1, 4), np.float32))),
        ShapeError,
        r"BatchNorm1d in training takes variances of more than one element, "
        r"but a tensor of shape \(1, 4\) has one for each",
    ),
    "one place": (
        lambda: nn.InstanceNorm1d(4)(ph.tensor(np.ones((3, 4, 1), np.float32))),
        ShapeError,
        r"InstanceNorm1d in training takes variances of more than one element",
    ),
    "other features": (
        lambda: nn.BatchNorm1d(3)(x),
        ShapeError,
        r"BatchNorm1d has 3 features, but axis 1 of shape \(2, 4, 3\) has 4",
    ),
    "other axes": (
        lambda: nn.BatchNorm2d(4)(x),
        ShapeError,
        r"BatchNorm2d takes a tensor with 4 axes, not shape \(2, 4, 3\)",
    ),
    "features of an instance": (
        lambda: nn.InstanceNorm1d(3)(x),
        ShapeError,
        r"InstanceNorm1d has 3 features, but axis -2 of shape \(2, 4, 3\) has 4",
    ),
    "momentum": (
        lambda: nn.BatchNorm1d(4, momentum=-0.1),
        UsageError,
        "momentum of BatchNorm1d must be a number from 0 on, not -0.1",
    ),
    "no momentum": (
        lambda: nn.InstanceNorm1d(4, momentum=None),  # type: ignore[arg-type]
        UsageError,
        "momentum of InstanceNorm1d must be a number from 0 on, not None",
    ),
    "epsilon": (
        lambda: nn.LayerNorm(4, eps="small"),  # type: ignore[arg-type]
        UsageError,
        "eps of LayerNorm must be a number from 0 on, not 'small'",
    ),
    "no features": (
        lambda: nn.BatchNorm1d(0),
        UsageError,
        "num_features of BatchNorm1d must be a whole number from 1 on, not 0",
    ),
    "no axis": (
        lambda: nn.LayerNorm(()),
        UsageError,
        "normalized_shape of LayerNorm must have an axis or more",
    ),
    "another shape": (
        lambda: nn.RMSNorm((3, 4))(x),
        ShapeError,
        r"RMSNorm normalises axes of shape \(3, 4\), but the tensor has shape \(2, 4, 3\)",
    ),
    "groups": (
        lambda: nn.GroupNorm(3, 4),
        UsageError,
        "num_channels of GroupNorm is 4, which does not fall into 3 equal groups",
    ),
    "channels": (
        lambda: nn.GroupNorm(3, 6)(x),
        ShapeError,
        "GroupNorm has 6 channels, but axis 1",
    ),
    "size": (
        lambda: nn.LocalResponseNorm(0),
        UsageError,
        "size of LocalResponseNorm must be a whole number from 1 on, not 0",
    ),
    "numbers": (
        lambda: nn.LayerNorm(3)(ph.tensor(np.ones((4, 3), int))),
        DTypeError,
        "LayerNorm takes floating numbers, not i64",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
