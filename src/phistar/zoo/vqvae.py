"""VQ-VAE: an image becomes a small grid of code words, and is seen again from those.

    e[b, k, p, q]  = encoder(x)                                 a vector for each place
    w[b, p, q]     = argmin_n Σ_k (e[b, k, p, q] - C[n, k])²    the nearest code word, eq. 1
    z[b, k, p, q]  = C[w[b, p, q], k]                           eq. 2
    to the decoder   e + stop(z - e)                            straight through: z.grad is e's
    loss           = -ln P(x|z) + |stop(e) - z|² + β |e - stop(z)|²     eq. 3, P a Gaussian

Source: A. van den Oord, O. Vinyals, K. Kavukcuoglu, Neural discrete representation learning,
NeurIPS 2017.
"""

from typing import Any

import phistar as ph
from phistar import nn, sigmoid, stop_gradient
from phistar.zoo.images import with_channels

b, c, k, p, q, n = ph.indices("b c k p q n")  # batch, channels, row, column, code word


class VQVAE(ph.Model):
    """x[b, p, q] or x[b, c, p, q], from 0 to 1 -> what is seen of it again, y[b, c, p, q].

    words: how many code words, each of `size` numbers. The grid has a quarter of the pixels to a
    side, which are a multiple of 4.
    """

    def __init__(
        self,
        words: int = 128,
        size: int = 32,
        width: int = 32,
        channels: int = 1,
        beta: float = 0.25,
    ) -> None:
        self.channels, self.beta = channels, beta
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 4, 2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, size, 1),
        )
        self.C = ph.param(words, size, init=ph.init.uniform(-1 / words, 1 / words))
        self.decoder = nn.Sequential(
            nn.Conv2d(size, width, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, 2, padding=1),
        )

    def words(self, e: Any) -> Any:
        """The nearest code word at each place, w[b, p, q]."""
        far, w = ph.tensors("far w")
        far[b, p, q, n] = ph.sum[k]((e[b, k, p, q] - self.C[n, k]) ** 2)
        w[b, p, q] = ph.argmin[n](far[b, p, q, n])
        return w

    def quantise(self, e: Any) -> Any:
        """That word itself, z[b, k, p, q]."""
        w: Any = self.words(e)
        z: Any = ph.tensors("z")
        z[b, k, p, q] = self.C[w[b, p, q], k]
        return z

    def decode(self, z: Any) -> Any:
        """The image, from 0 to 1."""
        y: Any = ph.tensors("y")
        s = self.decoder(z)
        y[b, c, p, q] = sigmoid(s[b, c, p, q])
        return y

    def __call__(self, x: Any) -> Any:
        return self.decode(self.quantise(self.encoder(with_channels(x, self.channels))))


def loss(model: VQVAE, x: Any) -> Any:
    """Squared error, code words' distance to what they stand for, and the commitment to them."""
    through, wrong, far = ph.tensors("through wrong far")
    x = with_channels(x, model.channels)
    e = model.encoder(x)
    z = model.quantise(e)
    through[b, k, p, q] = e[b, k, p, q] + stop_gradient(z[b, k, p, q] - e[b, k, p, q])
    y = model.decode(through)
    wrong[b] = ph.sum[c, p, q]((x[b, c, p, q] - y[b, c, p, q]) ** 2)
    far[b] = ph.sum[k, p, q]((stop_gradient(e[b, k, p, q]) - z[b, k, p, q]) ** 2)
    far[b] += model.beta * ph.sum[k, p, q]((e[b, k, p, q] - stop_gradient(z[b, k, p, q])) ** 2)
    return ph.mean[b](wrong[b] + far[b])
