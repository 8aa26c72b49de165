"""SGD as an equation, and the whole of what an optimizer may be: Adam, written by a user."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar.data.dataset import Dataset
from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor

b, i, j = ph.indices("b i j")
rng = np.random.default_rng(3)
X, T = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))


class Linear(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 4, dtype="f64", init=rng.normal(size=(3, 4)))
        self.c = ph.param((), dtype="f64", init=0.5)

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b, j] = self.W[j, i] * x[b, i] + self.c
        return out


def loss(model: Linear, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[j]((out[b, j] - t[b, j]) ** 2)


def gradients(W: Any, c: Any, rows: Any) -> tuple[Any, Any]:
    """Of the mean over the minibatch, by hand."""
    error = 2 * (X[rows] @ W.T + c - T[rows]) / len(rows)
    return error.T @ X[rows], error.sum()


def minibatches(epochs: int) -> list[Any]:
    return [np.arange(start, min(start + 5, 12)) for _ in range(epochs) for start in (0, 5, 10)]


def fit(model: Linear, optimizer: Any, backend: str | None = None) -> None:
    ph.fit(
        model, loss, Dataset(x=X, t=T), optimizer=optimizer, epochs=3, batch_size=5, shuffle=False,
        progress=False, backend=backend,
    )  # fmt: skip


def test_sgd() -> None:
    model = Linear()
    W, c = np.array(model.W.value), 0.5
    fit(model, ph.SGD(0.05))
    for rows in minibatches(3):
        dW, dc = gradients(W, c, rows)
        W, c = W - 0.05 * dW, c - 0.05 * dc
    assert_allclose(model.W.value, W, rtol=1e-12)
    assert_allclose(model.c.value, c, rtol=1e-12)


def test_sgd_prints_as_the_user_indexed() -> None:
    algorithm = ph.compile(loss, Linear(), optimizer=ph.SGD(0.1), batch=Dataset(x=X, t=T).spec(5))
    lines = [line.strip() for line in str(algorithm).splitlines()]
    assert "W[j, i] += -0.1 * W.grad[j, i]" in lines
    assert "c += -0.1 * c.grad" in lines


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "0.1", True, None])
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(
        UsageError, match=f"the rate of SGD must be a positive number, not {rate!r}"
    ):
        ph.SGD(rate)


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba, 2014, algorithm 1."""

    rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        shape, dtype = parameter.shape, parameter.dtype
        return {"m": ph.state(shape, dtype=dtype), "v": ph.state(shape, dtype=dtype)}

    def update(self, W: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        m, v = states["m"], states["v"]
        m1, v1 = ph.tensors("m1 v1")
        m[...] = self.beta1 * m[...] + (1 - self.beta1) * W.grad[...]
        v[...] = self.beta2 * v[...] + (1 - self.beta2) * W.grad[...] ** 2
        t = ph.cast(step, "f64") + 1
        m1[...] = m[...] / (1 - self.beta1**t)
        v1[...] = v[...] / (1 - self.beta2**t)
        W[...] += -self.rate * m1[...] / (ph.sqrt(v1[...]) + self.eps)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_adam_by_a_user(backend: str) -> None:
    model, adam = Linear(), Adam()
    p = [np.array(model.W.value), np.float64(0.5)]
    m, v = [0 * q for q in p], [0 * q for q in p]
    fit(model, adam, backend)
    for t, rows in enumerate(minibatches(3), 1):
        for n, g in enumerate(gradients(p[0], p[1], rows)):
            m[n] = 0.9 * m[n] + 0.1 * g
            v[n] = 0.99 * v[n] + 0.01 * g**2
            p[n] = p[n] - 0.01 * m[n] / (1 - 0.9**t) / (np.sqrt(v[n] / (1 - 0.99**t)) + 1e-8)
    assert_allclose(model.W.value, p[0], rtol=1e-10)
    assert_allclose(model.c.value, p[1], rtol=1e-10)


def test_states_are_of_the_optimizer_not_of_the_model() -> None:
    model = Linear()
    fit(model, Adam())
    assert list(model.named_tensors()) == ["W", "c"]
    algorithm = ph.compile(loss, model, optimizer=Adam(), batch=Dataset(x=X, t=T).spec(5))
    assert [s.name for s in algorithm.states[model.W].values()] == ["W.m", "W.v"]
    assert {t.name for t in algorithm.step.inputs} >= {"W.m", "W.v", "c.m", "c.v", "step"}
    assert "step = 3*epoch + n" in str(algorithm)


def test_a_models_own_state_may_be_called_like_the_optimizers() -> None:
    class Named(Linear):
        def __init__(self) -> None:
            super().__init__()
            self.layer = {"W": ph.param(3, 4, dtype="f64"), "W.m": ph.state(3, 4, dtype="f64")}

        def __call__(self, x: Any) -> Any:
            out = ph.tensors("out")
            out[b, j] = self.layer["W"][j, i] * x[b, i] + self.layer["W.m"][j, i] * x[b, i]
            return out

    model = Named()
    fit(model, Adam())
    assert_array_equal(model.layer["W.m"].value, np.zeros((3, 4)))
    assert np.abs(model.layer["W"].value).max() > 0


def test_two_parameters_may_share_what_an_optimizer_names() -> None:
    """Temporaries of one name in the updates of several parameters stay apart."""
    algorithm = ph.compile(loss, Linear(), optimizer=Adam(), batch=Dataset(x=X, t=T).spec(5))
    targets = [s.target.tensor.name for s in algorithm.parts.update]
    assert len(set(targets)) == len(targets) == 10
