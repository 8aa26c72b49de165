"""Dice: how little two regions overlap.

D[b] = 1 - (2 Σ_i p[b, i] t[b, i] + smooth) / (Σ_i p[b, i] + Σ_i t[b, i] + smooth)
"""

from typing import Any

from phistar.errors import UsageError
from phistar.language.functions import cast
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.losses.binary import pair
from phistar.losses.operands import axis_of, expect_rank, number, reduced


def dice(
    probability: Any,
    target: Any,
    *,
    axis: int | None = None,
    smooth: float = 1.0,
    squared: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """1 - the Dice coefficient of each example (Milletari et al. 2016), from probabilities.

    probability: [b, ...] from 0 to 1; target: numbers or truth values of its shape. All axes but
    the first are summed; axis: that of classes, each of which has a coefficient of its own.
    squared: Σ p² + Σ t² below the line, as in the paper. smooth: more than 0, for empty regions.
    Raises ShapeError, UsageError.
    """
    p, t, n = pair(probability, target, "probability and target of dice")
    expect_rank(p, 2, "probability of dice")
    smooth = number("smooth of dice", smooth, 0)
    kept = {0} if axis is None else {0, axis_of(axis, len(n), "probability of dice")}
    if len(kept) == len(n) or axis in (0, -len(n)):
        raise UsageError("dice sums over axes that are neither the examples' nor the classes'")
    over = tuple(i for k, i in enumerate(n) if k not in kept)
    truth = cast(t[n], p.dtype)
    both = sum[over](p[n] * truth)
    size = sum[over](p[n] ** 2 + truth**2 if squared else p[n] + truth)
    l = 1 - (2 * both + smooth) / (size + smooth)
    return reduced(l, tuple(i for k, i in enumerate(n) if k in kept), reduction)
