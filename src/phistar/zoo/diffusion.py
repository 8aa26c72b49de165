"""Denoising diffusion: noise is added in T steps; a network says which, and takes it off.

    x_t   = √ᾱ[t] x + √(1 - ᾱ[t]) ε,  ε ~ N(0, 1)               after t steps, eq. 4
    loss  = |ε - ε_Φ(x_t, t)|²,  t uniform over 0 .. T - 1      the simple objective, eq. 14
    x    <- (x - β[t] / √(1 - ᾱ[t]) ε_Φ(x, t)) / √α[t] + √β[t] ε  for t = T - 1 .. 0, algorithm 2

with β[t] from 1e-4 to 0.02, α = 1 - β and ᾱ[t] = Π_{s <= t} α[s]. The network is a small U-net of
residual blocks, halved twice, with the time in each. Source: J. Ho, A. Jain, P. Abbeel, Denoising
diffusion probabilistic models, NeurIPS 2020.
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar import nn, silu, sqrt
from phistar.language.evaluation import current_seed
from phistar.zoo.images import with_channels

STRIDE = 2**20  # between the seeds of a sampler's steps
b, c, p, q, d, e, r = ph.indices("b c p q d e r")  # batch, channel, row, column, time's features

# The network --------------------------------------------------------------------------------------


class Time(ph.Model):
    """t[b] -> g[b, d]: sines and cosines of many lengths, then a perceptron."""

    def __init__(self, features: int) -> None:
        self.half = features // 2
        self.linear1, self.linear2 = nn.Linear(features, features), nn.Linear(features, features)

    def __call__(self, t: Any) -> Any:
        s, h = ph.tensors("s h")
        e = ph.index("e", self.half)
        angle = t[b] * ph.exp(-np.log(10000.0) * e / self.half)
        s[b, e] = ph.sin(angle)
        s[b, self.half + e] = ph.cos(angle)
        a = self.linear1(s)
        h[b, d] = silu(a[b, d])
        return self.linear2(h)


class Block(ph.Model):
    """Two convolutions with the time between them; what comes in is added."""

    def __init__(self, channels: int, filters: int, features: int, groups: int) -> None:
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, filters, 3, padding=1)
        self.time = nn.Linear(features, filters)
        self.norm2 = nn.GroupNorm(groups, filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, init=0)
        self.shortcut = nn.Conv2d(channels, filters, 1) if channels != filters else nn.Identity()
        self.silu = nn.SiLU()

    def __call__(self, x: Any, g: Any) -> Any:
        h, y = ph.tensors("h y")
        f, at = self.conv1(self.silu(self.norm1(x))), self.time(self.silu(g))
        h[b, c, p, q] = f[b, c, p, q] + at[b, c]
        f, s = self.conv2(self.silu(self.norm2(h))), self.shortcut(x)
        y[b, c, p, q] = s[b, c, p, q] + f[b, c, p, q]
        return y


class UNet(ph.Model):
    """x[b, c, p, q], t[b] -> the noise in x; sides are a multiple of 4."""

    def __init__(self, channels: int = 1, width: int = 32, groups: int = 8) -> None:
        features = 2 * width
        self.time = Time(features)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down1 = Block(width, width, features, groups)
        self.half1 = nn.Conv2d(width, width, 3, 2, padding=1)
        self.down2 = Block(width, 2 * width, features, groups)
        self.half2 = nn.Conv2d(2 * width, 2 * width, 3, 2, padding=1)
        self.middle = Block(2 * width, 2 * width, features, groups)
        self.twice = nn.Upsample(scale_factor=2)
        self.up2 = Block(4 * width, width, features, groups)
        self.up1 = Block(2 * width, width, features, groups)
        self.norm, self.silu = nn.GroupNorm(groups, width), nn.SiLU()
        self.last = nn.Conv2d(width, channels, 3, padding=1, init=0)

    def __call__(self, x: Any, t: Any) -> Any:
        g = self.time(t)
        h1 = self.down1(self.first(x), g)
        h2 = self.down2(self.half1(h1), g)
        h = self.middle(self.half2(h2), g)
        h = self.up2(beside(self.twice(h), h2), g)
        h = self.up1(beside(self.twice(h), h1), g)
        return self.last(self.silu(self.norm(h)))


def beside(x: Any, z: Any) -> Any:
    """The channels of x, then those of z."""
    y: Any = ph.tensors("y")
    m, c = ph.index("m", z.shape[1]), ph.index("c", x.shape[1])
    y[b, c, p, q] = x[b, c, p, q]
    y[b, x.shape[1] + m, p, q] = z[b, m, p, q]
    return y


# Diffusion ----------------------------------------------------------------------------------------


class Diffusion(ph.Model):
    """The schedule of noise and the network: x[b, c, p, q], t[b] -> which noise is in x.

    steps: T. shape: channels, rows and columns of an image.
    """

    def __init__(
        self,
        steps: int = 1000,
        shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 32,
        groups: int = 8,
    ) -> None:
        self.steps, self.shape = steps, shape
        beta = np.linspace(1e-4, 0.02, steps)
        self.beta = ph.state(steps, init=beta.astype(np.float32))
        self.kept = ph.state(steps, init=np.cumprod(1 - beta).astype(np.float32))  # ᾱ
        self.network = UNet(shape[0], width, groups)

    def __call__(self, x: Any, t: Any) -> Any:
        return self.network(x, t)

    def noised(self, x: Any, noise: Any, t: Any) -> Any:
        """x after t[b] steps."""
        y: Any = ph.tensors("y")
        kept = self.kept[t[b]]
        y[b, c, p, q] = sqrt(kept) * x[b, c, p, q] + sqrt(1 - kept) * noise[b, c, p, q]
        return y

    def denoised(self, x: Any, t: Any) -> Any:
        """One step back, from t[b] to t[b] - 1: a step of algorithm 2."""
        y: Any = ph.tensors("y")
        noise = self.network(x, t)
        beta, kept = self.beta[t[b]], self.kept[t[b]]
        mean = x[b, c, p, q] - beta / sqrt(1 - kept) * noise[b, c, p, q]
        more = ph.where(t[b] > 0, sqrt(beta) * ph.normal[b, c, p, q], 0)
        y[b, c, p, q] = mean / sqrt(1 - beta) + more
        return y


def loss(model: Diffusion, x: Any) -> Any:
    """|ε - ε_Φ(x_t, t)|², the mean over pixels; images from 0 to 1 are seen as -1 to 1."""
    t, image, noise = ph.tensors("t image noise")
    x = with_channels(x, model.shape[0])
    n = ph.index("b", x.shape[0])
    t[n] = ph.cast(ph.minimum(ph.uniform[n] * model.steps, model.steps - 1), "i64")
    image[b, c, p, q] = 2 * x[b, c, p, q] - 1
    m, k, v, w = (ph.index(i, size) for i, size in zip("bcpq", x.shape, strict=True))
    noise[m, k, v, w] = ph.normal[m, k, v, w]
    seen = model(model.noised(image, noise, t), t)
    return ph.mean[b, c, p, q]((noise[b, c, p, q] - seen[b, c, p, q]) ** 2)


def sample(model: Diffusion, images: int, seed: int = 0, backend: str | None = None) -> Any:
    """Algorithm 2: so many images out of noise, an array [b, c, p, q] from -1 to 1, about.

    The noise of each step follows from the seed and the step.
    """

    def start() -> Any:
        x: Any = ph.tensors("x")
        at = tuple(ph.index(i, n) for i, n in zip("bcpq", (images, *model.shape), strict=True))
        x[at] = ph.normal[at]
        return x

    back = ph.jit(lambda model, x, t: model.denoised(x, t), backend=backend)
    before = current_seed()
    try:
        ph.seed(seed)
        x = ph.jit(start, backend=backend)()
        for t in reversed(range(model.steps)):
            ph.seed(seed + (1 + t) * STRIDE)
            x = back(model, x, np.full(images, t))
    finally:
        ph.seed(before)
    return x
