"""Attention, and a Transformer block of it: each position reads from those before it.

a[b, h, t, u] = softmax[u : u <= t] q[b, h, t, d] k[b, h, u, d] / √d
o[b, t, (h, d)] = a[b, h, t, u] v[b, h, u, d]
x = x + O o,  x = x + G relu(F norm(x))
"""

import numpy as np

import phistar as ph
from phistar import relu, softmax, sqrt

b, t, u, h, d, e, m, w = ph.indices("b t u h d e m w")


def norm(x):
    """Each position with mean 0 and variance 1."""
    mean, variance, y = ph.tensors("mean variance y")
    mean[b, t] = ph.mean[e](x[b, t, e])
    variance[b, t] = ph.mean[e]((x[b, t, e] - mean[b, t]) ** 2)
    y[b, t, e] = (x[b, t, e] - mean[b, t]) / sqrt(variance[b, t] + 1e-5)
    return y


class Transformer(ph.Model):
    def __init__(self, words=7, times=6, n=16, heads=2):
        self.E, self.T = ph.param(words, n), ph.param(times, n)
        self.Q, self.K, self.V = (ph.param(heads, n // heads, n) for _ in range(3))
        self.O, self.F, self.G = ph.param(n, n), ph.param(32, n), ph.param(n, 32)

    def __call__(self, word):
        x, q, k, v, a, o, y, f, z, s, P = ph.tensors("x q k v a o y f z s P")
        x[b, t, e] = self.E[word[b, t], e] + self.T[t, e]
        n = norm(x)
        q[b, h, t, d] = self.Q[h, d, e] * n[b, t, e]
        k[b, h, t, d] = self.K[h, d, e] * n[b, t, e]
        v[b, h, t, d] = self.V[h, d, e] * n[b, t, e]
        a[b, h, t, u] = softmax[u : u <= t](q[b, h, t, d] * k[b, h, u, d] / sqrt(d.size))
        o[b, t, (h, d)] = a[b, h, t, u] * v[b, h, u, d]
        y[b, t, e] = x[b, t, e] + self.O[e, m] * o[b, t, m]
        n = norm(y)
        f[b, t, m] = relu(self.F[m, e] * n[b, t, e])
        z[b, t, e] = y[b, t, e] + self.G[e, m] * f[b, t, m]
        s[b, t, w] = self.E[w, e] * z[b, t, e] / sqrt(e.size)  # the embedding, used again
        P[b, t, w] = softmax[w](s[b, t, w])
        return P


def loss(model, word, following):
    P = model(word)
    return ph.mean[b, t](-ph.log(P[b, t, following[b, t]]))


rng = np.random.default_rng(0)
text = np.cumsum(rng.integers(1, 3, (160, 1)) + np.zeros((160, 7), int), axis=1) % 7
data = ph.data.Dataset(word=text[:, :-1], following=text[:, 1:])  # a word and two tell the step
net = Transformer()
print(ph.trace(loss, net, data["word"][:4], data["following"][:4]).backward())
history = ph.fit(net, loss, data, optimizer=ph.Adam(0.01), epochs=8, batch_size=20, progress=False)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
