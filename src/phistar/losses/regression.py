"""Losses of a prediction against a number: l[b, ...] = f(p[b, ...] - y[b, ...]).

mse (p - y)²    l1 |p - y|    huber, smooth_l1: a parabola inside, lines outside
log_cosh ln cosh(p - y)    poisson_nll, gaussian_nll: -ln P(y) of those distributions
"""

import math
from collections.abc import Callable
from typing import Any

from phistar.errors import ShapeError
from phistar.language.expression import Expr
from phistar.language.functions import (
    abs,
    cast,
    exp,
    log,
    log1p,
    maximum,
    sinh,
    softplus,
    stop_gradient,
    where,
)
from phistar.language.tensors import Tensor
from phistar.losses.operands import (
    Indices,
    axes,
    floats,
    number,
    operand,
    positive,
    reduced,
    same_shape,
)


def of_difference(
    input: Any, target: Any, f: Callable[[Expr], Expr], reduction: str, what: str
) -> Tensor:
    """f of input - target, elementwise, reduced."""
    p = floats(input, "input")
    y = floats(target, "target", p)
    same_shape(p, y, f"input and target of {what}")
    n = axes(len(p.shape))
    return reduced(f(p[n] - y[n]), n, reduction)


def mse(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """The squared difference, (p - y)².

    input, target: tensors of one shape, else ShapeError. reduction: "mean" or "sum" over all
    elements, or "none", which keeps them.
    """
    return of_difference(input, target, lambda d: d**2, reduction, "mse")


def l1(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """The absolute difference, |p - y|. Shapes and reduction as for `mse`."""
    return of_difference(input, target, abs, reduction, "l1")


def huber(input: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d²/2 for |d| <= delta, else delta (|d| - delta/2), of d = p - y (Huber 1964).

    Shapes and reduction as for `mse`. UsageError unless delta > 0.
    """
    delta = positive("delta of huber", delta)

    def f(d: Expr) -> Expr:
        return where(abs(d) <= delta, 0.5 * d**2, delta * (abs(d) - 0.5 * delta))

    return of_difference(input, target, f, reduction, "huber")


def smooth_l1(input: Any, target: Any, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d²/(2 beta) for |d| < beta, else |d| - beta/2, of d = p - y (Girshick 2015); beta 0 is `l1`.

    Shapes and reduction as for `mse`. UsageError for a negative beta.
    """
    beta = number("beta of smooth_l1", beta, 0)
    if beta == 0:
        return l1(input, target, reduction=reduction)

    def f(d: Expr) -> Expr:
        return where(abs(d) < beta, 0.5 * d**2 / beta, abs(d) - 0.5 * beta)

    return of_difference(input, target, f, reduction, "smooth_l1")


def log_cosh(input: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    """ln cosh(d) = |d| + ln(1 + e^(-2|d|)) - ln 2, of d = p - y: finite for all d.

    Shapes and reduction as for `mse`.
    """

    def f(d: Expr) -> Expr:  # near 0 the sum of the long form would cancel
        return where(abs(d) < 1, log1p(2 * sinh(0.5 * d) ** 2), d + softplus(-2 * d) - math.log(2))

    return of_difference(input, target, f, reduction, "log_cosh")


def poisson_nll(
    input: Any,
    target: Any,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """-ln P(y) of a Poisson distribution with rate e^p, or, without log_input, rate p.

    full adds Stirling's approximation of ln y! for y > 1, which does not depend on the input.
    eps keeps ln(p + eps) finite. Shapes and reduction as for `mse`.
    """
    p = floats(input, "input")
    y = operand(target, "target", p)
    same_shape(p, y, "input and target of poisson_nll")
    n = axes(len(p.shape))
    eps = number("eps of poisson_nll", eps, 0)
    k = cast(y[n], p.dtype)
    l = exp(p[n]) - k * p[n] if log_input else p[n] - k * log(p[n] + eps)
    if full:
        l = l + where(k > 1, k * log(k) - k + 0.5 * log(2 * math.pi * k), 0)
    return reduced(l, n, reduction)


def gaussian_nll(
    input: Any,
    target: Any,
    variance: Any,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """-ln P(y) of N(p, v) (Nix and Weigend 1994): (ln v + (p - y)²/v) / 2, v at least eps.

    variance: a tensor of the input's shape, of its shape without the last axis, or with a last
    axis of 1 (one for all of an example), or a number. full adds ln(2π)/2. As in PyTorch a
    variance below eps counts as eps in the value and keeps its gradient.
    """
    p = floats(input, "input")
    y = floats(target, "target", p)
    same_shape(p, y, "input and target of gaussian_nll")
    n, eps = axes(len(p.shape)), positive("eps of gaussian_nll", eps)
    given = variance_at(floats(variance, "variance", p), p, n)
    v = given + stop_gradient(maximum(given, eps) - given)
    l = 0.5 * (log(v) + (p[n] - y[n]) ** 2 / v)
    return reduced(l + 0.5 * math.log(2 * math.pi) if full else l, n, reduction)


def variance_at(v: Tensor, p: Tensor, n: Indices) -> Expr:
    """The variance of p[n]: its own, or one for the whole last axis, or one for all."""
    if v.shape == p.shape:
        return v[n]
    if p.shape and v.shape == p.shape[:-1]:
        return v[n[:-1]]
    if p.shape and v.shape == (*p.shape[:-1], 1):
        return v[(*n[:-1], 0)]
    if v.shape == ():
        return v[()]
    raise ShapeError(f"variance of gaussian_nll has shape {v.shape}, but the input {p.shape}")
