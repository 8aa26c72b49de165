"""Losses of one number against a truth: of a probability, a score, or a sign.

binary_cross_entropy              -(t ln p + (1 - t) ln(1 - p))
binary_cross_entropy_with_logits  p = σ(s): softplus(s) - t s
hinge, squared_hinge              max(0, m - t s), t = ±1
"""

from typing import Any

from phistar.errors import ShapeError
from phistar.language.expression import Expr
from phistar.language.functions import cast, log, log1p, log_sigmoid, maximum, relu, softplus
from phistar.language.tensors import Tensor
from phistar.losses.classification import focused
from phistar.losses.operands import (
    Indices,
    axes,
    floats,
    number,
    operand,
    reduced,
    same_shape,
)

LEAST = -100.0  # no logarithm of a probability is below it, as in PyTorch


def pair(a: Any, b: Any, names: str) -> tuple[Tensor, Tensor, Indices]:
    """A tensor of floats, another of its shape, and indices for their axes."""
    first, _, second = names.split()[:3]
    x = floats(a, first)
    t = operand(b, second, x)
    same_shape(x, t, names)
    return x, t, axes(len(x.shape))


def across(value: Any, name: str, like: Tensor, n: Indices) -> Expr:
    """A weight for each element, for each place on the last axis, or one for all."""
    w = floats(value, name, like)
    for shape, kept in ((like.shape, n), (like.shape[-1:], n[-1:]), ((), ())):
        if w.shape == shape:
            return w[kept]
    raise ShapeError(f"{name} must have shape {like.shape} or {like.shape[-1:]}, not {w.shape}")


def binary_cross_entropy(
    probability: Any, label: Any, *, weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """-(t ln p + (1 - t) ln(1 - p)), with logarithms no less than -100: finite at p = 0 and 1.

    probability: numbers from 0 to 1; label: numbers or truth values of its shape. weight: of that
    shape, of the last axis, or one. From scores `binary_cross_entropy_with_logits` is exact.
    """
    p, t, n = pair(probability, label, "probability and label of binary_cross_entropy")
    truth = cast(t[n], p.dtype)
    l = -(truth * maximum(log(p[n]), LEAST) + (1 - truth) * maximum(log1p(-p[n]), LEAST))
    return reduced(l if weight is None else across(weight, "weight", p, n) * l, n, reduction)


def binary_cross_entropy_with_logits(
    scores: Any,
    label: Any,
    *,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t ln σ(s) + (1 - t) ln σ(-s)) = softplus(s) - t s, finite for all finite scores.

    label: numbers or truth values of the scores' shape. weight, pos_weight (of the examples with
    label 1): of that shape, of the last axis, or one number. Raises ShapeError for others.
    """
    s, t, n = pair(scores, label, "scores and label of binary_cross_entropy_with_logits")
    truth = cast(t[n], s.dtype)
    l = softplus(s[n]) - truth * s[n]
    if pos_weight is not None:
        positive = across(pos_weight, "pos_weight", s, n)
        l = positive * truth * softplus(-s[n]) + (1 - truth) * softplus(s[n])
    return reduced(l if weight is None else across(weight, "weight", s, n) * l, n, reduction)


def binary_focal(
    scores: Any,
    label: Any,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    reduction: str = "mean",
) -> Tensor:
    """-α_t (1 - p_t)^γ ln p_t with p_t = σ(s) for label 1, σ(-s) for label 0 (Lin et al. 2017).

    label: 0 or 1, or truth values, of the scores' shape. alpha: the weight of label 1, 1 - alpha
    that of label 0; None leaves both 1.
    """
    s, t, n = pair(scores, label, "scores and label of binary_focal")
    gamma = number("gamma of binary_focal", gamma, 0)
    truth = cast(t[n], s.dtype)
    l = focused(log_sigmoid((2 * truth - 1) * s[n]), gamma)
    if alpha is not None:
        a = number("alpha of binary_focal", alpha, 0, 1)
        l = (a * truth + (1 - a) * (1 - truth)) * l
    return reduced(l, n, reduction)


def hinge(scores: Any, label: Any, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """max(0, margin - t s) for labels t of -1 and 1 (Cortes and Vapnik 1995)."""
    s, t, n = pair(scores, label, "scores and label of hinge")
    return reduced(relu(margin - cast(t[n], s.dtype) * s[n]), n, reduction)


def squared_hinge(
    scores: Any, label: Any, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """max(0, margin - t s)² for labels t of -1 and 1."""
    s, t, n = pair(scores, label, "scores and label of squared_hinge")
    return reduced(relu(margin - cast(t[n], s.dtype) * s[n]) ** 2, n, reduction)
