"""Early stopping: training ends when new examples are understood no better, and the best is kept.

stop when validation loss[epoch] >= min of those before, `patience` times in a row
"""

import numpy as np

import phistar as ph

b, i, j = ph.indices("b i j")


class Net(ph.Model):
    def __init__(self):
        self.W, self.c, self.v = ph.param(100, 1), ph.param(100, init=0), ph.param(100)


def loss(model, x, t):
    h, y = ph.tensors("h y")
    h[b, j] = ph.tanh(model.W[j, i] * x[b, i] + model.c[j])
    y[b] = model.v[j] * h[b, j]
    return ph.mean[b]((y[b] - t[b]) ** 2)


class EarlyStopping:
    """A callback: called with the history after each epoch, True ends the training."""

    def __init__(self, model, patience=8):
        self.model, self.patience, self.best, self.waited = model, patience, float("inf"), 0

    def __call__(self, history):
        now = history.metrics["validation.loss"][-1]
        self.waited = 0 if now < self.best else self.waited + 1
        if now < self.best:
            self.best = now
            self.kept = {name: t.value.copy() for name, t in self.model.named_tensors().items()}
        return self.waited >= self.patience

    def restore(self):
        for name, t in self.model.named_tensors().items():
            t.value = self.kept[name]


rng = np.random.default_rng(1)
x = rng.uniform(-3, 3, (70, 1)).astype(np.float32)
t = (np.sin(2 * x[:, 0]) + 0.4 * rng.normal(size=70)).astype(np.float32)
data = ph.data.Dataset(x=x, t=t)
train, validation = data[:20], data[20:]

net = Net()
print(ph.trace(loss, net, x[:4], t[:4]).backward())
stopping = EarlyStopping(net)
history = ph.fit(
    net, loss, train, optimizer=ph.Adam(0.03), epochs=500, batch_size=10,
    validation=validation, callbacks=[stopping], progress=False,
)  # fmt: skip
stopping.restore()
last, kept = history.metrics["validation.loss"][-1], ph.evaluate(net, loss, validation)["loss"]
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f} in training")
print(f"stopped after {len(history.epochs)} of 500 epochs: validation {last:.3f}, kept {kept:.3f}")
