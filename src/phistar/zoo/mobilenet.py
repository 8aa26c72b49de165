"""MobileNets: a convolution as one over pixels, each channel by itself, and one over channels.

    depthwise   d[b, c, p, q] = Σ_ij K[c, i, j] x[b, c, p + i, q + j]
    pointwise   y[b, k, p, q] = Σ_c W[k, c] d[b, c, p, q]                                  version 1
    inverted    x + pointwise(relu6(depthwise(relu6(pointwise(x)))))                       version 2
    residual    with more channels inside than outside, and no relu at the end

Source: A. Howard et al., MobileNets, arXiv:1704.04861, table 1; M. Sandler et al., MobileNetV2,
CVPR 2018, table 2. Parameters of version 2 have torchvision's names.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import phistar as ph
from phistar import log, nn, softmax
from phistar.zoo.images import with_channels

b, c, p, q, y = ph.indices("b c p q y")  # batch, channel, row, column, label

Blocks = Sequence[tuple[int, ...]]

# fmt: off
FILTERS = (                                         # version 1: filters, stride
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)
BOTTLENECKS = (                                     # version 2: expansion, filters, times, stride
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
    (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)
# fmt: on


def convolved(
    channels: int,
    filters: int,
    size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[ph.Model] = nn.ReLU6,
) -> nn.Sequential:
    """A convolution, batch norm, and relu, up to 6 in version 2."""
    return nn.Sequential(
        nn.Conv2d(channels, filters, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(filters),
        activation(),
    )


def multiple(filters: float, of: int = 8) -> int:
    """The nearest multiple of 8, at most a tenth smaller."""
    near = max(of, int(filters + of / 2) // of * of)
    return near + of if near < 0.9 * filters else near


class InvertedResidual(ph.Model):
    """x[b, c, p, q] -> y[b, k, p, q]; added to x where the size stays."""

    def __init__(self, channels: int, filters: int, stride: int, expansion: int) -> None:
        inside = expansion * channels
        wider = [convolved(channels, inside)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *wider,
            convolved(inside, inside, 3, stride, groups=inside),
            nn.Conv2d(inside, filters, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.adds = stride == 1 and channels == filters

    def __call__(self, x: Any) -> Any:
        f = self.conv(x)
        if not self.adds:
            return f
        z: Any = ph.tensors("z")
        z[b, c, p, q] = x[b, c, p, q] + f[b, c, p, q]
        return z


class MobileNet(ph.Model):
    """Version 1 or 2: x[b, c, p, q] -> P[b, y], of images of 224 pixels, or fewer.

    width: all numbers of filters times this. first_stride: 2; 1 for small images. blocks: those of
    the papers, FILTERS or BOTTLENECKS, or others.
    """

    def __init__(
        self,
        version: int = 2,
        width: float = 1.0,
        labels: int = 1000,
        channels: int = 3,
        first_stride: int = 2,
        dropout: float = 0.2,
        blocks: Blocks | None = None,
    ) -> None:
        self.channels = channels
        made = separable if version == 1 else inverted
        given = (FILTERS if version == 1 else BOTTLENECKS) if blocks is None else blocks
        self.features = nn.Sequential(*made(channels, width, first_stride, given))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last(self.features), labels))

    def __call__(self, x: Any) -> Any:
        m, P = ph.tensors("m P")
        h = self.features(with_channels(x, self.channels))
        m[b, c] = ph.mean[p, q](h[b, c, p, q])
        s = self.classifier(m)
        P[b, y] = softmax[y](s[b, y])
        return P


def separable(channels: int, width: float, first_stride: int, blocks: Blocks) -> Iterator[Any]:
    """Version 1: a convolution, then pairs of depthwise and pointwise ones."""
    at = multiple(32 * width)
    yield convolved(channels, at, 3, first_stride, activation=nn.ReLU)
    for filters, step in blocks:
        yield convolved(at, at, 3, step, groups=at, activation=nn.ReLU)
        yield convolved(at, at := multiple(filters * width), activation=nn.ReLU)


def inverted(channels: int, width: float, first_stride: int, blocks: Blocks) -> Iterator[Any]:
    """Version 2: a convolution, inverted residuals, a pointwise convolution."""
    at = multiple(32 * width)
    yield convolved(channels, at, 3, first_stride)
    for expansion, filters, times, step in blocks:
        for n in range(times):
            out = multiple(filters * width)
            yield InvertedResidual(at, out, 1 if n else step, expansion)
            at = out
    yield convolved(at, multiple(1280 * max(1.0, width)))


def last(features: nn.Sequential) -> int:
    """How many channels come out of the last convolution."""
    filters: int = features[-1][0].out_channels
    return filters


def loss(model: MobileNet, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
