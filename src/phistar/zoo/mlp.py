"""A multilayer perceptron with dropout: each hidden layer is relu(W h + c), then some units are 0.

    h[b, j] = relu(Σ_i W[j, i] h[b, i] + c[j])
    h[b, j] = 0 with probability p, else h[b, j] / (1 - p)                           in training

Source: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, Dropout: a simple
way to prevent neural networks from overfitting, JMLR 2014.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import phistar as ph
from phistar import log, relu, softmax

b, i, j, y = ph.indices("b i j y")  # batch, unit below, unit, label


class Layer(ph.Model):
    """h[b, i] -> relu(W h + c)[b, j], without some units in training."""

    def __init__(self, below: int, units: int, dropout: float) -> None:
        self.W, self.c = ph.param(units, below), ph.param(units, init=0)
        self.dropout = dropout

    def __call__(self, x: Any) -> Any:
        h, d = ph.tensors("h d")
        h[b, j] = relu(self.W[j, i] * x[b, i] + self.c[j])
        if not self.training or not self.dropout:
            return h
        d[b, j] = ph.where(ph.uniform[b, j] < self.dropout, 0, h[b, j] / (1 - self.dropout))
        return d


class MLP(ph.Model):
    """P_Φ(y|x) with hidden layers of those sizes: x[b, i] -> P[b, y]."""

    def __init__(
        self,
        features: int = 784,
        hidden: Sequence[int] = (512, 512),
        labels: int = 10,
        dropout: float = 0.3,
    ) -> None:
        self.layers = [Layer(m, n, dropout) for m, n in pairwise((features, *hidden))]
        self.W, self.c = ph.param(labels, (features, *hidden)[-1]), ph.param(labels, init=0)

    def __call__(self, x: Any) -> Any:
        P: Any = ph.tensors("P")
        for layer in self.layers:
            x = layer(x)
        P[b, y] = softmax[y](self.W[y, i] * x[b, i] + self.c[y])
        return P


def loss(model: MLP, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
