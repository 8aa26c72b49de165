"""Layers in phistar's notation: `ph.Model`s whose `__call__` takes a tensor and gives a tensor."""

from phistar.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from phistar.nn.linear import Bilinear, Embedding, Linear

__all__ = [
    "Bilinear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Embedding",
    "Linear",
]
