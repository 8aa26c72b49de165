"""Connectionist temporal classification (Graves et al. 2006): labels without their times.

z = (blank, l_1, blank, l_2, ..., blank)
α[t, m] = ln P[t, z_m] + logsumexp_j α[t - 1, m - j],  j = 0, 1, and 2 if z_m may follow z_(m-2)
L = -logsumexp(α[T, 2 L], α[T, 2 L - 1])
"""

from typing import Any

from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Expr, Index, lift
from phistar.language.functions import cast, maximum, not_equal, where
from phistar.language.reductions import logsumexp
from phistar.language.scans import scan
from phistar.language.subscripts import first, last, pad
from phistar.language.tensors import Tensor
from phistar.losses.operands import (
    Indices,
    axes,
    expect_rank,
    expect_shape,
    floats,
    reduced,
    wholes,
)

NEVER = -1e30  # ln 0, but finite: what cannot be has derivative 0, not NaN
t, m, j = Index("t"), Index("m"), Index("j", 3)


def ctc(
    log_probabilities: Any,
    targets: Any,
    input_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    zero_infinity: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """-ln P(targets) over all alignments (Graves et al. 2006, equations 6 to 8).

    log_probabilities: ln P[t, y] or [b, t, y] (f32 or f64; PyTorch has the time first); targets:
    labels [s] or [b, s], padded to one length; the lengths [b], or numbers for one sequence: of
    input and targets that count (None: all). blank: the label of nothing. Targets that the input
    is too short for cost inf, or with zero_infinity 0; their gradient is 0.

    mean: each loss is divided by its target's length (at least 1), then averaged, as in PyTorch.
    Raises ShapeError, DTypeError, UsageError; labels out of range are IndexRangeErrors when run.
    """
    lnP, z = floats(log_probabilities, "log_probabilities"), wholes(targets, "targets")
    if lnP.dtype not in (DType.F32, DType.F64):
        raise DTypeError(f'ctc sums in f32 or f64, not {lnP.dtype.value}: ph.cast(..., "f32")')
    expect_rank(lnP, 2, "log_probabilities of ctc")
    expect_shape(z, (*lnP.shape[:-2], *z.shape[-1:]), "targets of ctc")
    classes = lnP.shape[-1]
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < classes:
        raise UsageError(f"blank of ctc is one of the {classes} labels, not {blank!r}")
    n = axes(len(lnP.shape) - 2, skip="tmj")
    steps = length(input_lengths, lnP.shape[:-2], lnP.shape[-2], "input_lengths", n)
    labels = length(target_lengths, lnP.shape[:-2], z.shape[-1], "target_lengths", n)
    total = alignments(lnP, extended(z, labels, blank, n), steps, labels, n)
    possible = total > 0.5 * NEVER
    l = where(possible, -total, 0.0 if zero_infinity else float("inf"))
    if reduction == "mean":
        l = l / cast(maximum(labels, 1), lnP.dtype)
    return reduced(l, n, reduction)


def length(value: Any, shape: tuple[int, ...], longest: int, name: str, n: Indices) -> Expr:
    """How many steps or labels of each sequence count."""
    if value is None:
        value = longest
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= longest:
            raise ShapeError(f"{name} of ctc is at most {longest}, not {value}")
        return lift(value)
    made = wholes(value, name)
    expect_shape(made, shape, f"{name} of ctc")
    return cast(made[n], "i64")


def extended(targets: Tensor, labels: Expr, blank: int, n: Indices) -> tuple[Tensor, Tensor]:
    """The labels with blanks around each, and how far a path may jump to each: 1, or 2."""
    z, jump = Tensor("z"), Tensor("jump")
    m = Index("m", 2 * targets.shape[-1] + 1)
    inside = (m % 2 > 0) & (m // 2 < labels)
    z[(*n, m)] = where(inside, cast(targets[(*n, pad(m // 2, 0, 1))], "i64"), blank)
    other = not_equal(z[(*n, m)], z[(*n, pad(m, 2, 0, blank))])
    jump[(*n, m)] = where(inside & other, 2, 1)
    return z, jump


def alignments(
    lnP: Tensor, extended: tuple[Tensor, Tensor], steps: Expr, labels: Expr, n: Indices
) -> Expr:
    """ln of the sum over all alignments: the forward recurrence in log space."""
    z, jump = extended
    e, a, total = Tensor("e"), Tensor("a"), Tensor("total")
    e[(*n, t, m)] = maximum(lnP[(*n, t, z[(*n, m)])], NEVER)
    a[(*n, first - 1, m)] = where(m > 0, NEVER, cast(0.0, lnP.dtype))
    with scan(t):
        before = logsumexp[j : j <= jump[(*n, m)]](a[(*n, t - 1, pad(m - j + 2, 2, 0, NEVER))])
        a[(*n, t, m)] = where(t < steps, e[(*n, t, m)] + before, a[(*n, t - 1, m)])
    ends = (m <= 2 * labels) & (m >= 2 * labels - 1)
    total[n] = logsumexp[m:ends](a[(*n, last, m)])
    return total[n]
