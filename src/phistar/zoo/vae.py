"""A variational autoencoder: z is drawn from Q(z|x), a Gaussian, and x is seen again as P(x|z).

    h[b, j]    = relu(Σ_i A[j, i] x[b, i] + a[j])
    μ[b, k]    = Σ_j M[k, j] h[b, j] + m[k]                       Q(z|x) = N(μ, e^v)
    v[b, k]    = Σ_j V[k, j] h[b, j] + n[k]
    z[b, k]    = μ[b, k] + e^(v[b, k] / 2) ε[b, k],  ε ~ N(0, 1)  the reparametrisation, section 2.4
    -ELBO[b]   = -ln P(x|z) + KL(Q(z|x) ‖ N(0, 1))                eq. 7
    KL[b]      = Σ_k (e^v[b, k] + μ[b, k]² - 1 - v[b, k]) / 2     appendix B

Source: D. Kingma, M. Welling, Auto-encoding variational Bayes, ICLR 2014. P(x|z) is Bernoulli's for
each pixel, with its logit s[b, i].
"""

from typing import Any

import phistar as ph
from phistar import exp, relu, sigmoid, softplus

b, i, j, k = ph.indices("b i j k")  # batch, pixel, hidden unit, latent dimension


class VAE(ph.Model):
    """x[b, i] from 0 to 1 -> what is seen of it again, P[b, i], from the mean of Q(z|x)."""

    def __init__(self, pixels: int = 784, hidden: int = 400, latent: int = 20) -> None:
        self.A, self.a = ph.param(hidden, pixels), ph.param(hidden, init=0)
        self.M, self.m = ph.param(latent, hidden), ph.param(latent, init=0)
        self.V, self.n = ph.param(latent, hidden), ph.param(latent, init=0)
        self.D, self.d = ph.param(hidden, latent), ph.param(hidden, init=0)
        self.S, self.s = ph.param(pixels, hidden), ph.param(pixels, init=0)

    def encode(self, x: Any) -> tuple[Any, Any]:
        """The mean and the logarithm of the variance of Q(z|x), each [b, k]."""
        h, mean, v = ph.tensors("h mean v")
        h[b, j] = relu(self.A[j, i] * x[b, i] + self.a[j])
        mean[b, k] = self.M[k, j] * h[b, j] + self.m[k]
        v[b, k] = self.V[k, j] * h[b, j] + self.n[k]
        return mean, v

    def draw(self, mean: Any, v: Any) -> Any:
        """z[b, k] from Q(z|x)."""
        z: Any = ph.tensors("z")
        z[b, k] = mean[b, k] + exp(v[b, k] / 2) * ph.normal[b, k]
        return z

    def decode(self, z: Any) -> Any:
        """The logits of P(x|z), s[b, i]."""
        g, s = ph.tensors("g s")
        g[b, j] = relu(self.D[j, k] * z[b, k] + self.d[j])
        s[b, i] = self.S[i, j] * g[b, j] + self.s[i]
        return s

    def __call__(self, x: Any) -> Any:
        P: Any = ph.tensors("P")
        mean, _ = self.encode(x)
        s = self.decode(mean)
        P[b, i] = sigmoid(s[b, i])
        return P


def loss(model: VAE, x: Any) -> Any:
    """E over the minibatch of -ELBO, an upper bound of -ln P(x) in nats."""
    nll, KL = ph.tensors("nll KL")
    mean, v = model.encode(x)
    s = model.decode(model.draw(mean, v))
    nll[b] = ph.sum[i](softplus(s[b, i]) - x[b, i] * s[b, i])
    KL[b] = ph.sum[k](exp(v[b, k]) + mean[b, k] ** 2 - 1 - v[b, k]) / 2
    return ph.mean[b](nll[b] + KL[b])
