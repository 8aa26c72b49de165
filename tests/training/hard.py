"""A training with all that could spoil a resume: Adam, dropout, batch norm, a schedule, noise.

h = dropout(relu(batchnorm(W0 x + noise)));  P = softmax(W1 h);  Adam with a rate that falls
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar.data.dataset import Dataset

b, i, j, y = ph.indices("b i j y")


class Hard(ph.Model):
    """x[b, i] -> P[b, y]. Noise on x is an augmentation by the model."""

    def __init__(self, hidden: int = 8) -> None:
        self.W0 = ph.param(hidden, 2)
        self.norm = ph.nn.BatchNorm1d(hidden)
        self.drop = ph.nn.Dropout(0.3)
        self.W1 = ph.param(3, hidden)

    def __call__(self, x: Any) -> Any:
        a, h, P = ph.tensors("a h P")
        a[b, j] = self.W0[j, i] * (x[b, i] + 0.1 * ph.normal[b, i])
        n = self.norm(a)
        h[b, j] = ph.relu(n[b, j])
        h = self.drop(h)
        P[b, y] = ph.softmax[y](self.W1[y, j] * h[b, j])
        return P


def loss(model: Hard, x: Any, label: Any) -> Any:
    P = model(x)
    return -ph.log(P[b, label[b]])


def optimizer() -> Any:
    return ph.Adam(ph.schedules.cosine(0.05, 200))


def data(examples: int = 150) -> Dataset:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, examples)
    centres = np.array([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])
    x = centres[label] + 0.8 * rng.normal(size=(examples, 2))
    return Dataset(x=x.astype(np.float32), label=label)


def augmented(examples: int = 150) -> Dataset:
    """The same, each example moved and mirrored at random: an augmentation by the data set."""

    def moved(x: Any, rng: Any) -> dict[str, Any]:
        mirror = np.float32(1 - 2 * rng.integers(2))
        return {"x": mirror * x + rng.normal(0, 0.1, x.shape).astype(np.float32)}

    return data(examples).map(moved)


def train(snapshots: Any = None, **options: Any) -> tuple[Hard, ph.History]:
    """Ten minibatches of 16 an epoch, the last smaller."""
    model = options.pop("model", None) or Hard()
    settings: dict[str, Any] = {
        "optimizer": optimizer(), "epochs": 4, "batch_size": 16, "seed": 5, "progress": False,
        "snapshots": snapshots, "backend": "numpy",
    }  # fmt: skip
    history = ph.fit(model, loss, options.pop("data", None) or data(), **{**settings, **options})
    return model, history


def bits(model: ph.Model) -> dict[str, bytes]:
    """Every parameter and state, bit by bit."""
    return {name: np.asarray(t.data).tobytes() for name, t in model.named_tensors().items()}
