"""VGG: convolutions of 3 x 3 pixels, five times halved by pooling, then three layers of all units.

    VGG-11   64 M 128 M 256 256 M 512 512 M 512 512 M                                     table 1, A
    VGG-16   64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M                  table 1, D

Source: K. Simonyan, A. Zisserman, Very deep convolutional networks for large-scale image
recognition, ICLR 2015; with batch normalisation: S. Ioffe, C. Szegedy, 2015. Parameters have
torchvision's names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import phistar as ph
from phistar import log, nn, softmax
from phistar.zoo.images import with_channels

b, y = ph.indices("b y")  # batch, label

# fmt: off
VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# fmt: on


class VGG(ph.Model):
    """x[b, c, p, q] -> P[b, y], of images of 32 pixels or more.

    stages: filters of the convolutions before each pooling. size: pixels of the last pooling, which
    adapts to the image. hidden: units of the two layers before the last. border: of zeros around an
    image, for smaller ones.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = VGG11,
        batch_norm: bool = False,
        labels: int = 1000,
        channels: int = 3,
        hidden: int = 4096,
        size: int = 7,
        dropout: float = 0.5,
        border: int = 0,
    ) -> None:
        self.channels, self.border = channels, border
        self.features = nn.Sequential(*features(channels, stages, batch_norm))
        self.avgpool = nn.AdaptiveAvgPool2d(size)
        self.classifier = nn.Sequential(
            nn.Linear(stages[-1][-1] * size**2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, labels),
        )
        self.flatten = nn.Flatten()

    def __call__(self, x: Any) -> Any:
        P: Any = ph.tensors("P")
        h = self.features(with_channels(x, self.channels, self.border))
        s = self.classifier(self.flatten(self.avgpool(h)))
        P[b, y] = softmax[y](s[b, y])
        return P


def features(channels: int, stages: Sequence[Sequence[int]], batch_norm: bool) -> Iterator[Any]:
    """Convolution, norm, relu for each number of filters; pooling after each stage."""
    for stage in stages:
        for filters in stage:
            yield nn.Conv2d(channels, filters, 3, padding=1)
            if batch_norm:
                yield nn.BatchNorm2d(filters)
            yield nn.ReLU()
            channels = filters
        yield nn.MaxPool2d(2)


def loss(model: VGG, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
