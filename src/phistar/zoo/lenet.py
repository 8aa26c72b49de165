"""LeNet-5: two convolutions, each with pooling, then three layers of all units.

    a[b, k, p, q] = relu(Σ_cuv K[k, c, u, v] x[b, c, p + u, q + v] + c[k])
    m[b, k, p, q] = max_uv a[b, k, 2 p + u, 2 q + v]

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document
recognition, 1998. As everybody does now: relu for tanh, the maximum for the mean, softmax for
radial basis functions, and every filter of the second convolution sees every one of the first.
"""

from typing import Any

import phistar as ph
from phistar import log, relu, softmax

b, k, l, p, q, y = ph.indices("b k l p q y")  # batch, filters, row, column, label
u, v = ph.indices("u v")  # within a window
i, j = ph.indices("i j")  # units


class LeNet(ph.Model):
    """Images of 28 x 28 pixels, x[b, p, q] -> P[b, y]."""

    def __init__(
        self, filters: tuple[int, int] = (6, 16), hidden: tuple[int, int] = (120, 84)
    ) -> None:
        self.K1, self.c1 = ph.param(filters[0], 5, 5), ph.param(filters[0], init=0)
        self.K2, self.c2 = ph.param(filters[1], filters[0], 5, 5), ph.param(filters[1], init=0)
        self.W3, self.c3 = ph.param(hidden[0], filters[1], 5, 5), ph.param(hidden[0], init=0)
        self.W4, self.c4 = ph.param(hidden[1], hidden[0]), ph.param(hidden[1], init=0)
        self.W5, self.c5 = ph.param(10, hidden[1]), ph.param(10, init=0)

    def __call__(self, x: Any) -> Any:
        a1, m1, a2, m2, h1, h2, P = ph.tensors("a1 m1 a2 m2 h1 h2 P")
        m, n = ph.indices("m n", m=2, n=2)  # within a window of pooling
        P1, Q1 = ph.pad(p + u, 2), ph.pad(q + v, 2)
        a1[b, k, p, q] = relu(self.K1[k, u, v] * x[b, P1, Q1] + self.c1[k])
        m1[b, k, p, q] = ph.max[m, n](a1[b, k, 2 * p + m, 2 * q + n])
        a2[b, l, p, q] = relu(self.K2[l, k, u, v] * m1[b, k, p + u, q + v] + self.c2[l])
        m2[b, l, p, q] = ph.max[m, n](a2[b, l, 2 * p + m, 2 * q + n])
        h1[b, i] = relu(self.W3[i, l, p, q] * m2[b, l, p, q] + self.c3[i])
        h2[b, j] = relu(self.W4[j, i] * h1[b, i] + self.c4[j])
        P[b, y] = softmax[y](self.W5[y, j] * h2[b, j] + self.c5[y])
        return P


def loss(model: LeNet, x: Any, label: Any) -> Any:
    """E over the minibatch of -ln P(y|x)."""
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))
