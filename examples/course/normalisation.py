"""Batch norm takes mean and variance over the minibatch, layer norm over the units.

batch   μ[j] = mean[b] x[b, j],  σ²[j] = mean[b] (x[b, j] - μ[j])²
layer   μ[b] = mean[j] x[b, j],  σ²[b] = mean[j] (x[b, j] - μ[b])²
y = γ[j] (x - μ) / √(σ² + ε) + β[j]
"""

import numpy as np

import phistar as ph

b, i, j = ph.indices("b i j")


class BatchNorm(ph.Model):
    def __init__(self, n):
        self.gain, self.bias = ph.param(n, init=1), ph.param(n, init=0)
        self.mean, self.variance = ph.state(n), ph.state(n, init=1)

    def __call__(self, x):
        m, v, y = ph.tensors("m v y")
        if self.training:
            m[j] = ph.mean[b](x[b, j])
            v[j] = ph.mean[b]((x[b, j] - m[j]) ** 2)
            self.mean[j] = 0.9 * self.mean[j] + 0.1 * m[j]
            self.variance[j] = 0.9 * self.variance[j] + 0.1 * v[j]
        else:
            m[j], v[j] = self.mean[j], self.variance[j]
        y[b, j] = self.gain[j] * (x[b, j] - m[j]) / ph.sqrt(v[j] + 1e-5) + self.bias[j]
        return y


class LayerNorm(ph.Model):
    def __init__(self, n):
        self.gain, self.bias = ph.param(n, init=1), ph.param(n, init=0)

    def __call__(self, x):
        m, v, y = ph.tensors("m v y")
        m[b] = ph.mean[j](x[b, j])
        v[b] = ph.mean[j]((x[b, j] - m[b]) ** 2)
        y[b, j] = self.gain[j] * (x[b, j] - m[b]) / ph.sqrt(v[b] + 1e-5) + self.bias[j]
        return y


class Net(ph.Model):
    def __init__(self, norm):
        self.W, self.norm, self.V = ph.param(12, 3), norm(12), ph.param(12)

    def __call__(self, x):
        s, out = ph.tensors("s out")
        s[b, j] = self.W[j, i] * x[b, i]
        n = self.norm(s)
        out[b] = self.V[j] * ph.relu(n[b, j])
        return out


def loss(model, x, t):
    out = model(x)
    return ph.mean[b]((out[b] - t[b]) ** 2)


rng = np.random.default_rng(0)
x = (5 + 3 * rng.normal(size=(200, 3))).astype(np.float32)  # far from mean 0, variance 1
data = ph.data.Dataset(x=x, t=np.sin(x.sum(1)).astype(np.float32))
for norm in (BatchNorm, LayerNorm):
    net = Net(norm)
    print(ph.trace(loss, net, x[:8], data["t"][:8]).backward())
    history = ph.fit(
        net, loss, data, optimizer=ph.Adam(0.02), epochs=15, batch_size=40, progress=False
    )
    print(f"{norm.__name__}: loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}\n")
