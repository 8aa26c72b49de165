"""CTC: labels without their times. All alignments are summed, by a recurrence in log space.

    z = (blank, l1, blank, l2, ..., blank)
    α[t, m] = ln P[t, z[m]] + ln(e^α[t - 1, m] + e^α[t - 1, m - 1] + e^α[t - 1, m - 2] if allowed)
    loss = -ln(e^α[T, M] + e^α[T, M - 1])

The last is allowed where z[m] is a label, and another than z[m - 2] (Graves et al. 2006).
"""

import numpy as np

import phistar as ph
from phistar import exp, log

b, t, e, j, k, m, y = ph.indices("b t e j k m y")
NEVER = -1e30  # ln 0


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


def ctc(P, z, skip):
    """-ln of the probability of all alignments; skip[b, m]: whether m - 2 may come before m."""
    a, best, total = ph.tensors("a best total")
    a[b, ph.first - 1, m] = ph.where(ph.equal(m, 0), 0.0, NEVER) + 0 * P[b, 0, 0]
    with ph.scan(t):
        stay = a[b, t - 1, m]
        one = a[b, t - 1, ph.pad(m, 1, 0, value=NEVER)]  # m - 1, where there is one
        two = ph.where(skip[b, m], a[b, t - 1, ph.pad(m, 2, 0, value=NEVER)], NEVER)
        best[b, t, m] = ph.stop_gradient(ph.max(ph.max(stay, one), two))
        ways = exp(stay - best[b, t, m]) + exp(one - best[b, t, m]) + exp(two - best[b, t, m])
        a[b, t, m] = P[b, t, z[b, m]] + best[b, t, m] + log(ways)
    total[b] = ph.logsumexp[m : m >= m.size - 2](a[b, ph.last, m])
    return ph.mean[b](-total[b])


def loss(model, x, z, skip):
    return ctc(model(x), z, skip)


rng = np.random.default_rng(0)
label = rng.integers(1, 5, (160, 3))
sounds = np.repeat(np.eye(5)[label][:, :, 1:], 4, axis=1)  # each lasts four steps
x = (sounds + 0.2 * rng.normal(size=sounds.shape)).astype(np.float32)
z = np.zeros((160, 7), int)
z[:, 1::2] = label
skip = np.zeros((160, 7), bool)
skip[:, 3::2] = label[:, 1:] != label[:, :-1]
data = ph.data.Dataset(x=x, z=z, skip=skip)

net = Speech()
print(ph.trace(loss, net, x[:2], z[:2], skip[:2]).backward())
wanted = ph.losses.ctc(net(ph.tensor(x[:8])), ph.tensor(label[:8]), reduction="none").value.mean()
found = ph.evaluate(net, loss, data[:8])["loss"]
print(f"of eight examples {found:.4f}, by ph.losses.ctc {wanted:.4f}")
history = ph.fit(net, loss, data, optimizer=ph.Adam(0.02), epochs=15, batch_size=20, progress=False)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
best = ph.predict(net, {"x": x[:3]}).argmax(2)
for n, row in enumerate(best):
    changes = row[np.flatnonzero(np.diff(row, prepend=0))]
    print(f"heard {changes[changes > 0].tolist()}, said {label[n].tolist()}")
