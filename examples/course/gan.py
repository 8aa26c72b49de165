"""A generative adversarial network: two objectives, which take turns.

    discriminator   -ln D(x) - ln(1 - D(G(z)))      by its parameters
    generator       -ln D(G(z))                     by its own

with D(x) = σ(s(x)), -ln σ(s) = softplus(-s) and -ln(1 - σ(s)) = softplus(s).
"""

import numpy as np

import phistar as ph
from phistar import relu, softplus, stop_gradient, tanh

b, i, j, k = ph.indices("b i j k")


class Generator(ph.Model):
    def __init__(self):
        self.W, self.c = ph.param(16, 2), ph.param(16, init=0)
        self.V, self.d = ph.param(2, 16), ph.param(2, init=0)

    def __call__(self, images):
        n, z, h, g = ph.index("b", images), *ph.tensors("z h g")
        l = ph.index("k", 2)
        z[n, l] = ph.normal[n, l]
        h[b, j] = tanh(self.W[j, k] * z[b, k] + self.c[j])
        g[b, i] = self.V[i, j] * h[b, j] + self.d[i]
        return g


class Discriminator(ph.Model):
    def __init__(self):
        self.W, self.c, self.v = ph.param(32, 2), ph.param(32, init=0), ph.param(32)

    def __call__(self, x):
        h, s = ph.tensors("h s")
        h[b, j] = relu(self.W[j, i] * x[b, i] + self.c[j])
        s[b] = self.v[j] * h[b, j]
        return s


class GAN(ph.Model):
    def __init__(self):
        self.generator, self.discriminator = Generator(), Discriminator()


def discriminator_loss(model, x):
    g, fixed = model.generator(x.shape[0]), ph.tensors("fixed")
    fixed[b, i] = stop_gradient(g[b, i])
    real, made = model.discriminator(x), model.discriminator(fixed)
    return ph.mean[b](softplus(-real[b]) + softplus(made[b]))


def generator_loss(model, x):
    s = model.discriminator(model.generator(x.shape[0]))
    return ph.mean[b](softplus(-s[b]))


rng = np.random.default_rng(0)
x = (rng.normal(size=(400, 2)) * [0.5, 0.2] + [2, -1]).astype(np.float32)
gan = GAN()
print(ph.trace(discriminator_loss, gan, x[:4]).backward())
print(ph.trace(generator_loss, gan, x[:4]).backward())

images = ph.jit(lambda model: model.generator(500))
far = np.abs(images(gan).mean(0) - x.mean(0)).max()
losses = {"discriminator": discriminator_loss, "generator": generator_loss}
optimizer = ph.Adam(0.005, beta1=0.5)
ph.alternate(gan, losses, {"x": x}, optimizer=optimizer, epochs=40, batch_size=40, progress=False)
near = np.abs(images(gan).mean(0) - x.mean(0)).max()
print(f"loss {far:.3f} -> {near:.3f}: how far the mean of what is made is from the data's")
