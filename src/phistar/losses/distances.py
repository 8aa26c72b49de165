"""Losses of how near vectors are to each other: a[b, ..., d], the vector on the last axis.

cosine_similarity  a·b / (|a| |b|)
cosine_embedding   1 - cos for like ones, max(0, cos - m) for others
triplet_margin     max(0, m + D(anchor, positive) - D(anchor, negative))
contrastive        D² / 2 for like ones, max(0, m - D)² / 2 for others
"""

from typing import Any

from phistar.language.expression import Expr, Index
from phistar.language.functions import abs, cast, maximum, minimum, relu, rsqrt, sqrt, where
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.losses.operands import (
    Indices,
    axes,
    expect_rank,
    expect_shape,
    floats,
    number,
    operand,
    positive,
    reduced,
    same_shape,
)

d = Index("d")


class Vectors:
    """Tensors of one shape [b, ..., d]."""

    def __init__(self, what: str, **given: Any) -> None:
        self.tensors: list[Tensor] = []
        for name, value in given.items():
            made = floats(value, name, self.tensors[0] if self.tensors else None)
            expect_rank(made, 1, f"{name} of {what}")
            self.tensors.append(made)
            same_shape(self.tensors[0], made, f"{' and '.join(given)} of {what}")
        self.shape = self.tensors[0].shape[:-1]
        self.n: Indices = axes(len(self.shape), skip="d")

    def __getitem__(self, k: int) -> Expr:
        """The components of the vector given as number k."""
        return self.tensors[k][(*self.n, d)]

    def like(self, label: Any, name: str, what: str) -> Expr:
        """A number or a truth value for each vector."""
        made = operand(label, name, self.tensors[0])
        expect_shape(made, self.shape, f"{name} of {what}")
        return made[self.n]


def cosine(a: Expr, b: Expr, eps: float) -> Expr:
    """a·b / (|a| |b|), the lengths no less than eps."""
    least = eps**2
    return sum[d](a * b) * rsqrt(maximum(sum[d](a**2), least)) * rsqrt(maximum(sum[d](b**2), least))


def cosine_similarity(a: Any, b: Any, *, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors [b, ..., d]: a tensor [b, ...], no loss.

    eps: no vector counts as shorter. Raises ShapeError for different shapes.
    """
    v = Vectors("cosine_similarity", a=a, b=b)
    return reduced(cosine(v[0], v[1], positive("eps of cosine_similarity", eps)), v.n, "none")


def cosine_embedding(
    a: Any, b: Any, label: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(a, b) where label is 1, max(0, cos(a, b) - margin) where it is -1.

    a, b: [b, ..., d]; label: [b, ...]. margin: from -1 to 1. Raises ShapeError, UsageError.
    """
    v = Vectors("cosine_embedding", a=a, b=b)
    margin = number("margin of cosine_embedding", margin, -1, 1)
    same = cast(v.like(label, "label", "cosine_embedding"), v.tensors[0].dtype) > 0
    c = cosine(v[0], v[1], 1e-12)
    return reduced(where(same, 1 - c, relu(c - margin)), v.n, reduction)


def distance(difference: Expr, p: float) -> Expr:
    """(Σ_d |difference|^p)^(1/p), with derivative 0 where it is 0."""
    if p == 1:
        return sum[d](abs(difference))
    if p == 2:
        square = sum[d](difference**2)
        return where(square > 0, sqrt(square), 0)
    total = sum[d](where(abs(difference) > 0, abs(difference) ** p, 0))
    return where(total > 0, total ** (1 / p), 0)


def triplet_margin(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + D(anchor, positive) - D(anchor, negative)) (Balntas et al. 2016).

    [b, ..., d] each. D(a, b) = |a - b + eps| in the p-norm. swap: the nearer of anchor and
    positive counts against the negative. Raises ShapeError, UsageError.
    """
    v = Vectors("triplet_margin", anchor=anchor, positive=positive, negative=negative)
    p = number("p of triplet_margin", p, 1)
    eps = number("eps of triplet_margin", eps, 0)
    margin = number("margin of triplet_margin", margin, 0)
    near, far = distance(v[0] - v[1] + eps, p), distance(v[0] - v[2] + eps, p)
    if swap:
        far = minimum(far, distance(v[1] - v[2] + eps, p))
    return reduced(relu(margin + near - far), v.n, reduction)


def contrastive(
    a: Any, b: Any, same: Any, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """D²/2 where same is 1, max(0, margin - D)²/2 where it is 0, D = |a - b| (Hadsell, Chopra and
    LeCun 2006, equation 4).

    a, b: [b, ..., d]; same: numbers or truth values [b, ...]. Raises ShapeError, UsageError.
    """
    v = Vectors("contrastive", a=a, b=b)
    margin = number("margin of contrastive", margin, 0)
    alike = cast(v.like(same, "same", "contrastive"), v.tensors[0].dtype) > 0
    D = distance(v[0] - v[1], 2)
    return reduced(
        0.5 * where(alike, sum[d]((v[0] - v[1]) ** 2), relu(margin - D) ** 2), v.n, reduction
    )
