"""W1: the lecture's perceptron 784-128-10, ReLU, softmax cross-entropy, SGD 0.1.

B = 32, 128, 512.
"""

from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import SGD
from benchmarks.workload import Array, Arrays, Rng, Training, Workload, uniform
from phistar import log, relu, softmax

# phistar ------------------------------------------------------------------------------------------

b, i, j, y = ph.indices("b i j y")


class MLP(ph.Model):
    """P_Φ(y|x) with one hidden layer: x[b, i] -> P[b, y]."""

    def __init__(self, features: int = 784, hidden: int = 128, labels: int = 10) -> None:
        self.W0, self.b0 = ph.param(hidden, features), ph.param(hidden)
        self.W1, self.b1 = ph.param(labels, hidden), ph.param(labels)

    def __call__(self, x: Any) -> Any:
        h, s, P = ph.tensors("h s P")
        h[b, j] = relu(self.W0[j, i] * x[b, i] + self.b0[j])
        s[b, y] = self.W1[y, j] * h[b, j] + self.b1[y]
        P[b, y] = softmax[y](s[b, y])
        return P


def loss(model: ph.Model, x: Any, label: Any) -> Any:
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))


# The peers ----------------------------------------------------------------------------------------


def torch_scores(p: Any) -> Any:
    from torch.nn.functional import linear, relu

    return lambda x: linear(relu(linear(x, p["W0"], p["b0"])), p["W1"], p["b1"])


def torch_loss(p: Any) -> Any:
    from torch.nn.functional import cross_entropy

    scores = torch_scores(p)
    return lambda x, label: cross_entropy(scores(x), label)


def jax_scores(p: Any, x: Any) -> Any:
    import jax

    return jax.nn.relu(x @ p["W0"].T + p["b0"]) @ p["W1"].T + p["b1"]


def jax_loss() -> Any:
    from benchmarks.peers.jax import cross_entropy

    return lambda p, x, label: cross_entropy(jax_scores(p, x), label)


def tensorflow_scores(p: Any, x: Any) -> Any:
    import tensorflow as tf

    h = tf.nn.relu(tf.matmul(x, p["W0"], transpose_b=True) + p["b0"])
    return tf.matmul(h, p["W1"], transpose_b=True) + p["b1"]


def tensorflow_loss() -> Any:
    from benchmarks.peers.tensorflow import cross_entropy

    return lambda p, x, label: cross_entropy(tensorflow_scores(p, x), label)


def numpy_gradients() -> Any:
    def gradients(p: Arrays, x: Array, label: Array) -> tuple[float, Arrays]:
        h = x @ p["W0"].T
        h += p["b0"]
        np.maximum(h, 0, out=h)
        s = h @ p["W1"].T
        s += p["b1"]
        s -= s.max(axis=1, keepdims=True)
        P = np.exp(s)
        total = P.sum(axis=1)
        each = np.arange(len(x))
        value = (np.log(total) - s[each, label]).mean()
        P /= total[:, None]
        P[each, label] -= 1
        P /= len(x)
        dh = P @ p["W1"]
        dh *= h > 0
        return value, {"W0": dh.T @ x, "b0": dh.sum(0), "W1": P.T @ h, "b1": P.sum(0)}

    return gradients


# The sizes ----------------------------------------------------------------------------------------


def parameters(sizes: tuple[int, int, int], rng: Rng) -> Arrays:
    features, hidden, labels = sizes
    return {
        "W0": uniform(rng, hidden, features, fan_in=features),
        "b0": uniform(rng, hidden, fan_in=features),
        "W1": uniform(rng, labels, hidden, fan_in=hidden),
        "b1": uniform(rng, labels, fan_in=hidden),
    }


def columns(examples: int, features: int, labels: int, rng: Rng) -> Arrays:
    """Points, and the label of a linear map that an MLP can learn."""
    x = rng.random((examples, features), np.float32)
    W = rng.normal(size=(features, labels)).astype(np.float32)
    return {"x": x, "label": ((x - 0.5) @ W).argmax(axis=1)}


def workload(name: str, batch: int, sizes: tuple[int, int, int], examples: int) -> Workload:
    features, hidden, labels = sizes
    task = Training(
        optimizer=SGD(0.1),
        batch=batch,
        parameters=partial(parameters, sizes),
        columns=partial(columns, examples, features, labels),
        phistar=lambda: (MLP(*sizes), loss),
        torch=torch_loss,
        jax=jax_loss,
        numpy=numpy_gradients,
        tensorflow=tensorflow_loss,
    )
    return Workload(
        name=name,
        title=f"MLP {features}-{hidden}-{labels}, SGD, B = {batch}",
        flops=2 * batch * (2 * features * hidden + 3 * hidden * labels),
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload("W1-8", 8, (12, 6, 3), 100)]
    return [workload(f"W1-{B}", B, (784, 128, 10), 60_000) for B in (32, 128, 512)]
