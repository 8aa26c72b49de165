"""Losses of scores against labels, one of K classes: s[b, ..., y] and label[b, ...].

nll            -ln P(label)                                       from ln P
cross_entropy  logsumexp_y s[y] - s[label]                        from scores
focal          -(1 - P(label))^γ ln P(label)                      from scores
multi_margin   Σ_y≠label max(0, m - s[label] + s[y])^p / K        from scores
"""

from collections.abc import Callable
from typing import Any

from phistar.errors import ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Element, Expr, Index
from phistar.language.functions import cast, expm1, not_equal, relu, where
from phistar.language.reductions import log_softmax, logsumexp, sum
from phistar.language.tensors import Tensor
from phistar.losses.operands import (
    Indices,
    axes,
    axis_of,
    expect_rank,
    expect_shape,
    floats,
    number,
    operand,
    reduced,
    weighted,
    wholes,
)

y = Index("y")


class Scores:
    """Scores and labels: s[b, ..., y] for a class y, with the class axis wherever it is."""

    def __init__(self, scores: Any, axis: int, what: str) -> None:
        self.s = floats(scores, "scores")
        self.what = what
        expect_rank(self.s, 1, f"scores of {what}")
        self.axis = axis_of(axis, len(self.s.shape), f"scores of {what}")
        self.shape = self.s.shape[: self.axis] + self.s.shape[self.axis + 1 :]
        self.classes = self.s.shape[self.axis]
        self.n: Indices = axes(len(self.shape))

    def __getitem__(self, k: Any) -> Element:
        """The score of class k."""
        return self.s[self.at(k)]

    def at(self, k: Any) -> tuple[Any, ...]:
        """The subscripts of class k."""
        return (*self.n[: self.axis], k, *self.n[self.axis :])

    def normalised(self) -> "Scores":
        """The same with ln P(y) for s[y], from the scores."""
        lnP = Tensor("lnP")
        lnP[self.at(y)] = log_softmax[y](self[y])
        return Scores(lnP, self.axis, self.what)

    def labels(self, label: Any) -> Tensor:
        """The labels, whole numbers with the scores' axes but the class axis."""
        made = wholes(label, "label")
        if made.shape != self.shape:
            raise ShapeError(
                f"label of {self.what} must have shape {self.shape}, the scores' {self.s.shape} "
                f"without the axis of the classes, not {made.shape}"
            )
        return made

    def weights(self, weight: Any) -> Tensor | None:
        """A weight for each class."""
        if weight is None:
            return None
        made = floats(weight, "weight", self.s)
        expect_shape(made, (self.classes,), f"weight of {self.what}")
        return made


class Known:
    """Labels of which some are to be left out: k[b], 0 in their place, and whether b counts."""

    def __init__(self, label: Tensor, n: Indices, ignore_index: int | None) -> None:
        self.label, self.n = label, n
        self.counts: Expr | None = None
        if ignore_index is None:
            return
        if isinstance(ignore_index, bool) or not isinstance(ignore_index, int):
            raise UsageError(f"ignore_index must be a whole number, not {ignore_index!r}")
        same = cast(label[n], "i64")
        self.counts = not_equal(same, ignore_index)
        self.label = Tensor("k")
        self.label[n] = where(self.counts, same, 0)

    def __getitem__(self, n: Indices) -> Element:
        return self.label[n]

    def only(self, e: Expr) -> Expr:
        """e where the label counts, else 0."""
        return e if self.counts is None else where(self.counts, e, 0)

    def average(self, l: Expr, weight: Expr | None, dtype: DType, reduction: str) -> Tensor:
        """l reduced over the labels that count; its mean is over their weights."""
        if weight is None and self.counts is None:
            return reduced(l, self.n, reduction)
        own = cast(1.0, dtype) if weight is None else weight
        return weighted(self.only(l), self.only(own), self.n, reduction)


def nll(
    log_probabilities: Any,
    label: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    axis: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """-ln P(label): the negative log-likelihood, from logarithms of probabilities.

    log_probabilities: [b, ..., y], or with the classes on `axis`; label: [b, ...], whole numbers.
    weight: one for each class; the mean is then divided by the labels' weights. ignore_index: a
    label that does not count. reduction: "mean", "sum", "none". A mean over no label is 0. Raises
    ShapeError for other shapes; labels out of range are IndexRangeErrors when the program runs.
    """
    lnP = Scores(log_probabilities, axis, "nll")
    return of_label(lnP, label, lambda k: -lnP[k], weight, ignore_index, reduction)


def of_label(
    s: Scores,
    label: Any,
    f: Callable[[Expr], Expr],
    weight: Any,
    ignore_index: int | None,
    reduction: str,
) -> Tensor:
    """w[label] f(label), averaged over the weights of the labels that count."""
    w = s.weights(weight)
    k = Known(s.labels(label), s.n, ignore_index)
    own = None if w is None else w[k[s.n]]
    l = f(k[s.n])
    return k.average(l if own is None else own * l, own, s.s.dtype, reduction)


def cross_entropy(
    scores: Any,
    label: Any,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    axis: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """-ln softmax(scores)[label] = logsumexp_y s[y] - s[label], finite for all finite scores.

    scores: [b, ..., y], or with the classes on `axis` (1 in PyTorch). label: whole numbers
    [b, ...], or *soft labels*: probabilities of the scores' shape, -Σ_y q[y] ln P(y). weight: one
    for each class; the mean of hard labels is then divided by the labels' weights. ignore_index: a
    hard label that does not count. label_smoothing: ε spreads that share of each label over all
    classes, (1 - ε) q + ε/K (Szegedy et al. 2016). A mean over no label is 0.

    Raises ShapeError, DTypeError, UsageError for arguments that do not fit each other.
    """
    s = Scores(scores, axis, "cross_entropy")
    smoothing = number("label_smoothing", label_smoothing, 0, 1)
    q = operand(label, "label", s.s)
    if q.dtype.is_float:
        if ignore_index is not None:
            raise UsageError("ignore_index is a label: soft labels have none")
        return soft(s, q, weight, smoothing, reduction)
    if not smoothing:
        return of_label(s, q, lambda k: logsumexp[y](s[y]) - s[k], weight, ignore_index, reduction)
    return smoothed(s.normalised(), q, weight, ignore_index, smoothing, reduction)


def smoothed(
    lnP: Scores, label: Tensor, weight: Any, ignore_index: int | None, eps: float, reduction: str
) -> Tensor:
    """(1 - ε) w[k] (-ln P(k)) + ε/K Σ_y w[y] (-ln P(y)); the mean is over the weights w[k]."""
    w = lnP.weights(weight)
    k = Known(lnP.labels(label), lnP.n, ignore_index)
    own = None if w is None else w[k[lnP.n]]
    here = lnP[k[lnP.n]] if own is None else own * lnP[k[lnP.n]]
    everywhere = sum[y](lnP[y] if w is None else w[y] * lnP[y])
    l = -(1 - eps) * here - eps / lnP.classes * everywhere
    return k.average(l, own, lnP.s.dtype, reduction)


def soft(s: Scores, q: Tensor, weight: Any, eps: float, reduction: str) -> Tensor:
    """-Σ_y w[y] q[y] ln P(y), with q = (1 - ε) q + ε/K; the mean is over the examples."""
    expect_shape(q, s.s.shape, "soft labels of cross_entropy")
    lnP, w = s.normalised(), s.weights(weight)
    target: Expr = q[s.at(y)]
    if eps:
        target = (1 - eps) * target + eps / s.classes
    if w is not None:
        target = w[y] * target
    return reduced(-sum[y](target * lnP[y]), s.n, reduction)


def focal(
    scores: Any,
    label: Any,
    *,
    gamma: float = 2.0,
    weight: Any = None,
    ignore_index: int | None = None,
    axis: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """-α[label] (1 - P)^γ ln P with P = softmax(scores)[label] (Lin et al. 2017, equation 5).

    weight: α, one for each class. The mean is over the labels that count, whatever their weight.
    For two classes by one score see `binary_focal`. Shapes and errors as for `cross_entropy`.
    """
    s = Scores(scores, axis, "focal")
    gamma = number("gamma of focal", gamma, 0)
    lnP = s.normalised()
    w = s.weights(weight)
    k = Known(s.labels(label), s.n, ignore_index)
    l = focused(lnP[k[s.n]], gamma)
    return k.average(l if w is None else w[k[s.n]] * l, None, s.s.dtype, reduction)


def focused(lnp: Expr, gamma: float) -> Expr:
    """-(1 - p)^γ ln p. Its derivative where p = 1 is 0: no number for 0^(γ - 1) is needed."""
    if gamma == 0:
        return -lnp
    missed = -expm1(lnp)
    return where(missed > 0, -(missed**gamma) * lnp, 0)


def multi_margin(
    scores: Any,
    label: Any,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    axis: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """Σ_{y ≠ label} max(0, margin - s[label] + s[y])^p / K: the hinge loss of several classes
    (Weston and Watkins 1999).

    p: 1 or 2, else UsageError. weight: one for each class, times the loss of its examples; the
    mean is over the examples. Shapes and errors as for `cross_entropy`.
    """
    s = Scores(scores, axis, "multi_margin")
    if p not in (1, 2):
        raise UsageError(f"p of multi_margin is 1 or 2, not {p!r}")
    k = s.labels(label)
    w = s.weights(weight)
    other = not_equal(y, cast(k[s.n], DType.I64))
    missing = relu(margin - s[k[s.n]] + s[y])
    l = sum[y](where(other, missing**p if p == 2 else missing, 0)) / s.classes
    return reduced(l if w is None else w[k[s.n]] * l, s.n, reduction)
