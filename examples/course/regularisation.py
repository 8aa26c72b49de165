"""L2 keeps parameters small: as a term of the loss, whose gradient is λ W, or in the update.

loss + λ/2 Σ W²         W.grad += λ W
W -= η (g + λ W)        the same for SGD; for Adam it is not, see AdamW
"""

import numpy as np

import phistar as ph

b, i = ph.indices("b i")
LAMBDA = 0.1


class Line(ph.Model):
    def __init__(self):
        self.W = ph.param(20, init=0)


def loss(model, x, t):
    y = ph.tensors("y")
    y[b] = model.W[i] * x[b, i]
    return ph.mean[b]((y[b] - t[b]) ** 2)


def penalised(model, x, t):
    return loss(model, x, t) + LAMBDA / 2 * ph.sum[i](model.W[i] ** 2)


rng = np.random.default_rng(0)
x = rng.normal(size=(60, 20)).astype(np.float32)
t = (x[:, 0] + 0.5 * rng.normal(size=60)).astype(np.float32)  # of 20 inputs one matters
data = ph.data.Dataset(x=x, t=t)
train, test = data[:25], data[25:]

print(ph.trace(penalised, Line(), x[:4], t[:4]).backward())
decayed = ph.SGD(0.05, weight_decay=LAMBDA)
for name, objective, optimizer in (
    ("no penalty", loss, ph.SGD(0.05)),
    ("in the loss", penalised, ph.SGD(0.05)),
    ("in the update", loss, decayed),
):
    line = Line()
    history = ph.fit(
        line, objective, train, optimizer=optimizer, epochs=100, batch_size=25, progress=False
    )
    found, size = ph.evaluate(line, loss, test)["loss"], np.sum(line.W.value**2)
    first, last = history.epochs[0].loss, history.epochs[-1].loss
    print(f"{name}: loss {first:.3f} -> {last:.3f}, {found:.3f} on new examples, Σ W² = {size:.3f}")
