"""Losses: functions of tensors that give one number, written in phistar's own notation.

    def loss(model, x, label):
        return ph.losses.cross_entropy(model(x), label)

Every loss takes reduction="mean", "sum" or "none", which keeps the axes of the examples. Arguments
are tensors, arrays, or expressions, whose open indices are their axes in the order of writing.
"""

from phistar.losses.binary import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    binary_focal,
    hinge,
    squared_hinge,
)
from phistar.losses.classification import cross_entropy, focal, multi_margin, nll
from phistar.losses.crf import crf_decode, crf_nll
from phistar.losses.ctc import ctc
from phistar.losses.distances import (
    contrastive,
    cosine_embedding,
    cosine_similarity,
    triplet_margin,
)
from phistar.losses.divergences import gaussian_kl, kl_divergence
from phistar.losses.overlap import dice
from phistar.losses.regression import (
    gaussian_nll,
    huber,
    l1,
    log_cosh,
    mse,
    poisson_nll,
    smooth_l1,
)
from phistar.losses.sampling import nce, negative_sampling

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "binary_focal",
    "contrastive",
    "cosine_embedding",
    "cosine_similarity",
    "crf_decode",
    "crf_nll",
    "cross_entropy",
    "ctc",
    "dice",
    "focal",
    "gaussian_kl",
    "gaussian_nll",
    "hinge",
    "huber",
    "kl_divergence",
    "l1",
    "log_cosh",
    "mse",
    "multi_margin",
    "nce",
    "negative_sampling",
    "nll",
    "poisson_nll",
    "smooth_l1",
    "squared_hinge",
    "triplet_margin",
]
