"""A language model of characters: an LSTM, one or more layers of it, and a softmax.

    g[b, t, z, j] = W[z, j, e] x[b, t, e] + U[z, j, k] h[b, t - 1, k] + a[z, j]      z: i, f, c, o
    c[b, t, j] = σ(g_f) c[b, t - 1, j] + σ(g_i) tanh(g_c)
    h[b, t, j] = σ(g_o) tanh(c[b, t, j])
    P[b, t, w] = softmax[w](V[w, j] h[b, t, j] + v[w])

Sources: S. Hochreiter, J. Schmidhuber, Long short-term memory, 1997; F. Gers, J. Schmidhuber,
F. Cummins, Learning to forget, 2000; of characters: A. Graves, Generating sequences with recurrent
neural networks, 2013.
"""

from typing import Any

import phistar as ph
from phistar import sigmoid, softmax, tanh
from phistar.zoo import language_model
from phistar.zoo.language_model import LanguageModel

b, t, w = ph.indices("b t w")  # text, position, character
e, j, k = ph.indices("e j k")  # unit below, unit, unit of the step before
z = ph.index("z", 4)  # gate: input, forget, cell, output

loss = language_model.loss


class Layer(ph.Model):
    """x[b, t, e] -> h[b, t, j]."""

    def __init__(self, below: int, units: int) -> None:
        start = ph.init.uniform(-(units**-0.5), units**-0.5)
        self.W = ph.param(4, units, below, init=start)
        self.U = ph.param(4, units, units, init=start)
        self.a = ph.param(4, units, init=start)

    def __call__(self, x: Any) -> Any:
        g, c, h = ph.tensors("g c h")
        c[b, ph.first - 1, j] = 0
        h[b, ph.first - 1, j] = 0
        with ph.scan(t):
            g[b, t, z, j] = (
                self.W[z, j, e] * x[b, t, e] + self.U[z, j, k] * h[b, t - 1, k] + self.a[z, j]
            )
            i, f, o = (sigmoid(g[b, t, gate, j]) for gate in (0, 1, 3))
            c[b, t, j] = f * c[b, t - 1, j] + i * tanh(g[b, t, 2, j])
            h[b, t, j] = o * tanh(c[b, t, j])
        return h


class CharLSTM(LanguageModel):
    """text[b, t] -> P[b, t, w]. dropout: of what enters and leaves each layer, in training."""

    def __init__(
        self,
        vocabulary: int = 65,
        embedding: int = 64,
        hidden: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        context: int = 128,
    ) -> None:
        self.vocabulary, self.context = vocabulary, context
        start = ph.init.uniform(-(hidden**-0.5), hidden**-0.5)
        self.E = ph.param(vocabulary, embedding, init=ph.init.normal(0.0, 1.0))
        self.layers = [Layer(hidden if n else embedding, hidden) for n in range(layers)]
        self.V, self.v = ph.param(vocabulary, hidden, init=start), ph.param(vocabulary, init=start)
        self.dropped = ph.nn.Dropout(dropout)

    def __call__(self, text: Any) -> Any:
        x, P = ph.tensors("x P")
        x[b, t, e] = self.E[text[b, t], e]
        for layer in self.layers:
            x = layer(self.dropped(x))
        h = self.dropped(x)
        P[b, t, w] = softmax[w](self.V[w, j] * h[b, t, j] + self.v[w])
        return P
