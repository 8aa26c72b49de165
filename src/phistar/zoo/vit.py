"""A vision transformer: an image is a sequence of patches, and a token before them is read off.

    z[b, (m, n), e] = Σ_cuv E[e, c, u, v] x[b, c, (m, u), (n, v)] + a[e]          patches, eq. 1
    z[b, 0, e]      = token[e], the others one later, and to each its place T[t, e]
    z = z + attention(norm(z)), z = z + perceptron(norm(z))                       layers, eq. 2, 3
    P[b, y]         = softmax_y(Σ_e W[y, e] norm(z)[b, 0, e] + c[y])              eq. 4

Source: A. Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021.
"""

from typing import Any

import phistar as ph
from phistar import log, nn, softmax
from phistar.zoo.images import with_channels

b, c, e, t, y = ph.indices("b c e t y")  # batch, channel, feature, place, label


class ViT(ph.Model):
    """x[b, c, p, q] -> P[b, y]; ViT-B/16 as it stands, 86,567,656 parameters.

    image, patch: pixels to a side. width: features; hidden: units of the perceptrons.
    """

    def __init__(
        self,
        image: int = 224,
        patch: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        labels: int = 1000,
        channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        self.channels, self.patch = channels, patch
        places = (image // patch) ** 2 + 1
        self.E, self.a = ph.param(width, channels, patch, patch), ph.param(width, init=0)
        self.token = ph.param(width, init=0)
        self.T = ph.param(places, width, init=ph.init.normal(0, 0.02))
        self.layers = [
            nn.TransformerEncoderLayer(width, heads, hidden, dropout, "gelu", 1e-6, norm_first=True)
            for _ in range(layers)
        ]
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.W, self.c = ph.param(labels, width, init=0), ph.param(labels, init=0)

    def __call__(self, x: Any) -> Any:
        z, P = ph.tensors("z P")
        patches = self.patches(with_channels(x, self.channels))
        first = ph.index("b", patches.shape[0])
        z[first, 0, e] = self.token[e] + self.T[0, e]
        z[b, t + 1, e] = patches[b, t, e] + self.T[t + 1, e]
        for layer in self.layers:
            z = layer(z)
        z = self.norm(z)
        P[b, y] = softmax[y](self.W[y, e] * z[b, 0, e] + self.c[y])
        return P

    def patches(self, x: Any) -> Any:
        """Each patch of the image as one vector, row by row."""
        z: Any = ph.tensors("z")
        m, n = ph.indices("m n")  # row and column of a patch
        u, v = ph.indices("u v", u=self.patch, v=self.patch)  # within it
        z[b, (m, n), e] = self.E[e, c, u, v] * x[b, c, (m, u), (n, v)] + self.a[e]
        return z


def loss(model: ViT, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
