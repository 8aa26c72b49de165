"""W2: a wide perceptron 784-1024-1024-10, ReLU, softmax cross-entropy, Adam, B = 128."""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import Adam
from benchmarks.workload import Array, Arrays, Rng, Training, Workload, uniform
from benchmarks.workloads.w1_mlp import columns
from phistar import log, relu, softmax

Sizes = tuple[int, int, int, int]

# phistar ------------------------------------------------------------------------------------------

b, i, j, k, y = ph.indices("b i j k y")


class Wide(ph.Model):
    """P_Φ(y|x) with two hidden layers: x[b, i] -> P[b, y]."""

    def __init__(self, features: int, first: int, second: int, labels: int) -> None:
        self.W0, self.b0 = ph.param(first, features), ph.param(first)
        self.W1, self.b1 = ph.param(second, first), ph.param(second)
        self.W2, self.b2 = ph.param(labels, second), ph.param(labels)

    def __call__(self, x: Any) -> Any:
        h, g, P = ph.tensors("h g P")
        h[b, j] = relu(self.W0[j, i] * x[b, i] + self.b0[j])
        g[b, k] = relu(self.W1[k, j] * h[b, j] + self.b1[k])
        P[b, y] = softmax[y](self.W2[y, k] * g[b, k] + self.b2[y])
        return P


def loss(model: ph.Model, x: Any, label: Any) -> Any:
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))


# The peers ----------------------------------------------------------------------------------------


def torch_loss(p: Any) -> Any:
    from torch.nn.functional import cross_entropy, linear, relu

    def value(x: Any, label: Any) -> Any:
        h = relu(linear(x, p["W0"], p["b0"]))
        h = relu(linear(h, p["W1"], p["b1"]))
        return cross_entropy(linear(h, p["W2"], p["b2"]), label)

    return value


def jax_loss() -> Any:
    from jax.nn import relu

    from benchmarks.peers.jax import cross_entropy

    def value(p: Any, x: Any, label: Any) -> Any:
        h = relu(x @ p["W0"].T + p["b0"])
        h = relu(h @ p["W1"].T + p["b1"])
        return cross_entropy(h @ p["W2"].T + p["b2"], label)

    return value


def tensorflow_loss() -> Any:
    import tensorflow as tf

    from benchmarks.peers.tensorflow import cross_entropy

    def value(p: Any, x: Any, label: Any) -> Any:
        h = tf.nn.relu(tf.matmul(x, p["W0"], transpose_b=True) + p["b0"])
        h = tf.nn.relu(tf.matmul(h, p["W1"], transpose_b=True) + p["b1"])
        return cross_entropy(tf.matmul(h, p["W2"], transpose_b=True) + p["b2"], label)

    return value


def numpy_gradients() -> Any:
    def gradients(p: Arrays, x: Array, label: Array) -> tuple[float, Arrays]:
        h = np.maximum(x @ p["W0"].T + p["b0"], 0)
        g = np.maximum(h @ p["W1"].T + p["b1"], 0)
        s = g @ p["W2"].T + p["b2"]
        s -= s.max(axis=1, keepdims=True)
        P = np.exp(s)
        total = P.sum(axis=1)
        each = np.arange(len(x))
        value = (np.log(total) - s[each, label]).mean()
        P /= total[:, None]
        P[each, label] -= 1
        P /= len(x)
        dg = P @ p["W2"]
        dg *= g > 0
        dh = dg @ p["W1"]
        dh *= h > 0
        return value, {
            "W0": dh.T @ x,
            "b0": dh.sum(0),
            "W1": dg.T @ h,
            "b1": dg.sum(0),
            "W2": P.T @ g,
            "b2": P.sum(0),
        }

    return gradients


# The sizes ----------------------------------------------------------------------------------------


def parameters(sizes: Sizes, rng: Rng) -> Arrays:
    made = {}
    for n, (inputs, outputs) in enumerate(pairwise(sizes)):
        made[f"W{n}"] = uniform(rng, outputs, inputs, fan_in=inputs)
        made[f"b{n}"] = uniform(rng, outputs, fan_in=inputs)
    return made


def workload(batch: int, sizes: Sizes, examples: int) -> Workload:
    task = Training(
        optimizer=Adam(1e-3),
        batch=batch,
        parameters=partial(parameters, sizes),
        columns=partial(columns, examples, sizes[0], sizes[-1]),
        phistar=lambda: (Wide(*sizes), loss),
        torch=torch_loss,
        jax=jax_loss,
        numpy=numpy_gradients,
        tensorflow=tensorflow_loss,
    )
    features, first, second, labels = sizes
    products = 2 * features * first + 3 * first * second + 3 * second * labels
    return Workload(
        name="W2",
        title=f"MLP {'-'.join(map(str, sizes))}, Adam, B = {batch}",
        flops=2 * batch * products,
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload(8, (12, 6, 5, 3), 100)]
    return [workload(128, (784, 1024, 1024, 10), 60_000)]
