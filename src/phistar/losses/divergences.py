"""How far one distribution is from another.

KL(P‖Q) = Σ_y P[y] (ln P[y] - ln Q[y])
KL(N(m, e^v) ‖ N(0, 1)) = Σ_d (e^v[d] + m[d]² - 1 - v[d]) / 2
"""

from typing import Any

from phistar.errors import UsageError
from phistar.language.expression import Expr, Index
from phistar.language.functions import exp, expm1, log, where
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.losses.classification import Scores
from phistar.losses.operands import axes, expect_rank, floats, reduced, same_shape

y, d = Index("y"), Index("d")
NOTHING = float("-inf")  # the logarithm of a probability of 0


def kl_divergence(
    P: Any,
    Q: Any,
    *,
    log_probabilities: bool = False,
    reverse: bool = False,
    axis: int = -1,
    reduction: str = "mean",
) -> Tensor:
    """KL(P‖Q) = Σ_y P[y] ln(P[y] / Q[y]), or with `reverse` KL(Q‖P), of each example.

    P, Q: probabilities, or with log_probabilities their logarithms, [b, ..., y] of one shape, y on
    `axis`. Where the first is 0 it adds 0. The mean is over the examples (PyTorch's "batchmean";
    `kl_div(lnQ, P)` there is KL(P‖Q)). Raises ShapeError for different shapes.
    """
    p, q = Scores(P, axis, "kl_divergence"), Scores(Q, axis, "kl_divergence")
    same_shape(p.s, q.s, "P and Q of kl_divergence")
    if reverse:
        p, q = q, p
    if log_probabilities:
        l = where(p[y] > NOTHING, exp(p[y]) * (p[y] - q[y]), 0)
    else:
        l = where(p[y] > 0, p[y] * (log(p[y]) - log(q[y])), 0)
    return reduced(sum[y](l), p.n, reduction)


def gaussian_kl(
    mean: Any,
    log_variance: Any,
    other_mean: Any = None,
    other_log_variance: Any = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """KL(N(m, e^v) ‖ N(m', e^v')), in closed form (Kingma and Welling 2014, appendix B).

        Σ_d ((e^(v - v') - 1) - (v - v') + (m - m')² e^-v') / 2

    mean, log_variance: [b, ..., d], one number for each dimension d; the other Gaussian is N(0, 1)
    unless both of its numbers are given. The mean is over the examples. Raises ShapeError for
    different shapes.
    """
    if (other_mean is None) != (other_log_variance is None):
        raise UsageError("gaussian_kl wants both other_mean and other_log_variance, or neither")
    m = floats(mean, "mean")
    expect_rank(m, 1, "mean of gaussian_kl")
    n = (*axes(len(m.shape) - 1, skip="d"), d)

    def of(value: Any, name: str) -> Expr:
        other = floats(value, name, m)
        same_shape(m, other, f"mean and {name} of gaussian_kl")
        return other[n]

    v = of(log_variance, "log_variance")
    l = expm1(v) - v + m[n] ** 2
    if other_mean is not None:
        away = m[n] - of(other_mean, "other_mean")
        w = of(other_log_variance, "other_log_variance")
        l = expm1(v - w) - (v - w) + away**2 * exp(-w)
    return reduced(0.5 * sum[d](l), n[:-1], reduction)
