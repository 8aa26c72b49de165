"""VQ-VAE: the latent is the nearest word of a code book; its gradient passes straight through.

w[b] = argmin[n] Σ_k (e[b, k] - C[n, k])²,   z = e + stop(C[w] - e)
loss = |x - decoder(z)|² + |stop(e) - C[w]|² + β |e - stop(C[w])|²
"""

import numpy as np

import phistar as ph
from phistar import stop_gradient

b, i, j, k, n = ph.indices("b i j k n")


class VQVAE(ph.Model):
    def __init__(self, inputs=6, hidden=24, size=3, words=8):
        self.E, self.F = ph.param(hidden, inputs), ph.param(size, hidden)
        self.C = ph.param(words, size, init=ph.init.normal(0.0, 0.5))
        self.D, self.O = ph.param(hidden, size), ph.param(inputs, hidden)


def loss(model, x):
    h, e, far, w, word, z, g, y = ph.tensors("h e far w word z g y")
    h[b, j] = ph.tanh(model.E[j, i] * x[b, i])
    e[b, k] = model.F[k, j] * h[b, j]
    far[b, n] = ph.sum[k]((e[b, k] - model.C[n, k]) ** 2)
    w[b] = ph.argmin[n](far[b, n])
    word[b, k] = model.C[w[b], k]
    z[b, k] = e[b, k] + stop_gradient(word[b, k] - e[b, k])
    g[b, j] = ph.tanh(model.D[j, k] * z[b, k])
    y[b, i] = model.O[i, j] * g[b, j]
    seen = ph.sum[i]((x[b, i] - y[b, i]) ** 2)
    moved = ph.sum[k]((stop_gradient(e[b, k]) - word[b, k]) ** 2)
    bound = ph.sum[k]((e[b, k] - stop_gradient(word[b, k])) ** 2)
    return ph.mean[b](seen + moved + 0.25 * bound)


rng = np.random.default_rng(0)
kinds = rng.normal(size=(6, 6))
x = (kinds[rng.integers(0, 6, 300)] + 0.1 * rng.normal(size=(300, 6))).astype(np.float32)
data = ph.data.Dataset(x=x)

print(ph.trace(loss, VQVAE(), x[:4]).backward())
history = ph.fit(
    VQVAE(), loss, data, optimizer=ph.Adam(0.01), epochs=30, batch_size=30, progress=False
)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
