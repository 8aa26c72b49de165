"""Recurrent networks: the state h[t - 1] enters the next step, through gates in all but the first.

RNN     h = tanh(W x + U h')
UGRNN   h = g h' + (1 - g) tanh(W x + U h'),             g = σ(V x + Z h')
GRU     h = z h' + (1 - z) tanh(W x + r (U h')),          r, z gates
LSTM    c = f c' + i tanh(W x + U h'),  h = o tanh(c),    i, f, o gates
"""

import numpy as np

import phistar as ph
from phistar import sigmoid, tanh

b, t, e, j, k = ph.indices("b t e j k")


class Recurrent(ph.Model):
    def __init__(self, kind, gates, n=10):
        self.kind = kind
        self.W, self.U = ph.param(gates, n, 1), ph.param(gates, n, n)
        self.v = ph.param(n)

    def __call__(self, x):
        h, c, y = ph.tensors("h c y")

        def gate(z):
            s = ph.tensors("sfgo"[z])
            past = self.U[z, j, k] * h[b, t - 1, k]
            s[b, t, j] = self.W[z, j, e] * x[b, t, e] + past
            return s[b, t, j]

        h[b, ph.first - 1, j] = 0
        if self.kind == "LSTM":
            c[b, ph.first - 1, j] = 0
        with ph.scan(t):
            if self.kind == "RNN":
                h[b, t, j] = tanh(gate(0))
            elif self.kind == "UGRNN":
                g, n = sigmoid(gate(1)), tanh(gate(0))
                h[b, t, j] = g * h[b, t - 1, j] + (1 - g) * n
            elif self.kind == "GRU":
                z, r, u = sigmoid(gate(1)), sigmoid(gate(2)), ph.tensors("u")
                u[b, t, j] = self.U[0, j, k] * h[b, t - 1, k]
                n = tanh(self.W[0, j, e] * x[b, t, e] + r * u[b, t, j])
                h[b, t, j] = z * h[b, t - 1, j] + (1 - z) * n
            else:
                f, i, o = sigmoid(gate(1) + 1), sigmoid(gate(2)), sigmoid(gate(3))
                c[b, t, j] = f * c[b, t - 1, j] + i * tanh(gate(0))
                h[b, t, j] = o * tanh(c[b, t, j])
        y[b] = self.v[j] * h[b, ph.last, j]
        return y


def loss(model, x, total):
    y = model(x)
    return ph.mean[b]((y[b] - total[b]) ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(150, 8, 1)).astype(np.float32)
data = ph.data.Dataset(x=x, total=np.sign(x[:, 0, 0]) * np.abs(x).mean((1, 2)))
for kind, gates in (("RNN", 1), ("UGRNN", 2), ("GRU", 3), ("LSTM", 4)):
    net = Recurrent(kind, gates)
    print(ph.trace(loss, net, x[:4], data["total"][:4]).backward())
    settings = {"epochs": 8, "batch_size": 30, "progress": False}
    history = ph.fit(net, loss, data, optimizer=ph.Adam(0.02), **settings)
    print(f"{kind}: loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}\n")
