"""Residual networks: blocks of convolutions, each added to what comes in, y = relu(f(x) + s(x)).

    basic       f = norm conv3x3 relu norm conv3x3                                      ResNet-20
    bottleneck  f = norm conv1x1 relu norm conv3x3 relu norm conv1x1                    ResNet-50
    s           x itself; where the size changes every other pixel, with channels of 0 (ResNet-20:
                the paper's option A) or norm conv1x1 (ResNet-50: option B)

Source: K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition, CVPR 2016.
Parameters of ResNet-50 have torchvision's names; its bottlenecks halve the size in conv3x3.
"""

from collections.abc import Sequence
from typing import Any

import phistar as ph
from phistar import log, nn, relu, softmax
from phistar.zoo.images import with_channels

b, c, k, p, q, y = ph.indices("b c k p q y")  # batch, channels, row, column, label

# Blocks -------------------------------------------------------------------------------------------


def added(f: Any, s: Any) -> Any:
    """relu(f + s)."""
    z: Any = ph.tensors("z")
    z[b, c, p, q] = relu(f[b, c, p, q] + s[b, c, p, q])
    return z


class Basic(ph.Model):
    """Two convolutions of 3 x 3 pixels; what comes in is added with channels of 0 at the end."""

    growth = 1

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.more, self.stride = filters - channels, stride
        self.relu = nn.ReLU()

    def __call__(self, x: Any) -> Any:
        f = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return added(f, self.shortcut(x))

    def shortcut(self, x: Any) -> Any:
        if self.stride == 1 and not self.more:
            return x
        s: Any = ph.tensors("s")
        s[b, k, p, q] = x[b, ph.pad(k, 0, self.more), self.stride * p, self.stride * q]
        return s


class Bottleneck(ph.Model):
    """Fewer channels, convolved with 3 x 3 pixels, then four times as many again."""

    growth = 4

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        out = self.growth * filters
        self.conv1 = nn.Conv2d(channels, filters, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or channels != out:
            shortcut = nn.Conv2d(channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))
        self.relu = nn.ReLU()

    def __call__(self, x: Any) -> Any:
        f = self.relu(self.bn1(self.conv1(x)))
        f = self.relu(self.bn2(self.conv2(f)))
        f = self.bn3(self.conv3(f))
        return added(f, x if self.downsample is None else self.downsample(x))


def stage(block: Any, channels: int, filters: int, depth: int, stride: int) -> list[ph.Model]:
    """So many blocks, of which the first changes the size."""
    first = block(channels, filters, stride)
    return [first, *(block(block.growth * filters, filters, 1) for _ in range(depth - 1))]


# Networks -----------------------------------------------------------------------------------------


class SmallResNet(ph.Model):
    """Section 4.2, for images of 28 to 32 pixels: x[b, c, p, q] -> P[b, y]; 6 n + 2 layers."""

    def __init__(self, n: int = 3, width: int = 16, labels: int = 10, channels: int = 3) -> None:
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = stage(Basic, width, width, n, 1)
        self.layer2 = stage(Basic, width, 2 * width, n, 2)
        self.layer3 = stage(Basic, 2 * width, 4 * width, n, 2)
        self.fc = nn.Linear(4 * width, labels)
        self.relu = nn.ReLU()

    def __call__(self, x: Any) -> Any:
        h = self.relu(self.bn1(self.conv1(with_channels(x, self.channels))))
        for block in (*self.layer1, *self.layer2, *self.layer3):
            h = block(h)
        return classified(h, self.fc)


class ResNet(ph.Model):
    """Table 1, for images of 224 pixels: x[b, c, p, q] -> P[b, y]."""

    def __init__(
        self,
        depths: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        labels: int = 1000,
        channels: int = 3,
    ) -> None:
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.depths, at = depths, width
        for n, depth in enumerate(depths):
            setattr(self, f"layer{n + 1}", stage(Bottleneck, at, width << n, depth, 1 + (n > 0)))
            at = Bottleneck.growth * width << n
        self.fc = nn.Linear(at, labels)
        self.relu = nn.ReLU()

    def __call__(self, x: Any) -> Any:
        h = self.maxpool(self.relu(self.bn1(self.conv1(with_channels(x, self.channels)))))
        for n in range(len(self.depths)):
            for block in getattr(self, f"layer{n + 1}"):
                h = block(h)
        return classified(h, self.fc)


def classified(h: Any, fc: nn.Linear) -> Any:
    """The mean over all pixels, a linear layer, softmax."""
    m, P = ph.tensors("m P")
    m[b, c] = ph.mean[p, q](h[b, c, p, q])
    s = fc(m)
    P[b, y] = softmax[y](s[b, y])
    return P


def resnet20(labels: int = 10, channels: int = 3) -> SmallResNet:
    """269,722 parameters with 10 labels and 3 channels."""
    return SmallResNet(3, 16, labels, channels)


def resnet50(labels: int = 1000, channels: int = 3) -> ResNet:
    """25,557,032 parameters with 1000 labels and 3 channels."""
    return ResNet((3, 4, 6, 3), 64, labels, channels)


def loss(model: ph.Model, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
