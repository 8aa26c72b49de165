"""A linear regression in f64, its gradients by hand, and steps of training with all examples."""

from typing import Any

import numpy as np

import phistar as ph
from phistar.data.dataset import Dataset

b, i, j = ph.indices("b i j")
rng = np.random.default_rng(5)
X, T = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
COLUMNS = {"x": X, "t": T}
START = rng.normal(size=(3, 4)), rng.normal(size=3)


class Linear(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 4, dtype="f64", init=START[0].copy())
        self.c = ph.param(3, dtype="f64", init=START[1].copy())

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b, j] = self.W[j, i] * x[b, i] + self.c[j]
        return out


def loss(model: Linear, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[j]((out[b, j] - t[b, j]) ** 2)


def gradients(W: Any, c: Any) -> tuple[Any, Any]:
    """Of the mean over all examples, by hand."""
    error = 2 * (X @ W.T + c - T) / len(X)
    return error.T @ X, error.sum(0)


def value(W: Any, c: Any) -> float:
    return float(((X @ W.T + c - T) ** 2).sum(1).mean())


def compiled(model: ph.Model, optimizer: Any, backend: str = "numpy") -> Any:
    spec = Dataset(**COLUMNS).spec(len(X))
    return ph.compile(loss, model, optimizer=optimizer, batch=spec, backend=backend)


def steps(model: ph.Model, optimizer: Any, number: int, backend: str = "numpy") -> Any:
    """The losses of that many steps, the values after them, and the algorithm."""
    algorithm = compiled(model, optimizer, backend)
    rows = np.tile(np.arange(len(X)), (number, 1))
    losses, values = algorithm.steps(algorithm.initial_values(0), COLUMNS, rows)
    return losses, values, algorithm
