"""A small problem that a small model learns in a second: three blobs of points in the plane."""

from typing import Any

import numpy as np

import phistar as ph
from phistar.data.dataset import Dataset

b, i, j, y = ph.indices("b i j y")


class Net(ph.Model):
    """x[b, i] -> P[b, y], with one hidden layer."""

    def __init__(self, hidden: int = 8) -> None:
        self.W0 = ph.param(hidden, 2)
        self.b0 = ph.param(hidden, init=0)
        self.W1 = ph.param(3, hidden)

    def __call__(self, x: Any) -> Any:
        h, P = ph.tensors("h P")
        h[b, j] = ph.relu(self.W0[j, i] * x[b, i] + self.b0[j])
        P[b, y] = ph.softmax[y](self.W1[y, j] * h[b, j])
        return P


def loss(model: Net, x: Any, label: Any) -> Any:
    P = model(x)
    return -ph.log(P[b, label[b]])


def blobs(examples: int = 90, seed: int = 0) -> Dataset:
    """Points around three centres, and which centre it is."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, examples)
    centres = np.array([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])
    x = centres[label] + 0.3 * rng.normal(size=(examples, 2))
    return Dataset(x=x.astype(np.float32), label=label)


class Line(ph.Model):
    """x[b] -> w x[b] + c, for tests that compute everything by hand."""

    def __init__(self, w: float = 0.5, c: float = 0.0) -> None:
        self.w = ph.param((), init=w, dtype="f64")
        self.c = ph.param((), init=c, dtype="f64")

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b] = self.w * x[b] + self.c
        return out


def squares(model: Line, x: Any, t: Any) -> Any:
    """(w x + c - t)^2, one for each example."""
    out = model(x)
    return (out[b] - t[b]) ** 2


def line(examples: int = 10) -> Dataset:
    x = np.linspace(-1, 1, examples)
    return Dataset(x=x, t=3 * x + 1)
