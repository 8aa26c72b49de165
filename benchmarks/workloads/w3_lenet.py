"""W3: LeNet on 28x28x1: conv 5x5x20, max-pool 2, conv 5x5x50, max-pool 2, fc 500 ReLU, fc 10.

SGD 0.01 with momentum 0.9, B = 64.
"""

from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import SGD
from benchmarks.workload import Arrays, Rng, Training, Workload, uniform
from phistar import log, relu, softmax

# phistar ------------------------------------------------------------------------------------------

b, c, k, l, m, y = ph.indices("b c k l m y")  # image, channels, hidden unit, label
p, q, i, j = ph.indices("p q i j")  # position in an image, in a filter
u, v = ph.indices("u v", u=2, v=2)  # position in a pool


class LeNet(ph.Model):
    """P_Φ(y|x) of LeCun et al. (1998), as it is trained today: x[b, c, p, q] -> P[b, y]."""

    def __init__(self, image: int = 28, first: int = 20, second: int = 50, hidden: int = 500):
        side = ((image - 4) // 2 - 4) // 2
        self.K1, self.b1 = ph.param(first, 1, 5, 5), ph.param(first)
        self.K2, self.b2 = ph.param(second, first, 5, 5), ph.param(second)
        self.W3, self.b3 = ph.param(hidden, second * side * side), ph.param(hidden)
        self.W4, self.b4 = ph.param(10, hidden), ph.param(10)

    def __call__(self, x: Any) -> Any:
        a1, m1, a2, m2, h, P = ph.tensors("a1 m1 a2 m2 h P")
        a1[b, k, p, q] = self.K1[k, c, i, j] * x[b, c, p + i, q + j] + self.b1[k]
        m1[b, k, p, q] = ph.max[u, v](a1[b, k, 2 * p + u, 2 * q + v])
        a2[b, l, p, q] = self.K2[l, k, i, j] * m1[b, k, p + i, q + j] + self.b2[l]
        m2[b, l, p, q] = ph.max[u, v](a2[b, l, 2 * p + u, 2 * q + v])
        h[b, m] = relu(self.W3[m, (l, p, q)] * m2[b, l, p, q] + self.b3[m])
        P[b, y] = softmax[y](self.W4[y, m] * h[b, m] + self.b4[y])
        return P


def loss(model: ph.Model, x: Any, label: Any) -> Any:
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))


# The peers ----------------------------------------------------------------------------------------


def torch_loss(p: Any) -> Any:
    from torch.nn.functional import conv2d, cross_entropy, linear, max_pool2d, relu

    def value(x: Any, label: Any) -> Any:
        x = max_pool2d(conv2d(x, p["K1"], p["b1"]), 2)
        x = max_pool2d(conv2d(x, p["K2"], p["b2"]), 2)
        h = relu(linear(x.flatten(1), p["W3"], p["b3"]))
        return cross_entropy(linear(h, p["W4"], p["b4"]), label)

    return value


def jax_loss() -> Any:
    """Channels last, which XLA's convolutions on a CPU prefer."""
    import jax

    from benchmarks.peers.jax import cross_entropy

    def conv(x: Any, K: Any, c: Any) -> Any:
        return c + jax.lax.conv_general_dilated(
            x, K, (1, 1), "VALID", dimension_numbers=("NHWC", "OIHW", "NHWC")
        )

    def pool(x: Any) -> Any:  # quicker than reduce_window
        n, height, width, channels = x.shape
        return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))

    def value(p: Any, x: Any, label: Any) -> Any:
        x = x.transpose(0, 2, 3, 1)
        x = pool(conv(x, p["K1"], p["b1"]))
        x = pool(conv(x, p["K2"], p["b2"])).transpose(0, 3, 1, 2)
        h = jax.nn.relu(x.reshape(len(x), -1) @ p["W3"].T + p["b3"])
        return cross_entropy(h @ p["W4"].T + p["b4"], label)

    return value


def tensorflow_loss() -> Any:
    import tensorflow as tf

    from benchmarks.peers.tensorflow import cross_entropy

    def layer(x: Any, K: Any, c: Any) -> Any:
        a = tf.nn.conv2d(x, tf.transpose(K, (2, 3, 1, 0)), 1, "VALID") + c
        return tf.nn.max_pool2d(a, 2, 2, "VALID")

    def value(p: Any, x: Any, label: Any) -> Any:
        x = layer(tf.transpose(x, (0, 2, 3, 1)), p["K1"], p["b1"])
        x = tf.transpose(layer(x, p["K2"], p["b2"]), (0, 3, 1, 2))
        x = tf.reshape(x, (x.shape[0], -1))
        h = tf.nn.relu(tf.matmul(x, p["W3"], transpose_b=True) + p["b3"])
        return cross_entropy(tf.matmul(h, p["W4"], transpose_b=True) + p["b4"], label)

    return value


# The sizes ----------------------------------------------------------------------------------------


def parameters(image: int, first: int, second: int, hidden: int, rng: Rng) -> Arrays:
    flat = second * (((image - 4) // 2 - 4) // 2) ** 2
    return {
        "K1": uniform(rng, first, 1, 5, 5, fan_in=25),
        "b1": uniform(rng, first, fan_in=25),
        "K2": uniform(rng, second, first, 5, 5, fan_in=25 * first),
        "b2": uniform(rng, second, fan_in=25 * first),
        "W3": uniform(rng, hidden, flat, fan_in=flat),
        "b3": uniform(rng, hidden, fan_in=flat),
        "W4": uniform(rng, 10, hidden, fan_in=hidden),
        "b4": uniform(rng, 10, fan_in=hidden),
    }


def columns(examples: int, channels: int, image: int, rng: Rng) -> Arrays:
    """Noise on one of ten pictures, the label."""
    pictures = rng.random((10, channels, image, image), np.float32)
    label = rng.integers(0, 10, examples)
    x = rng.random((examples, channels, image, image), np.float32)
    x += pictures[label]
    return {"x": x, "label": label}


def workload(
    batch: int, image: int, first: int, second: int, hidden: int, examples: int
) -> Workload:
    task = Training(
        optimizer=SGD(0.01, momentum=0.9),
        batch=batch,
        parameters=partial(parameters, image, first, second, hidden),
        columns=partial(columns, examples, 1, image),
        phistar=lambda: (LeNet(image, first, second, hidden), loss),
        torch=torch_loss,
        jax=jax_loss,
        tensorflow=tensorflow_loss,
        images=True,
    )
    one, two = image - 4, (image - 4) // 2 - 4
    flat = second * (two // 2) ** 2
    products = 2 * first * 25 * one**2 + 3 * second * first * 25 * two**2
    products += 3 * (hidden * flat + 10 * hidden)
    return Workload(
        name="W3",
        title=f"LeNet, SGD with momentum, B = {batch}",
        flops=2 * batch * products,
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload(4, 16, 3, 4, 6, 50)]
    return [workload(64, 28, 20, 50, 500, 60_000)]
