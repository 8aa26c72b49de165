"""Residual and highway networks keep a way for the signal, and for its gradient, past each layer.

    residual   x[l] = x[l - 1] + f(x[l - 1])
    highway    x[l] = g x[l - 1] + (1 - g) f(x[l - 1]),  g = σ(U x[l - 1] + 2)

Layers are a recurrence over l: `with ph.scan(l)`.
"""

import numpy as np

import phistar as ph

b, i, j, l = ph.indices("b i j l")


class Deep(ph.Model):
    def __init__(self, kind, layers=12, n=8):
        self.kind = kind
        self.W, self.U = ph.param(layers, n, n), ph.param(layers, n, n)
        self.v = ph.param(n)

    def __call__(self, x0):
        x, f, g, y = ph.tensors("x f g y")
        x[ph.first - 1, b, j] = x0[b, j]
        with ph.scan(l):
            f[l, b, j] = ph.tanh(self.W[l, j, i] * x[l - 1, b, i])
            if self.kind == "plain":
                x[l, b, j] = f[l, b, j]
            elif self.kind == "residual":
                x[l, b, j] = x[l - 1, b, j] + f[l, b, j]
            else:
                g[l, b, j] = ph.sigmoid(self.U[l, j, i] * x[l - 1, b, i] + 2)
                x[l, b, j] = g[l, b, j] * x[l - 1, b, j] + (1 - g[l, b, j]) * f[l, b, j]
        y[b] = self.v[j] * x[ph.last, b, j]
        return y


def loss(model, x, t):
    y = model(x)
    return ph.mean[b]((y[b] - t[b]) ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(120, 8)).astype(np.float32)
data = ph.data.Dataset(x=x, t=(x[:, 0] * x[:, 1]).astype(np.float32))
for kind in ("plain", "residual", "highway"):
    net = Deep(kind)
    print(ph.trace(loss, net, x[:4], data["t"][:4]).backward())
    settings = {"epochs": 12, "batch_size": 40, "progress": False}
    history = ph.fit(net, loss, data, optimizer=ph.Adam(0.005), **settings)
    print(f"{kind}: loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}\n")
