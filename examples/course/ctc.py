"""CTC: labels without their times. All alignments are summed, by a recurrence in log space.

z = (blank, l1, blank, l2, ..., blank)
α[t, m] = ln P[t, z[m]] + logsumexp(α[t - 1, m], α[t - 1, m - 1], α[t - 1, m - 2] if allowed)
loss = -logsumexp of the last two α at the end
"""

import numpy as np

import phistar as ph
from phistar.losses import ctc

b, t, e, j, k, y = ph.indices("b t e j k y")


class Speech(ph.Model):
    """x[b, t, e] -> ln P[b, t, y], through a recurrence; label 0 is blank."""

    def __init__(self, inputs=4, n=24, labels=5):
        self.W, self.U = ph.param(n, inputs), ph.param(n, n)
        self.V, self.c = ph.param(labels, n), ph.param(labels, init=0)

    def __call__(self, x):
        h, s, P = ph.tensors("h s P")
        h[b, ph.first - 1, j] = 0
        with ph.scan(t):
            h[b, t, j] = ph.tanh(self.W[j, e] * x[b, t, e] + self.U[j, k] * h[b, t - 1, k])
        s[b, t, y] = self.V[y, j] * h[b, t, j] + self.c[y]
        P[b, t, y] = ph.log_softmax[y](s[b, t, y])
        return P


def loss(model, x, label):
    return ctc(model(x), label)


rng = np.random.default_rng(0)
label = rng.integers(1, 5, (160, 3))
sounds = np.repeat(np.eye(5)[label][:, :, 1:], 4, axis=1)  # each lasts four steps
x = (sounds + 0.2 * rng.normal(size=sounds.shape)).astype(np.float32)
data = ph.data.Dataset(x=x, label=label)

net = Speech()
print(ph.trace(loss, net, x[:2], label[:2]).backward())
history = ph.fit(net, loss, data, optimizer=ph.Adam(0.02), epochs=15, batch_size=20, progress=False)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
best = ph.predict(net, {"x": x[:3]}).argmax(2)
for n, row in enumerate(best):
    changes = row[np.flatnonzero(np.diff(row, prepend=0))]
    print(f"heard {changes[changes > 0].tolist()}, said {label[n].tolist()}")
