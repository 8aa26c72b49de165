"""Weight and spectral normalisation against PyTorch; names, first values, what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import UsageError
from phistar.nn import reparametrisation

line, plane = normal(5, 4), normal(2, 4, 5, 4)


def of_weight(make: Callable[..., Any], peer: str, *args: Any, x: Any, **kwargs: Any) -> Row:
    """Weight norm of a layer, against PyTorch's function of the two parts."""

    def rename(tensors: dict[str, Any]) -> dict[str, Any]:
        parts = f"{PARTS}.original"
        names = {"weight_g": f"{parts}0", "weight_v": f"{parts}1"}
        return {names.get(n, n): t for n, t in tensors.items()}

    return Row(
        lambda: nn.weight_norm(make(*args, dtype="f64"), **kwargs),
        lambda torch: torch.nn.utils.parametrizations.weight_norm(
            getattr(torch.nn, peer)(*args).double(), **kwargs
        ),
        (x,),
        rename=rename,
    )


PARTS = "parametrizations.weight"


def of_spectrum(peer: str, *args: Any, x: Any, training: bool = True, **kwargs: Any) -> Row:
    return Row(
        lambda: nn.spectral_norm(getattr(nn, peer)(*args, dtype="f64"), **kwargs),
        lambda torch: torch.nn.utils.spectral_norm(getattr(torch.nn, peer)(*args), **kwargs),
        (x,),
        training=training,
    )


# fmt: off
ROWS = {
    "weight_norm":            of_weight(nn.Linear, "Linear", 4, 3, x=line),
    "weight_norm: columns":   of_weight(nn.Linear, "Linear", 4, 3, dim=1, x=line),
    "weight_norm: images":    of_weight(nn.Conv2d, "Conv2d", 4, 3, 2, x=plane),
    "weight_norm: kernel":    of_weight(nn.Conv2d, "Conv2d", 4, 3, 2, dim=2, x=plane),
    "spectral_norm":          of_spectrum("Linear", 4, 3, x=line),
    "spectral_norm: evaluated": of_spectrum("Linear", 4, 3, x=line, training=False),
    "spectral_norm: steps":   of_spectrum("Linear", 4, 3, n_power_iterations=3, x=line),
    "spectral_norm: columns": of_spectrum("Linear", 4, 3, dim=1, x=line),
    "spectral_norm: epsilon": of_spectrum("Linear", 4, 3, eps=100.0, x=line),
    "spectral_norm: images":  of_spectrum("Conv2d", 4, 3, 2, x=plane),
    "spectral_norm: transposed": of_spectrum("ConvTranspose2d", 4, 3, 2, x=plane),
}
# fmt: on


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(reparametrisation, ROWS)


def test_one_norm_of_all() -> None:
    layer = nn.weight_norm(nn.Linear(4, 3, dtype="f64"), dim=None)
    layer.initialize(3)
    v, x = layer.weight_v.value, ph.tensor(line)
    assert layer.weight_g.value.shape == ()
    assert_allclose(layer(x).value, line @ v.T, rtol=1e-12)
    layer.weight_g.value = np.array(2.0)
    assert_allclose(layer(x).value, line @ v.T * 2 / np.linalg.norm(v), rtol=1e-12)


def test_axes_may_be_counted_from_the_end() -> None:
    assert nn.weight_norm(nn.Linear(4, 3), dim=-1).weight_g.shape == (1, 4)


@pytest.mark.parametrize("wrap", [nn.weight_norm, nn.spectral_norm])
def test_first_values_are_those_of_the_layer(wrap: Any) -> None:
    def values(make: Any) -> Any:
        layer = make(nn.Conv2d(4, 50, 3))
        ph.trace(lambda layer, x: layer(x), layer, np.zeros((1, 4, 5, 5), np.float32))
        layer.initialize(5)
        return {name: t.value for name, t in layer.named_tensors().items()}

    plain, wrapped = values(lambda layer: layer), values(wrap)
    assert (
        set(wrapped) - set(plain)
        == {
            nn.weight_norm: {"weight_g", "weight_v"},
            nn.spectral_norm: {"weight_orig", "weight_u", "weight_v"},
        }[wrap]
    )
    original = wrapped["weight_v" if wrap is nn.weight_norm else "weight_orig"]
    assert_allclose(original.std(), np.sqrt(2 / 36), rtol=0.05)
    assert_array_equal(wrapped["bias"], plain["bias"])
    matrix = original.reshape(50, 36)
    if wrap is nn.weight_norm:
        assert_allclose(wrapped["weight_g"].reshape(50), np.linalg.norm(matrix, axis=1), rtol=1e-6)
    else:
        sigma = wrapped["weight_u"] @ matrix @ wrapped["weight_v"]
        assert_allclose(sigma, np.linalg.norm(matrix, 2), rtol=0.02)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_trained(backend: str) -> None:
    b = ph.index("b")
    both = nn.Linear(4, 8), nn.Linear(8, 1)
    model = nn.Sequential(nn.weight_norm(both[0]), ph.tanh, nn.spectral_norm(both[1]))
    x = normal(32, 4).astype(np.float32)
    data = ph.data.Dataset(x=x, target=x[:, 0] * 0.3)

    def loss(model: Any, x: Any, target: Any) -> Any:
        return ph.mean[b]((model(x)[b, 0] - target[b]) ** 2)

    history = ph.fit(
        model, loss, data, optimizer=ph.Adam(0.02), epochs=30, backend=backend, progress=False
    )
    first, *_, last = history.epoch_losses
    assert last < first / 4
    weight, u, v = (model[2].named_tensors()[f"weight_{n}"].value for n in ("orig", "u", "v"))
    assert_allclose(u @ weight @ v, np.linalg.norm(weight, 2), rtol=0.01)


x = ph.tensor(line, "x", "f32")
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no layer": (
        lambda: nn.weight_norm(ph.relu),
        UsageError,
        "WeightNorm takes a layer with a parameter weight, not function",
    ),
    "no weight": (
        lambda: nn.weight_norm(nn.Flatten()),
        UsageError,
        "WeightNorm takes a layer with a parameter weight, not Flatten",
    ),
    "a state": (
        lambda: nn.spectral_norm(nn.BatchNorm1d(3), "running_mean"),
        UsageError,
        "SpectralNorm takes a layer with a parameter running_mean, not BatchNorm1d",
    ),
    "no shape": (
        lambda: nn.weight_norm(nn.Linear(None, 3)),
        UsageError,
        "WeightNorm takes a layer whose weight has a shape: tell Linear its sizes",
    ),
    "no axis": (
        lambda: nn.weight_norm(nn.Linear(4, 3), dim=2),
        UsageError,
        r"WeightNorm takes an axis of shape \(3, 4\), not dim=2",
    ),
    "a vector": (
        lambda: nn.spectral_norm(nn.LayerNorm(3)),
        UsageError,
        r"SpectralNorm takes a weight with two axes or more, not \(3,\)",
    ),
    "no step": (
        lambda: nn.spectral_norm(nn.Linear(4, 3), n_power_iterations=0),
        UsageError,
        "n_power_iterations of SpectralNorm must be a whole number from 1 on, not 0",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
