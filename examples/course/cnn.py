"""Convolution, padding, stride, dilation, groups and pooling: all are affine subscripts.

y[b, k, p, q] = K[k, c, r, s] x[b, c, p + r, q + s]            convolution
                              x[b, c, pad(p + r, 1), ...]      padding
                              x[b, c, 2 p + r, ...]            stride
                              x[b, c, p + 2 r, ...]            dilation
y[b, (g, k), p, q] = K[g, k, c, r, s] x[b, (g, c), p + r, ...] groups
m[b, k, p, q] = max[v, z] y[b, k, 2 p + v, 2 q + z]            pooling
"""

import numpy as np

import phistar as ph

b, c, k, g, p, q, r, s = ph.indices("b c k g p q r s")
v, z, y = ph.indices("v z y", v=2, z=2)


class CNN(ph.Model):
    def __init__(self):
        self.K = ph.param(4, 1, 3, 3)
        self.L = ph.param(2, 3, 2, 3, 3)  # two groups of three filters, each sees two channels
        self.W = ph.param(2, 6)

    def __call__(self, x):
        a, m, d, n, S, P = ph.tensors("a m d n S P")
        rows, columns = ph.pad(p + r, 1), ph.pad(q + s, 1)
        a[b, k, p, q] = ph.relu(self.K[k, c, r, s] * x[b, c, rows, columns])
        m[b, k, p, q] = ph.max[v, z](a[b, k, 2 * p + v, 2 * q + z])
        d[b, (g, k), p, q] = ph.relu(
            self.L[g, k, c, r, s] * m[b, (g, c), ph.pad(2 * p + r, 1), ph.pad(q + 2 * s, 2)]
        )
        n[b, k] = ph.mean[p, q](d[b, k, p, q])
        S[b, y] = self.W[y, k] * n[b, k]
        P[b, y] = ph.softmax[y](S[b, y])
        return P


def loss(model, x, label):
    P = model(x)
    return ph.mean[b](-ph.log(P[b, label[b]]))


rng = np.random.default_rng(0)
x = rng.normal(0, 0.3, (120, 1, 8, 8)).astype(np.float32)
label = np.arange(120) % 2
x[label == 0, :, 2:6, 3] += 2  # a bar that stands
x[label == 1, :, 3, 2:6] += 2  # a bar that lies
data = ph.data.Dataset(x=x, label=label)

print(ph.trace(loss, CNN(), x[:8], label[:8]).backward())
history = ph.fit(
    CNN(), loss, data, optimizer=ph.Adam(0.02), epochs=8, batch_size=20, progress=False
)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
