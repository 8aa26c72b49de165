"""Losses that tell what was seen from what was drawn: k samples instead of all words.

negative_sampling  -ln σ(s[b]) - Σ_k ln σ(-n[b, k])
nce                the same of s - ln(K Q), Q the probability with which samples are drawn
"""

import math
from typing import Any

from phistar.language.expression import Expr, Index
from phistar.language.functions import softplus
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.losses.operands import axes, expect_rank, expect_shape, floats, reduced

k = Index("k")


def negative_sampling(positive: Any, negative: Any, *, reduction: str = "mean") -> Tensor:
    """-ln σ(s) - Σ_k ln σ(-n_k): word2vec's objective (Mikolov et al. 2013, equation 4).

    positive: [b, ...], the score of the word seen; negative: [b, ..., k], of those drawn.
    Raises ShapeError for other shapes.
    """
    s, drawn = floats(positive, "positive"), floats(negative, "negative")
    n = seen_and_drawn(s, drawn, "negative_sampling")
    return reduced(softplus(-s[n]) + sum[k](softplus(drawn[(*n, k)])), n, reduction)


def nce(
    positive: Any,
    negative: Any,
    positive_noise: Any,
    negative_noise: Any,
    *,
    reduction: str = "mean",
) -> Tensor:
    """-ln σ(s - ln K Q(w)) - Σ_k ln σ(ln K Q(w_k) - n_k): noise-contrastive estimation (Gutmann and
    Hyvärinen 2010; Mnih and Teh 2012).

    positive: [b, ...], the score of the word seen; negative: [b, ..., k], of the K drawn;
    positive_noise, negative_noise: ln Q of the same words, Q the distribution of the draws.
    Raises ShapeError for other shapes.
    """
    s, drawn = floats(positive, "positive"), floats(negative, "negative")
    n = seen_and_drawn(s, drawn, "nce")
    q = floats(positive_noise, "positive_noise", s)
    q_drawn = floats(negative_noise, "negative_noise", s)
    expect_shape(q, s.shape, "positive_noise of nce")
    expect_shape(q_drawn, drawn.shape, "negative_noise of nce")
    lnK = math.log(max(drawn.shape[-1], 1))
    here: Expr = s[n] - (q[n] + lnK)
    there: Expr = drawn[(*n, k)] - (q_drawn[(*n, k)] + lnK)
    return reduced(softplus(-here) + sum[k](softplus(there)), n, reduction)


def seen_and_drawn(s: Tensor, drawn: Tensor, what: str) -> tuple[Index, ...]:
    """Indices for s[b, ...], of which drawn[b, ..., k] has one axis more."""
    expect_rank(drawn, 1, f"negative of {what}")
    expect_shape(s, drawn.shape[:-1], f"positive of {what}")
    return axes(len(s.shape), skip="k")
