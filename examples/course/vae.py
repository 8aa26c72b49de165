"""A variational autoencoder: a latent z for each x, with a bound on ln P(x) as the objective.

z[b, k] = μ[b, k] + σ[b, k] ε[b, k],  ε normal           the sample, differentiable in μ and σ
-ELBO = -ln P(x|z) + Σ_k (μ² + σ² - ln σ² - 1) / 2
"""

import numpy as np

import phistar as ph

b, i, j, k = ph.indices("b i j k")


class VAE(ph.Model):
    def __init__(self, inputs=8, hidden=32, latent=2):
        self.E, self.e = ph.param(hidden, inputs), ph.param(hidden, init=0)
        self.M, self.m = ph.param(latent, hidden), ph.param(latent, init=0)
        self.S, self.s = ph.param(latent, hidden), ph.param(latent, init=0)
        self.D, self.d = ph.param(hidden, latent), ph.param(hidden, init=0)
        self.O, self.o = ph.param(inputs, hidden), ph.param(inputs, init=0)


def loss(model, x):
    h, mean, log_variance, z, g, y, kl = ph.tensors("h mean log_variance z g y kl")
    h[b, j] = ph.tanh(model.E[j, i] * x[b, i] + model.e[j])
    mean[b, k] = model.M[k, j] * h[b, j] + model.m[k]
    log_variance[b, k] = model.S[k, j] * h[b, j] + model.s[k]
    z[b, k] = mean[b, k] + ph.exp(log_variance[b, k] / 2) * ph.normal[b, k]
    g[b, j] = ph.tanh(model.D[j, k] * z[b, k] + model.d[j])
    y[b, i] = model.O[i, j] * g[b, j] + model.o[i]
    likely = ph.sum[i]((x[b, i] - y[b, i]) ** 2 / (2 * 0.1**2))  # a Gaussian of deviation 0.1
    variance = ph.exp(log_variance[b, k])
    kl[b] = ph.sum[k]((mean[b, k] ** 2 + variance - log_variance[b, k] - 1) / 2)
    return ph.mean[b](likely + kl[b])


rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, (400, 1))
x = np.cos(angle + np.arange(8)).astype(np.float32)  # eight numbers, one of them free
data = ph.data.Dataset(x=x)

print(ph.trace(loss, VAE(), x[:4]).backward())
history = ph.fit(
    VAE(), loss, data, optimizer=ph.Adam(0.01), epochs=30, batch_size=40, progress=False
)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
