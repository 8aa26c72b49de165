"""W6: a GPT with 4 layers, d 128, 4 heads, context 64, vocabulary 96, B = 16, AdamW.

W7: the same with 6 layers, d 384, 6 heads, context 256, vocabulary 1024, B = 4.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import AdamW
from benchmarks.workload import Arrays, Rng, Training, Workload
from benchmarks.workloads.w5_lstm import columns
from phistar import gelu, log, softmax, sqrt


@dataclass(frozen=True)
class Sizes:
    layers: int
    width: int
    heads: int
    context: int
    vocabulary: int


# phistar ------------------------------------------------------------------------------------------

b, t, u, w = ph.indices("b t u w")  # sequence, time, earlier time, token
d, e, h, m = ph.indices("d e h m")  # within a head, embedding, head, hidden unit
z = ph.index("z", 3)  # query, key, value


class LayerNorm(ph.Model):
    """Each position with mean 0 and variance 1, scaled and shifted."""

    def __init__(self, width: int) -> None:
        self.gain, self.bias = ph.param(width), ph.param(width)

    def __call__(self, x: Any) -> Any:
        mean, variance, n = ph.tensors("mean variance n")
        mean[b, t] = ph.mean[e](x[b, t, e])
        variance[b, t] = ph.mean[e]((x[b, t, e] - mean[b, t]) ** 2)
        n[b, t, e] = (
            self.gain[e] * (x[b, t, e] - mean[b, t]) / sqrt(variance[b, t] + 1e-5) + self.bias[e]
        )
        return n


class Block(ph.Model):
    """Causal attention with several heads, then a perceptron; both are added to their input."""

    def __init__(self, width: int, heads: int) -> None:
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.A = ph.param(3, heads, width // heads, width)
        self.a = ph.param(3, heads, width // heads)
        self.O, self.o = ph.param(width, width), ph.param(width)
        self.F, self.f = ph.param(4 * width, width), ph.param(4 * width)
        self.G, self.g = ph.param(width, 4 * width), ph.param(width)

    def __call__(self, x: Any) -> Any:
        q, p, v, r, k, s = ph.tensors("q p v r k s")
        n = self.norm1(x)
        q[b, t, z, h, d] = self.A[z, h, d, e] * n[b, t, e] + self.a[z, h, d]
        p[b, h, t, u] = softmax[u : u <= t](q[b, t, 0, h, d] * q[b, u, 1, h, d] / sqrt(d.size))
        v[b, t, (h, d)] = p[b, h, t, u] * q[b, u, 2, h, d]
        r[b, t, e] = x[b, t, e] + self.O[e, m] * v[b, t, m] + self.o[e]
        n = self.norm2(r)
        k[b, t, m] = gelu(self.F[m, e] * n[b, t, e] + self.f[m])
        s[b, t, e] = r[b, t, e] + self.G[e, m] * k[b, t, m] + self.g[e]
        return s


class GPT(ph.Model):
    """P_Φ(next token) of Radford et al. (2019): text[b, t] -> P[b, t, w]."""

    def __init__(self, sizes: Sizes) -> None:
        self.E = ph.param(sizes.vocabulary, sizes.width)
        self.T = ph.param(sizes.context, sizes.width)
        self.blocks = [Block(sizes.width, sizes.heads) for _ in range(sizes.layers)]
        self.norm = LayerNorm(sizes.width)

    def __call__(self, text: Any) -> Any:
        x, P = ph.tensors("x P")
        x[b, t, e] = self.E[text[b, t], e] + self.T[t, e]
        for block in self.blocks:
            x = block(x)
        n = self.norm(x)
        P[b, t, w] = softmax[w](self.E[w, e] * n[b, t, e])
        return P


def loss(model: ph.Model, text: Any, following: Any) -> Any:
    P = model(text)
    return ph.mean[b, t](-log(P[b, t, following[b, t]]))


# The peers ----------------------------------------------------------------------------------------


def torch_scores(sizes: Sizes, p: Any) -> Any:
    from torch.nn.functional import (
        embedding,
        gelu,
        layer_norm,
        linear,
        scaled_dot_product_attention,
    )

    def norm(x: Any, name: str) -> Any:
        return layer_norm(x, (sizes.width,), p[f"{name}.gain"], p[f"{name}.bias"])

    def block(x: Any, name: str) -> Any:
        n = linear(norm(x, f"{name}.norm1"), p[f"{name}.A"], p[f"{name}.a"])
        q, k, v = n.unflatten(-1, (3, sizes.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        o = scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + linear(o, p[f"{name}.O"], p[f"{name}.o"])
        n = gelu(linear(norm(x, f"{name}.norm2"), p[f"{name}.F"], p[f"{name}.f"]))
        return x + linear(n, p[f"{name}.G"], p[f"{name}.g"])

    def scores(text: Any) -> Any:
        x = embedding(text, p["E"]) + p["T"]
        for n in range(sizes.layers):
            x = block(x, f"blocks.{n}")
        return linear(norm(x, "norm"), p["E"])

    return scores


def torch_loss(sizes: Sizes, p: Any) -> Any:
    from torch.nn.functional import cross_entropy

    scores = torch_scores(sizes, p)
    return lambda text, following: cross_entropy(scores(text).flatten(0, 1), following.flatten())


def jax_scores(sizes: Sizes, p: Any, text: Any) -> Any:
    import jax
    import jax.numpy as jnp

    def norm(x: Any, name: str) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return p[f"{name}.gain"] * centred * jax.lax.rsqrt(variance + 1e-5) + p[f"{name}.bias"]

    def block(x: Any, name: str) -> Any:
        n = norm(x, f"{name}.norm1") @ p[f"{name}.A"].T + p[f"{name}.a"]
        q, k, v = jnp.moveaxis(n.reshape(*x.shape[:2], 3, sizes.heads, -1), 2, 0)
        s = jnp.einsum("bthd,buhd->bhtu", q, k) * q.shape[-1] ** -0.5
        mask = jnp.tril(jnp.ones((sizes.context, sizes.context), bool))
        P = jax.nn.softmax(jnp.where(mask, s, -jnp.inf))
        o = jnp.einsum("bhtu,buhd->bthd", P, v).reshape(x.shape)
        x = x + o @ p[f"{name}.O"].T + p[f"{name}.o"]
        n = norm(x, f"{name}.norm2") @ p[f"{name}.F"].T + p[f"{name}.f"]
        return x + jax.nn.gelu(n, approximate=False) @ p[f"{name}.G"].T + p[f"{name}.g"]

    x = p["E"][text] + p["T"]
    for n in range(sizes.layers):
        x = block(x, f"blocks.{n}")
    return norm(x, "norm") @ p["E"].T


def jax_loss(sizes: Sizes) -> Any:
    from benchmarks.peers.jax import cross_entropy

    return lambda p, text, following: cross_entropy(jax_scores(sizes, p, text), following)


def tensorflow_scores(sizes: Sizes, p: Any, text: Any) -> Any:
    import tensorflow as tf

    def linear(x: Any, W: Any, c: Any = 0.0) -> Any:
        return tf.tensordot(x, W, ((2,), (1,))) + c

    def norm(x: Any, name: str) -> Any:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        n = (x - mean) * tf.math.rsqrt(variance + 1e-5)
        return p[f"{name}.gain"] * n + p[f"{name}.bias"]

    def block(x: Any, name: str) -> Any:
        n = linear(norm(x, f"{name}.norm1"), p[f"{name}.A"], p[f"{name}.a"])
        n = tf.reshape(n, (*x.shape[:2], 3, sizes.heads, -1))
        q, k, v = tf.unstack(tf.transpose(n, (2, 0, 3, 1, 4)))
        s = tf.matmul(q, k, transpose_b=True) * q.shape[-1] ** -0.5
        mask = tf.linalg.band_part(tf.ones((sizes.context, sizes.context), tf.bool), -1, 0)
        P = tf.nn.softmax(tf.where(mask, s, -float("inf")))
        o = tf.reshape(tf.transpose(tf.matmul(P, v), (0, 2, 1, 3)), x.shape)
        x = x + linear(o, p[f"{name}.O"], p[f"{name}.o"])
        n = linear(norm(x, f"{name}.norm2"), p[f"{name}.F"], p[f"{name}.f"])
        return x + linear(tf.nn.gelu(n), p[f"{name}.G"], p[f"{name}.g"])

    x = tf.gather(p["E"], text) + p["T"]
    for n in range(sizes.layers):
        x = block(x, f"blocks.{n}")
    return linear(norm(x, "norm"), p["E"])


def tensorflow_loss(sizes: Sizes) -> Any:
    from benchmarks.peers.tensorflow import cross_entropy

    return lambda p, text, following: cross_entropy(tensorflow_scores(sizes, p, text), following)


# The sizes ----------------------------------------------------------------------------------------


def parameters(sizes: Sizes, rng: Rng) -> Arrays:
    width = sizes.width

    def normal(*shape: int) -> Any:
        return (0.02 * rng.normal(size=shape)).astype(np.float32)

    def norm(name: str) -> Arrays:
        gain, bias = np.ones(width, np.float32), np.zeros(width, np.float32)
        return {f"{name}.gain": gain, f"{name}.bias": bias}

    made = {"E": normal(sizes.vocabulary, width), "T": normal(sizes.context, width)}
    shapes = {"A": (3 * width, width), "O": (width, width)}
    shapes |= {"F": (4 * width, width), "G": (width, 4 * width)}
    for n in range(sizes.layers):
        made |= norm(f"blocks.{n}.norm1") | norm(f"blocks.{n}.norm2")
        for name, shape in shapes.items():
            made[f"blocks.{n}.{name}"] = normal(*shape)
            made[f"blocks.{n}.{name.lower()}"] = np.zeros(shape[0], np.float32)
    return made | norm("norm")


def products(sizes: Sizes) -> int:
    """Multiplications for a token, forward; attention counts each pair of positions once."""
    layer = 12 * sizes.width**2 + sizes.context * sizes.width
    return sizes.layers * layer + sizes.vocabulary * sizes.width


def workload(name: str, batch: int, sizes: Sizes, examples: int) -> Workload:
    task = Training(
        optimizer=AdamW(1e-3, weight_decay=0.01),
        batch=batch,
        parameters=partial(parameters, sizes),
        columns=partial(columns, examples, sizes.context, sizes.vocabulary),
        phistar=lambda: (GPT(sizes), loss),
        torch=partial(torch_loss, sizes),
        jax=partial(jax_loss, sizes),
        tensorflow=partial(tensorflow_loss, sizes),
    )
    return Workload(
        name=name,
        title=f"GPT, {sizes.layers} layers, d {sizes.width}, context {sizes.context}, AdamW, "
        f"B = {batch}",
        flops=2 * batch * sizes.context * 3 * products(sizes),
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


W6 = Sizes(layers=4, width=128, heads=4, context=64, vocabulary=96)
W7 = Sizes(layers=6, width=384, heads=6, context=256, vocabulary=1024)
TINY = Sizes(layers=2, width=8, heads=2, context=5, vocabulary=7)


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload("W6", 3, TINY, 30)]
    return [workload("W6", 16, W6, 4096), workload("W7", 4, W7, 1024)]
