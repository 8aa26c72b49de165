"""W5: an LSTM over characters: vocabulary 96, embedding 64, hidden 256, T = 64, B = 32, Adam."""

from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import Adam
from benchmarks.workload import Arrays, Rng, Training, Workload, uniform
from phistar import log, sigmoid, softmax, tanh

# phistar ------------------------------------------------------------------------------------------

b, t, w, e, j, k = ph.indices("b t w e j k")  # sequence, time, character, embedding, hidden units
z = ph.index("z", 4)  # gate


class LSTM(ph.Model):
    """P_Φ(next character) of Hochreiter and Schmidhuber (1997): text[b, t] -> P[b, t, w]."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        self.E = ph.param(vocabulary, embedding)
        self.W, self.U = ph.param(4, hidden, embedding), ph.param(4, hidden, hidden)
        self.a = ph.param(4, hidden)
        self.V, self.d = ph.param(vocabulary, hidden), ph.param(vocabulary)

    def __call__(self, text: Any) -> Any:
        x, g, c, h, P = ph.tensors("x g c h P")
        x[b, t, e] = self.E[text[b, t], e]
        c[b, ph.first - 1, j] = 0
        h[b, ph.first - 1, j] = 0
        with ph.scan(t):
            g[b, t, z, j] = (
                self.W[z, j, e] * x[b, t, e] + self.U[z, j, k] * h[b, t - 1, k] + self.a[z, j]
            )
            c[b, t, j] = sigmoid(g[b, t, 1, j]) * c[b, t - 1, j] + sigmoid(g[b, t, 0, j]) * tanh(
                g[b, t, 2, j]
            )
            h[b, t, j] = sigmoid(g[b, t, 3, j]) * tanh(c[b, t, j])
        P[b, t, w] = softmax[w](self.V[w, j] * h[b, t, j] + self.d[w])
        return P


def loss(model: ph.Model, text: Any, following: Any) -> Any:
    P = model(text)
    return ph.mean[b, t](-log(P[b, t, following[b, t]]))


# The peers ----------------------------------------------------------------------------------------


def torch_loss(hidden: int, p: Any) -> Any:
    import torch
    from torch.nn.functional import cross_entropy, embedding, linear

    none = torch.zeros(4 * hidden)  # PyTorch's second bias

    def value(text: Any, following: Any) -> Any:
        start = torch.zeros(1, len(text), hidden)
        weights = [p["W"], p["U"], p["a"], none]
        x = embedding(text, p["E"])
        h, _, _ = torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, True)
        return cross_entropy(linear(h, p["V"], p["d"]).flatten(0, 1), following.flatten())

    return value


def jax_loss(hidden: int) -> Any:
    import jax
    import jax.numpy as jnp
    from jax.nn import sigmoid

    from benchmarks.peers.jax import cross_entropy

    def value(p: Any, text: Any, following: Any) -> Any:
        inputs = p["E"][text.T] @ p["W"].T + p["a"]

        def step(state: Any, x: Any) -> Any:
            c, h = state
            i, f, g, o = jnp.split(x + h @ p["U"].T, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
            h = sigmoid(o) * jnp.tanh(c)
            return (c, h), h

        start = jnp.zeros((len(text), hidden))
        _, h = jax.lax.scan(step, (start, start), inputs)
        return cross_entropy(h @ p["V"].T + p["d"], following.T)

    return value


def tensorflow_loss(hidden: int) -> Any:
    import tensorflow as tf

    from benchmarks.peers.tensorflow import cross_entropy

    def value(p: Any, text: Any, following: Any) -> Any:
        x = tf.gather(p["E"], tf.transpose(text))
        inputs = tf.tensordot(x, p["W"], ((2,), (1,))) + p["a"]
        c = h = tf.zeros((text.shape[0], hidden))
        hs = []
        for now in tf.unstack(inputs):
            i, f, g, o = tf.split(now + tf.matmul(h, p["U"], transpose_b=True), 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            hs.append(h)
        scores = tf.tensordot(tf.stack(hs), p["V"], ((2,), (1,))) + p["d"]
        return cross_entropy(scores, tf.transpose(following))

    return value


# The sizes ----------------------------------------------------------------------------------------


def parameters(vocabulary: int, embedding: int, hidden: int, rng: Rng) -> Arrays:
    return {
        "E": rng.normal(size=(vocabulary, embedding)).astype(np.float32),
        "W": uniform(rng, 4 * hidden, embedding, fan_in=hidden),
        "U": uniform(rng, 4 * hidden, hidden, fan_in=hidden),
        "a": uniform(rng, 4 * hidden, fan_in=hidden),
        "V": uniform(rng, vocabulary, hidden, fan_in=hidden),
        "d": uniform(rng, vocabulary, fan_in=hidden),
    }


def columns(examples: int, length: int, vocabulary: int, rng: Rng) -> Arrays:
    """Text in which each character follows its neighbour closely, and what comes next in it."""
    jumps = rng.integers(0, 3, (examples, length + 1))
    jumps[:, 0] = rng.integers(0, vocabulary, examples)
    text = jumps.cumsum(axis=1) % vocabulary
    return {"text": text[:, :-1].copy(), "following": text[:, 1:].copy()}


def workload(
    batch: int, length: int, vocabulary: int, embedding: int, hidden: int, examples: int
) -> Workload:
    sizes = vocabulary, embedding, hidden
    task = Training(
        optimizer=Adam(1e-3),
        batch=batch,
        parameters=partial(parameters, *sizes),
        columns=partial(columns, examples, length, vocabulary),
        phistar=lambda: (LSTM(*sizes), loss),
        torch=partial(torch_loss, hidden),
        jax=partial(jax_loss, hidden),
        tensorflow=partial(tensorflow_loss, hidden),
    )
    products = 4 * hidden * (embedding + hidden) + hidden * vocabulary
    return Workload(
        name="W5",
        title=f"LSTM, hidden {hidden}, T = {length}, Adam, B = {batch}",
        flops=2 * batch * length * 3 * products,
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload(3, 5, 7, 4, 6, 30)]
    return [workload(32, 64, 96, 64, 256, 4096)]
