"""Dropout: in training each unit is left out with probability p, and the others grow.

    h[b, j] = m[b, j] relu(W x + c) / (1 - p),   m[b, j] = 1 with probability 1 - p

The mask is a random field, a function of the seed, the step and (b, j): backward sees the same.
"""

import numpy as np

import phistar as ph

b, i, j, y = ph.indices("b i j y")


class MLP(ph.Model):
    def __init__(self, p):
        self.W, self.c = ph.param(64, 10), ph.param(64, init=0)
        self.V, self.p = ph.param(2, 64), p

    def __call__(self, x):
        h, s, P = ph.tensors("h s P")
        unit = ph.relu(self.W[j, i] * x[b, i] + self.c[j])
        if self.training:
            unit = ph.where(ph.uniform[b, j] >= self.p, unit / (1 - self.p), 0)
        h[b, j] = unit
        s[b, y] = self.V[y, j] * h[b, j]
        P[b, y] = ph.softmax[y](s[b, y])
        return P


def loss(model, x, label):
    P = model(x)
    return ph.mean[b](-ph.log(P[b, label[b]]))


rng = np.random.default_rng(0)
x = rng.normal(size=(600, 10)).astype(np.float32)
label = (x[:, 0] + x[:, 1] + 1.5 * rng.normal(size=600) > 0).astype(int)  # much of it is noise
data = ph.data.Dataset(x=x, label=label)
train, test = data[:100], data[100:]

print(ph.trace(loss, MLP(0.5), x[:4], label[:4]).backward())
for p in (0.0, 0.5):
    net = MLP(p)
    history = ph.fit(
        net, loss, train, optimizer=ph.Adam(0.01), epochs=40, batch_size=25, progress=False
    )
    found = ph.evaluate(net, loss, test)["loss"]
    first, last = history.epochs[0].loss, history.epochs[-1].loss
    print(f"p = {p}: loss {first:.3f} -> {last:.3f} in training, {found:.3f} on new examples")
