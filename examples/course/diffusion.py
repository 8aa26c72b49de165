"""Denoising diffusion: a net learns the noise that was mixed in, and takes it out step by step.

z[b, i] = √a[t] x[b, i] + √(1 - a[t]) ε[b, i],   t uniform, ε normal
loss = |ε - net(z, t)|²
sample: z[t - 1] = (z[t] - (1 - α[t]) / √(1 - a[t]) net(z[t], t)) / √α[t] + √(1 - α[t]) ε
"""

import numpy as np

import phistar as ph

b, i, j, l = ph.indices("b i j l")
STEPS = 40
ALPHA = (1 - np.linspace(1e-3, 0.2, STEPS)).astype(np.float32)
A = np.cumprod(ALPHA)


class Net(ph.Model):
    def __init__(self, hidden=64):
        self.W, self.T = ph.param(hidden, 2), ph.param(STEPS, hidden)
        self.U, self.c = ph.param(hidden, hidden), ph.param(hidden, init=0)
        self.V, self.d = ph.param(2, hidden), ph.param(2, init=0)

    def __call__(self, z, t):
        h, g, y = ph.tensors("h g y")
        h[b, j] = ph.silu(self.W[j, i] * z[b, i] + self.T[t[b], j])
        g[b, l] = ph.silu(self.U[l, j] * h[b, j] + self.c[l])
        y[b, i] = self.V[i, l] * g[b, l] + self.d[i]
        return y


def loss(model, x):
    t, noise, z = ph.tensors("t noise z")
    n = ph.index("b", x.shape[0])
    t[n] = ph.cast(ph.floor(STEPS * ph.uniform[n]), "i64")
    noise[b, i] = ph.normal[b, i] + 0 * x[b, i]
    a = ph.tensor(A, name="a")
    z[b, i] = ph.sqrt(a[t[b]]) * x[b, i] + ph.sqrt(1 - a[t[b]]) * noise[b, i]
    y = model(z, t)
    return ph.mean[b](ph.sum[i]((noise[b, i] - y[b, i]) ** 2))


rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 500)
x = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)  # a circle
net = Net()
print(ph.trace(loss, net, x[:4]).backward())
history = ph.fit(
    net, loss, {"x": x}, optimizer=ph.Adam(0.005), epochs=60, batch_size=100, progress=False
)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")

predicted = ph.jit(lambda model, z, t: model(z, t))
z = rng.normal(size=(300, 2)).astype(np.float32)
for step in reversed(range(STEPS)):
    noise = predicted(net, z, np.full(300, step))
    z = (z - (1 - ALPHA[step]) / np.sqrt(1 - A[step]) * noise) / np.sqrt(ALPHA[step])
    if step:
        z = z + np.sqrt(1 - ALPHA[step]) * rng.normal(size=z.shape).astype(np.float32)
radius = np.linalg.norm(z, axis=1)
print(f"samples lie at radius {radius.mean():.2f}, give or take {radius.std():.2f}")
