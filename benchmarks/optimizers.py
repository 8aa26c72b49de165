"""The optimizers of the workloads, as records that every peer spells in its own words.

The meaning is PyTorch's: momentum m = μ m + g, Φ -= η m; Adam with bias correction and ε outside
the root; weight decay adds λΦ to the gradient, in AdamW it shrinks Φ by ηλΦ.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SGD:
    rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Adam:
    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8


@dataclass(frozen=True)
class AdamW(Adam):
    weight_decay: float = 0.01


Optimizer = SGD | Adam
