"""The lecture's multilayer perceptron on MNIST: one hidden layer, softmax, log loss."""

from typing import Any

import phistar as ph
from phistar import log, relu, softmax

b, i, j, y = ph.indices("b i j y")  # batch, input feature, hidden unit, label


class MLP(ph.Model):
    """P_Φ(y|x) with one hidden layer: x[b, i] -> P[b, y]."""

    def __init__(self, hidden: int = 128) -> None:
        self.W0 = ph.param(hidden, 784)
        self.b0 = ph.param(hidden, init=0)
        self.W1 = ph.param(10, hidden)
        self.b1 = ph.param(10, init=0)

    def __call__(self, x: Any) -> Any:
        h, s, P = ph.tensors("h s P")
        h[b, j] = relu(self.W0[j, i] * x[b, i] + self.b0[j])
        s[b, y] = self.W1[y, j] * h[b, j] + self.b1[y]
        P[b, y] = softmax[y](s[b, y])
        return P


def loss(model: MLP, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
