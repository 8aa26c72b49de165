"""A language model with an update gate recurrent network: one gate, where an LSTM has three.

    c[b, t, j] = tanh(W[j, e] x[b, t, e] + U[j, k] h[b, t - 1, k] + a[j])
    g[b, t, j] = σ(W'[j, e] x[b, t, e] + U'[j, k] h[b, t - 1, k] + a'[j])
    h[b, t, j] = g[b, t, j] h[b, t - 1, j] + (1 - g[b, t, j]) c[b, t, j]

Source: J. Collins, J. Sohl-Dickstein, D. Sussillo, Capacity and trainability in recurrent neural
networks, 2016 (equations 19 to 21; the gate's bias starts at 1, as there).
"""

from typing import Any

import phistar as ph
from phistar import sigmoid, softmax, tanh
from phistar.zoo import language_model
from phistar.zoo.language_model import LanguageModel

b, t, w = ph.indices("b t w")  # text, position, word
e, j, k = ph.indices("e j k")  # unit below, unit, unit of the step before

loss = language_model.loss


class Layer(ph.Model):
    """x[b, t, e] -> h[b, t, j]."""

    def __init__(self, below: int, units: int) -> None:
        start = ph.init.uniform(-(units**-0.5), units**-0.5)
        self.W, self.U = ph.param(units, below, init=start), ph.param(units, units, init=start)
        self.Wg, self.Ug = ph.param(units, below, init=start), ph.param(units, units, init=start)
        self.a, self.ag = ph.param(units, init=0), ph.param(units, init=1)

    def __call__(self, x: Any) -> Any:
        c, g, h = ph.tensors("c g h")
        h[b, ph.first - 1, j] = 0
        with ph.scan(t):
            c[b, t, j] = tanh(self.W[j, e] * x[b, t, e] + self.U[j, k] * h[b, t - 1, k] + self.a[j])
            g[b, t, j] = sigmoid(
                self.Wg[j, e] * x[b, t, e] + self.Ug[j, k] * h[b, t - 1, k] + self.ag[j]
            )
            h[b, t, j] = g[b, t, j] * h[b, t - 1, j] + (1 - g[b, t, j]) * c[b, t, j]
        return h


class UGRNN(LanguageModel):
    """text[b, t] -> P[b, t, w]."""

    def __init__(
        self,
        vocabulary: int = 65,
        embedding: int = 64,
        hidden: int = 256,
        layers: int = 1,
        context: int = 128,
    ) -> None:
        self.vocabulary, self.context = vocabulary, context
        start = ph.init.uniform(-(hidden**-0.5), hidden**-0.5)
        self.E = ph.param(vocabulary, embedding, init=ph.init.normal(0.0, 1.0))
        self.layers = [Layer(hidden if n else embedding, hidden) for n in range(layers)]
        self.V, self.v = ph.param(vocabulary, hidden, init=start), ph.param(vocabulary, init=0)

    def __call__(self, text: Any) -> Any:
        x, P = ph.tensors("x P")
        x[b, t, e] = self.E[text[b, t], e]
        for layer in self.layers:
            x = layer(x)
        P[b, t, w] = softmax[w](self.V[w, j] * x[b, t, j] + self.v[w])
        return P
