"""Logistic regression with several labels: P(y|x) = softmax_y(Σ_i W[y, i] x[i] + c[y]).

Source: D. R. Cox, The regression analysis of binary sequences, 1958; D. McFadden, Conditional logit
analysis of qualitative choice behavior, 1974.
"""

from typing import Any

import phistar as ph
from phistar import log, softmax

b, i, y = ph.indices("b i y")  # batch, input feature, label


class LogisticRegression(ph.Model):
    """x[b, i] -> P[b, y]. The loss is convex: it may start from 0."""

    def __init__(self, features: int = 784, labels: int = 10) -> None:
        self.W = ph.param(labels, features, init=0)
        self.c = ph.param(labels, init=0)

    def __call__(self, x: Any) -> Any:
        P: Any = ph.tensors("P")
        P[b, y] = softmax[y](self.W[y, i] * x[b, i] + self.c[y])
        return P


def loss(model: LogisticRegression, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
