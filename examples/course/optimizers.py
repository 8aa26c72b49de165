"""Optimizers are equations too: momentum, RMSProp, Adam, and Langevin's noise, in a few lines each.

momentum   v = μ v + g,                       W -= η v
RMSProp    s = ρ s + (1 - ρ) g²,              W -= η g / √(s + ε)
Adam       m, s as above, unbiased,           W -= η m̂ / (√ŝ + ε)
Langevin   W -= η g + √(2 η T) ε,             ε normal: samples instead of a minimum
"""

from dataclasses import dataclass

import numpy as np

import phistar as ph

b, i = ph.indices("b i")


@dataclass(frozen=True)
class Momentum:
    rate: float
    decay: float = 0.9

    def states(self, W):
        return {"v": ph.state(*W.shape, dtype=W.dtype)}

    def update(self, W, states, step):
        v = states["v"]
        v[...] = self.decay * v[...] + W.grad[...]
        W[...] += -self.rate * v[...]


@dataclass(frozen=True)
class RMSProp:
    rate: float
    decay: float = 0.9

    def states(self, W):
        return {"s": ph.state(*W.shape, dtype=W.dtype)}

    def update(self, W, states, step):
        s = states["s"]
        s[...] = self.decay * s[...] + (1 - self.decay) * W.grad[...] ** 2
        W[...] += -self.rate * W.grad[...] / ph.sqrt(s[...] + 1e-8)


@dataclass(frozen=True)
class Adam:
    rate: float
    first: float = 0.9
    second: float = 0.999

    def states(self, W):
        return {name: ph.state(*W.shape, dtype=W.dtype) for name in "ms"}

    def update(self, W, states, step):
        m, s, g = states["m"], states["s"], W.grad
        m[...] = self.first * m[...] + (1 - self.first) * g[...]
        s[...] = self.second * s[...] + (1 - self.second) * g[...] ** 2
        unbiased = ph.sqrt(1 - self.second ** (step + 1)) / (1 - self.first ** (step + 1))
        W[...] += -self.rate * unbiased * m[...] / (ph.sqrt(s[...]) + 1e-8)


@dataclass(frozen=True)
class Langevin:
    rate: float
    temperature: float = 0.001

    def states(self, W):
        return {}

    def update(self, W, states, step):
        noise = (2 * self.rate * self.temperature) ** 0.5
        axes = tuple(ph.index(f"a{n}", size) for n, size in enumerate(W.shape))
        W[axes] += -self.rate * W.grad[axes] + noise * ph.normal[axes]


class Line(ph.Model):
    def __init__(self):
        self.W, self.c = ph.param(3, init=0), ph.param(1, init=0)


def loss(model, x, t):
    y = ph.tensors("y")
    y[b] = model.W[i] * x[b, i] + model.c[0]
    return ph.mean[b]((y[b] - t[b]) ** 2)


rng = np.random.default_rng(0)
x = (rng.normal(size=(100, 3)) * [1, 0.3, 3]).astype(np.float32)  # a long valley
data = ph.data.Dataset(x=x, t=(x @ np.array([1, -2, 0.5]) + 0.3).astype(np.float32))
for optimizer in (ph.SGD(0.02), Momentum(0.01), RMSProp(0.02), Adam(0.05), Langevin(0.02)):
    print(ph.compile(loss, Line(), optimizer=optimizer, batch=data.spec(20)).step, "\n")
    settings = {"epochs": 40, "batch_size": 20, "progress": False}
    history = ph.fit(Line(), loss, data, optimizer=optimizer, **settings)
    print(f"{optimizer}: loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.5f}\n")
