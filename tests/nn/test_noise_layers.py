"""Noise against the formulas, with masks that NumPy draws from the same fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from layer_table import Array, assert_every_name_has_a_row
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import ShapeError, UsageError
from phistar.nn import noise

BACKENDS = ("reference", "numpy", "c", pytest.param("xla", marks=pytest.mark.xla))
rng = np.random.default_rng(5)
SHAPE = (4, 3, 5, 6)
X = rng.normal(size=SHAPE)
LEAST = noise.AlphaDropout.LEAST


def uniform(*shape: int) -> Array:
    """The first field of a program."""
    at = tuple(ph.index(f"i{n}", size) for n, size in enumerate(shape))

    def field() -> Any:
        (u,) = (ph.tensors("u"),)
        u[at] = ph.uniform[at]
        return u

    return ph.jit(field, backend="reference")()


def normal(*shape: int) -> Array:
    at = tuple(ph.index(f"i{n}", size) for n, size in enumerate(shape))

    def field() -> Any:
        u = ph.tensors("u")
        u[at] = ph.normal[at]
        return u

    return ph.jit(field, backend="reference")()


def alpha(x: Array, seen: Array, p: float) -> Array:
    """Klambauer et al. (2017), section 3."""
    a = ((1 - p) * (1 + p * LEAST**2)) ** -0.5
    return a * (np.where(seen, x, LEAST) - p * LEAST)


def drop_connected(p: float) -> ph.Model:
    layer = nn.Linear(6, 4, bias=False, dtype="f64")
    layer.weight.value = W
    return nn.drop_connect(layer, p)


W = rng.normal(size=(4, 6))


@dataclass(frozen=True)
class Row:
    layer: Callable[[], ph.Model]
    expected: Callable[[], Array]
    slope: Callable[[], Array] | None = None  # dy / dx, where y is elementwise in x


def masked(layer: Callable[[float], ph.Model], p: float, shape: tuple[int, ...]) -> Row:
    """x m / (1 - p) with a mask of this shape, which is spread over x."""

    def slope() -> Array:
        return np.broadcast_to(
            (uniform(*(n for n in shape if n > 1)).reshape(shape) >= p) / (1 - p), SHAPE
        )

    return Row(lambda: layer(p), lambda: X * slope(), slope)


ROWS = {
    "Dropout": masked(nn.Dropout, 0.5, SHAPE),
    "Dropout: nearly all": masked(nn.Dropout, 0.99, SHAPE),
    "Dropout: none": Row(lambda: nn.Dropout(0), lambda: X, lambda: np.ones(SHAPE)),
    "Dropout1d": masked(nn.Dropout1d, 0.4, (4, 3, 5, 1)),
    "Dropout2d": masked(nn.Dropout2d, 0.4, (4, 3, 1, 1)),
    "Dropout3d": masked(nn.Dropout3d, 0.4, (4, 1, 1, 1)),
    "VariationalDropout": masked(nn.VariationalDropout, 0.3, (4, 3, 1, 6)),
    "StochasticDepth": masked(nn.StochasticDepth, 0.5, (4, 1, 1, 1)),
    "AlphaDropout": Row(
        lambda: nn.AlphaDropout(0.3),
        lambda: alpha(X, uniform(*SHAPE) >= 0.3, 0.3),
    ),
    "FeatureAlphaDropout": Row(
        lambda: nn.FeatureAlphaDropout(0.3),
        lambda: alpha(X, (uniform(4, 3) >= 0.3)[:, :, None, None], 0.3),
    ),
    "GaussianNoise": Row(
        lambda: nn.GaussianNoise(0.2),
        lambda: X + 0.2 * normal(*SHAPE),
        lambda: np.ones(SHAPE),
    ),
    "GaussianNoise: none": Row(lambda: nn.GaussianNoise(0), lambda: X),
    "GaussianDropout": Row(
        lambda: nn.GaussianDropout(0.2),
        lambda: X * (1 + 0.5 * normal(*SHAPE)),
        lambda: 1 + 0.5 * normal(*SHAPE),
    ),
    "drop_connect": Row(
        lambda: drop_connected(0.5),
        lambda: X @ np.where(uniform(4, 6) >= 0.5, W * 2, 0).T,
    ),
    "drop_connect: none": Row(lambda: drop_connected(0), lambda: X @ W.T),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_training(name: str, backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    row = ROWS[name]
    layer = row.layer()
    y = ph.jit(lambda layer, x: layer(x), backend=backend)(layer, X)
    assert_allclose(y, row.expected(), rtol=1e-6, atol=1e-7)  # fields are of f32


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.slope])
@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_backward_sees_the_same_mask(name: str, backend: str) -> None:
    row = ROWS[name]
    layer = row.layer()
    b, c, p, q = ph.indices("b c p q")
    G = rng.normal(size=SHAPE)

    def loss(x: Any, G: Any) -> Any:
        return ph.sum[b, c, p, q](layer(x)[b, c, p, q] * G[b, c, p, q])

    assert row.slope is not None
    found = ph.grad(loss, backend=backend)(X, G)[0]
    assert_allclose(found, G * row.slope(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ROWS)
def test_evaluation_has_no_noise(name: str) -> None:
    layer = ROWS[name].layer()
    layer.training = False
    y = ph.jit(lambda layer, x: layer(x), backend="numpy")(layer, X)
    assert_array_equal(y, X @ W.T if name.startswith("drop_connect") else X)


@pytest.mark.parametrize("name", [n for n in ROWS if "near" not in n and "connect" not in n])
def test_the_mean_remains(name: str) -> None:
    layer = ROWS[name].layer()
    mean = 0.0 if "Alpha" in name else 1.0  # a normal distribution remains one
    x = np.random.default_rng(0).normal(mean, 1, (40, 40, 6, 6))
    y = ph.jit(lambda layer, x: layer(x), backend="numpy")(layer, x)
    groups = {
        "StochasticDepth": 40,
        "Dropout3d": 40,
        "Dropout2d": 1600,
        "FeatureAlphaDropout": 1600,
    }
    assert abs(y.mean() - mean) < 5 / groups.get(name.partition(":")[0], 5000) ** 0.5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("field", ["uniform", "normal"])
def test_fields_are_the_same_everywhere(field: str, backend: str) -> None:
    """Masks that are compared with numbers differ in no bit; normal numbers by rounding."""
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    at = tuple(ph.index(f"i{n}", size) for n, size in enumerate(SHAPE))

    def drawn() -> Any:
        u = ph.tensors("u")
        u[at] = getattr(ph, field)[at]
        return u

    found, right = (ph.jit(drawn, backend=name)() for name in (backend, "reference"))
    if field == "uniform":
        assert_array_equal(found, right)
    else:
        assert_allclose(found, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_a_weight_that_is_dropped_has_no_gradient(backend: str) -> None:
    layer = drop_connected(0.5)
    i, o = ph.indices("i o")
    x, G = rng.normal(size=(3, 6)), rng.normal(size=(3, 4))

    def loss(layer: Any, x: Any, G: Any) -> Any:
        return ph.sum[i, o](layer(x)[i, o] * G[i, o])

    found = ph.grad(loss, backend=backend)(layer, x, G)["weight_raw"]
    assert_allclose(found, G.T @ x * (uniform(4, 6) >= 0.5) * 2, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.3)])
def test_gradients_of_alpha_dropout(layer: ph.Model) -> None:
    b, c, p, q = ph.indices("b c p q")
    ph.check_gradients(lambda x: ph.mean[b, c, p, q](layer(x)[b, c, p, q] ** 3), X)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(noise, ROWS)


# Within recurrences -------------------------------------------------------------------------------


def lstm(x: Array, w: dict[str, Array], zone: tuple[Array, Array], mask: Array) -> Array:
    """One layer, an example at a time: Krueger et al. (2017), Gal and Ghahramani (2016)."""
    rows, steps, _ = x.shape
    h = c = np.zeros((rows, w["hh"].shape[1]))
    out = []
    for t in range(steps):
        i, f, g, o = np.split(x[:, t] @ w["ih"].T + (h * mask) @ w["hh"].T + w["b"], 4, axis=1)
        s = lambda z: 1 / (1 + np.exp(-z))
        new = s(f) * c + s(i) * np.tanh(g)
        h_new = s(o) * np.tanh(new)
        c = np.where(zone[1][:, t], c, new)
        h = np.where(zone[0][:, t], h, h_new)
        out.append(h)
    return np.stack(out, 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_evaluation_of_a_zoned_out_recurrence_is_the_mean(backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    layer = nn.RNN(3, 2, zoneout=0.25, recurrent_dropout=0.5, dtype="f64")
    layer.training = False
    x = rng.normal(size=(2, 4, 3))
    y, end = ph.jit(lambda layer, x: layer(x), backend=backend)(layer, x)
    w = {name: t.value for name, t in layer.named_tensors().items()}
    h = np.zeros((2, 2))
    for t in range(4):
        bias = w["bias_ih_l0"] + w["bias_hh_l0"]
        new = np.tanh(x[:, t] @ w["weight_ih_l0"].T + h @ w["weight_hh_l0"].T + bias)
        h = 0.25 * h + 0.75 * new
        assert_allclose(y[:, t], h, rtol=1e-12)
    assert_allclose(end[0], h, rtol=1e-12)


def test_a_unit_that_is_zoned_out_stays() -> None:
    x = rng.normal(size=(5, 6, 3))
    for make, states in ((nn.RNN, 1), (nn.GRU, 1), (nn.UGRNN, 1), (nn.LSTM, 2)):
        layer = make(3, 4, zoneout=0.5, dtype="f64")
        y, _ = ph.jit(lambda layer, x: layer(x), backend="numpy")(layer, x)
        stayed = (y[:, 1:] == y[:, :-1]).mean()
        assert 0.3 < stayed < 0.7, f"{make.__name__} with {states} states"


def test_zoneout_and_recurrent_dropout_of_an_lstm() -> None:
    """With probabilities near 0 and 1 it is plain what the masks are."""
    layer = nn.LSTM(3, 4, zoneout=(0.0, 0.999999), dtype="f64")
    x = rng.normal(size=(2, 3, 3))
    y, (_, c) = ph.jit(lambda layer, x: layer(x), backend="numpy")(layer, x)
    w = {name: t.value for name, t in layer.named_tensors().items()}
    short = {
        "ih": w["weight_ih_l0"],
        "hh": w["weight_hh_l0"],
        "b": w["bias_ih_l0"] + w["bias_hh_l0"],
    }
    never, always = np.zeros((2, 3, 1), bool), np.ones((2, 3, 1), bool)
    assert_allclose(y, lstm(x, short, (never, always), np.ones(4)), rtol=1e-12)
    assert_array_equal(c, np.zeros((1, 2, 4)))
    dropped = nn.LSTM(3, 4, recurrent_dropout=0.999999, dtype="f64")
    for name, t in layer.named_tensors().items():
        dropped.named_tensors()[name].value = t.value
    y, _ = ph.jit(lambda layer, x: layer(x), backend="numpy")(dropped, x)
    assert_allclose(y, lstm(x, short, (never, never), np.zeros(4)), rtol=1e-12)


def test_a_recurrent_mask_is_the_same_at_all_times() -> None:
    """With W = 0 and U = 1, tanh left out by small numbers, units die at once or never."""
    layer = nn.RNN(1, 64, recurrent_dropout=0.5, nonlinearity="relu", dtype="f64")
    start = {"weight_ih_l0": 0.0, "weight_hh_l0": 0.0, "bias_ih_l0": 1.0, "bias_hh_l0": 0.0}
    for name, t in layer.named_tensors().items():
        t.value = np.full(t.shape, start[name])
    layer.weight_hh_l0.value = np.eye(64)
    y, _ = ph.jit(lambda layer, x: layer(x), backend="numpy")(layer, np.zeros((1, 4, 1)))
    grown = np.array([1 + 2 + 4 + 8, 1])  # a unit that is seen doubles
    assert set(np.unique(y[0, 3])) == set(grown.astype(float))
    assert_array_equal(y[0, 1] == 3, y[0, 3] == 15)


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.UGRNN, nn.LSTM])
def test_gradients_of_a_noisy_recurrence(make: Any) -> None:
    """Finite differences see the masks that the backward program sees."""
    layer = make(3, 2, zoneout=0.4, recurrent_dropout=0.4, dtype="f64")
    b, t, j = ph.indices("b t j")

    def loss(layer: Any, x: Any) -> Any:
        return ph.mean[b, t, j](layer(x)[0][b, t, j] ** 3)

    ph.check_gradients(loss, layer, rng.normal(size=(2, 3, 3)))


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_an_lstm_whose_recurrent_weights_are_dropped(backend: str) -> None:
    """Merity et al. (2018): one mask of weight_hh for all examples and times."""
    layer = nn.LSTM(3, 4, dtype="f64")
    x = rng.normal(size=(2, 5, 3))
    dropped = nn.drop_connect(layer, 0.5, "weight_hh_l0")
    y, _ = ph.jit(lambda layer, x: layer(x), backend=backend)(dropped, x)
    w = {name: t.value for name, t in dropped.named_tensors().items()}
    seen = uniform(16, 4) >= 0.5
    short = {
        "ih": w["weight_ih_l0"],
        "hh": np.where(seen, w["weight_hh_l0_raw"] * 2, 0),
        "b": w["bias_ih_l0"] + w["bias_hh_l0"],
    }
    never = np.zeros((2, 5, 1), bool)
    assert_allclose(y, lstm(x, short, (never, never), np.ones(4)), rtol=1e-9)


def test_cells_zone_out() -> None:
    cell = nn.GRUCell(3, 4, zoneout=0.999999, dtype="f64")
    h = rng.normal(size=(2, 4))
    y = ph.jit(lambda cell, x, h: cell(x, h), backend="numpy")(cell, rng.normal(size=(2, 3)), h)
    assert_array_equal(y, h)


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, "half", True, None])
def test_no_probability(p: Any) -> None:
    with pytest.raises(UsageError, match="p of Dropout is a probability from 0 to below 1, not"):
        nn.Dropout(p)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="p of DropConnect is a probability from 0 to below 1"):
        nn.drop_connect(nn.Linear(2, 3), 1.0)
    with pytest.raises(UsageError, match="DropConnect takes a layer with a parameter weight, not"):
        nn.drop_connect(nn.ReLU())
    with pytest.raises(UsageError, match="takes a standard deviation from 0 on, not -1"):
        nn.GaussianNoise(-1)
    with pytest.raises(UsageError, match="zoneout of LSTM is a number or 2 of them, not 3"):
        nn.LSTM(2, 3, zoneout=(0.1, 0.1, 0.1))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="recurrent_dropout of GRU is a probability"):
        nn.GRU(2, 3, recurrent_dropout=2)
    with pytest.raises(UsageError, match="Dropout takes a tensor, not ndarray"):
        nn.Dropout(0.5)(np.ones(3))
    with pytest.raises(ShapeError, match="Dropout2d takes a tensor with at least 3 axes, not"):
        ph.jit(lambda x: nn.Dropout2d(0.5)(x), backend="numpy")(np.ones((2, 3)))
