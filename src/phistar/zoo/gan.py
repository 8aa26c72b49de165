"""A generative adversarial network: a generator makes images, a discriminator tells them from real.

    g[b, i]  = G(z)[b, i],  z ~ N(0, 1)
    D(x)     = sigmoid(s(x)), the probability that x is real
    discriminator   -ln D(x) - ln(1 - D(g)), by its own parameters      algorithm 1, first step
    generator       -ln D(g), by its own parameters                     section 3, its end

with -ln D = softplus(-s) and -ln(1 - D) = softplus(s). The two take turns, each with an optimizer
of its own (`phistar.training.alternating`). Source: I. Goodfellow et al., Generative adversarial
nets, NeurIPS 2014.
"""

from typing import Any

import phistar as ph
from phistar import leaky_relu, nn, relu, sigmoid, softplus, stop_gradient

b, i, j, k, l = ph.indices("b i j k l")  # batch, pixel, hidden unit, latent dimension, hidden unit


class Generator(ph.Model):
    """z[b, k] -> images g[b, i] from 0 to 1."""

    def __init__(self, latent: int, hidden: int, pixels: int) -> None:
        self.W0, self.c0 = ph.param(hidden, latent), ph.param(hidden, init=0)
        self.W1, self.c1 = ph.param(hidden, hidden), ph.param(hidden, init=0)
        self.W2, self.c2 = ph.param(pixels, hidden), ph.param(pixels, init=0)

    def __call__(self, z: Any) -> Any:
        h0, h1, g = ph.tensors("h0 h1 g")
        h0[b, j] = relu(self.W0[j, k] * z[b, k] + self.c0[j])
        h1[b, l] = relu(self.W1[l, j] * h0[b, j] + self.c1[l])
        g[b, i] = sigmoid(self.W2[i, l] * h1[b, l] + self.c2[i])
        return g


class Discriminator(ph.Model):
    """Images x[b, i] -> s[b], the logit of their being real; some units are 0 in training."""

    def __init__(self, pixels: int, hidden: int, dropout: float) -> None:
        self.dropout = nn.Dropout(dropout)
        self.W0, self.c0 = ph.param(hidden, pixels), ph.param(hidden, init=0)
        self.W1, self.c1 = ph.param(hidden, hidden), ph.param(hidden, init=0)
        self.w2, self.c2 = ph.param(hidden), ph.param((), init=0)

    def __call__(self, x: Any) -> Any:
        centred, h0, h1, s = ph.tensors("centred h0 h1 s")
        centred[b, i] = 2 * x[b, i] - 1
        h0[b, j] = leaky_relu(self.W0[j, i] * centred[b, i] + self.c0[j], 0.2)
        d0 = self.dropout(h0)
        h1[b, l] = leaky_relu(self.W1[l, j] * d0[b, j] + self.c1[l], 0.2)
        d1 = self.dropout(h1)
        s[b] = self.w2[l] * d1[b, l] + self.c2[()]
        return s


class GAN(ph.Model):
    """Both, and the images that the generator makes of noise z[b, k]."""

    def __init__(
        self, pixels: int = 784, hidden: int = 256, latent: int = 64, dropout: float = 0.3
    ) -> None:
        self.latent = latent
        self.generator = Generator(latent, hidden, pixels)
        self.discriminator = Discriminator(pixels, hidden, dropout)

    def __call__(self, z: Any) -> Any:
        return self.generator(z)

    def made(self, images: int) -> Any:
        """So many images, of noise of their own."""
        n, k = ph.index("b", images), ph.index("k", self.latent)
        z: Any = ph.tensors("z")
        z[n, k] = ph.normal[n, k]
        return self.generator(z)


def discriminator_loss(model: GAN, x: Any) -> Any:
    """-ln D(x) - ln(1 - D(g)): real images are real, made ones are made."""
    fixed: Any = ph.tensors("fixed")
    g = model.made(x.shape[0])
    fixed[b, i] = stop_gradient(g[b, i])
    real, made = model.discriminator(x), model.discriminator(fixed)
    return ph.mean[b](softplus(-real[b]) + softplus(made[b]))


def generator_loss(model: GAN, x: Any) -> Any:
    """-ln D(g): made images shall seem real. Of x only the number of images is read."""
    s = model.discriminator(model.made(x.shape[0]))
    return ph.mean[b](softplus(-s[b]))


LOSSES = {"discriminator": discriminator_loss, "generator": generator_loss}
