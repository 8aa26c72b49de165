"""Layers in phistar's notation: `ph.Model`s whose `__call__` takes a tensor and gives a tensor."""

from phistar.nn.linear import Bilinear, Embedding, Linear

__all__ = [
    "Bilinear",
    "Embedding",
    "Linear",
]
