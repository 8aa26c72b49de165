"""Two recurrences, one from each end, one above the other: a step sees what comes before and after.

f[t] = tanh(W x[t] + U f[t - 1]),  g[t] = tanh(V x[t] + Z g[t + 1]),  y[t] = (f[t], g[t])
"""

import numpy as np

import phistar as ph

b, t, e, j, k = ph.indices("b t e j k")


class Bidirectional(ph.Model):
    def __init__(self, inputs, n):
        self.W, self.U = ph.param(n, inputs), ph.param(n, n)
        self.V, self.Z = ph.param(n, inputs), ph.param(n, n)
        self.n = n

    def __call__(self, x):
        f, g, y = ph.tensors("f g y")
        f[b, ph.first - 1, j] = 0
        with ph.scan(t):
            f[b, t, j] = ph.tanh(self.W[j, e] * x[b, t, e] + self.U[j, k] * f[b, t - 1, k])
        g[b, ph.last + 1, j] = 0
        with ph.scan(t, backwards=True):
            g[b, t, j] = ph.tanh(self.V[j, e] * x[b, t, e] + self.Z[j, k] * g[b, t + 1, k])
        y[b, t, j] = f[b, t, j]  # one tensor from two pieces
        y[b, t, j + self.n] = g[b, t, j]
        return y


class Stacked(ph.Model):
    def __init__(self, n=8):
        self.layers = [Bidirectional(1, n), Bidirectional(2 * n, n)]
        self.v = ph.param(2 * n)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        y = ph.tensors("y")
        y[b, t] = self.v[j] * x[b, t, j]
        return y


def loss(model, x, target):
    y = model(x)
    return ph.mean[b, t]((y[b, t] - target[b, t]) ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(120, 6, 1)).astype(np.float32)
neighbours = np.pad(x[..., 0], ((0, 0), (1, 1)))
data = ph.data.Dataset(x=x, target=neighbours[:, :-2] * neighbours[:, 2:])  # of before and after
net = Stacked()
print(ph.trace(loss, net, x[:4], data["target"][:4]).backward())
history = ph.fit(net, loss, data, optimizer=ph.Adam(0.01), epochs=20, batch_size=30, progress=False)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
