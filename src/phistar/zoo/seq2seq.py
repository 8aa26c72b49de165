"""Sequence to sequence with attention: a decoder that looks at every step of what it translates.

    a[b, s, k]    the units of a GRU that reads the source, and of one that reads it backwards
    r[b, t, s] = v[m] tanh(W[m, j] h[b, t - 1, j] + U[m, k] a[b, s, k])
    α[b, t, s] = softmax[s : s < n[b]](r[b, t, s])
    c[b, t, k] = Σ_s α[b, t, s] a[b, s, k]
    h[b, t, j] = GRU(y[b, t - 1], c[b, t, k], h[b, t - 1, j])
    P[b, t, w] = softmax[w](V[w, j] h[b, t, j] + C[w, k] c[b, t, k] + o[w])

Source: D. Bahdanau, K. Cho, Y. Bengio, Neural machine translation by jointly learning to align and
translate, 2015 (its appendix; the scores come from the new state and the context, with no maxout).
Word 0 is padding; word 1 begins a target, as what stands before it, and ends it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import phistar as ph
from phistar import sigmoid, softmax, tanh
from phistar.data import Dataset
from phistar.errors import UsageError

b, s, t, w = ph.indices("b s t w")  # sequence, source's step, target's step, word
e, j, k, m, q = ph.indices("e j k m q")  # embedding, unit, unit of a, unit of scores, unit before
z = ph.index("z", 3)  # gate: reset, update, new

PADDING, EDGE = 0, 1  # words


class Gates(ph.Model):
    """A step of a GRU: i = G x + D c + g, f = H h', then h = (1 - u) tanh(i + r f) + u h'."""

    def __init__(self, below: int, units: int, context: int = 0) -> None:
        start = ph.init.uniform(-(units**-0.5), units**-0.5)
        self.G, self.g = ph.param(3, units, below, init=start), ph.param(3, units, init=start)
        self.H = ph.param(3, units, units, init=start)
        self.D = ph.param(3, units, context, init=start) if context else None

    def __call__(self, t: Any, past: Callable[[Any], Any], x: Any, c: Any = None) -> Any:
        """h[b, t, j], from past(j), the unit j of the step before, and x[b, t, e], c[b, t, k]."""
        i, f = ph.tensors("i f")
        seen = self.G[z, j, e] * x[b, t, e] + self.g[z, j]
        i[b, t, z, j] = seen if self.D is None else seen + self.D[z, j, k] * c[b, t, k]
        f[b, t, z, j] = self.H[z, j, q] * past(q)
        reset, update = (sigmoid(i[b, t, gate, j] + f[b, t, gate, j]) for gate in (0, 1))
        return (1 - update) * tanh(i[b, t, 2, j] + reset * f[b, t, 2, j]) + update * past(j)


class Encoder(ph.Model):
    """source[b, s], length[b] -> a[b, s, k], the units of both directions at each word.

    The way back starts at the last word; steps behind it keep the state, and influence nothing.
    """

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        self.E = ph.param(vocabulary, embedding, init=ph.init.normal(0.0, 1.0))
        self.forwards, self.backwards = Gates(embedding, hidden), Gates(embedding, hidden)
        self.hidden = hidden

    def __call__(self, source: Any, length: Any) -> Any:
        x, there, back, a = ph.tensors("x there back a")
        x[b, s, e] = self.E[source[b, s], e]
        there[b, ph.first - 1, j] = 0
        with ph.scan(s):
            new = self.forwards(s, lambda unit: there[b, s - 1, unit], x)
            there[b, s, j] = ph.where(s < length[b], new, there[b, s - 1, j])
        back[b, ph.last + 1, j] = 0
        with ph.scan(s, backwards=True):
            new = self.backwards(s, lambda unit: back[b, s + 1, unit], x)
            back[b, s, j] = ph.where(s < length[b], new, back[b, s + 1, j])
        a[b, s, j] = there[b, s, j]
        a[b, s, self.hidden + j] = back[b, s, j]
        return a


class Seq2Seq(ph.Model):
    """source[b, s], length[b], target[b, t] -> P[b, t, w], of each word given those before it.

    Without a target, `translate` writes one. length: the words of each source; what stands behind
    them influences nothing. vocabulary: of source and target alike, with PADDING and EDGE.
    """

    def __init__(self, vocabulary: int = 12, embedding: int = 32, hidden: int = 64) -> None:
        self.hidden = hidden
        start = ph.init.uniform(-(hidden**-0.5), hidden**-0.5)
        self.encoder = Encoder(vocabulary, embedding, hidden)
        self.A, self.a = ph.param(hidden, hidden, init=start), ph.param(hidden, init=0)
        self.W, self.U = ph.param(hidden, hidden), ph.param(hidden, 2 * hidden)
        self.v = ph.param(hidden, init=start)
        self.E = ph.param(vocabulary, embedding, init=ph.init.normal(0.0, 1.0))
        self.decoder = Gates(embedding, hidden, context=2 * hidden)
        self.V, self.C = ph.param(vocabulary, hidden), ph.param(vocabulary, 2 * hidden)
        self.o = ph.param(vocabulary, init=0)

    def __call__(self, source: Any, length: Any, target: Any) -> Any:
        steps = ph.index("t", target.shape[1])
        y, c, h, P = ph.tensors("y c h P")
        y[b, steps] = target[b, ph.pad(steps, 1, 0, value=EDGE)]  # the word before
        a, u = self.read(source, length, h)
        with ph.scan(t):
            self.step(t, y[b, t], (a, u, length), c, h)
        P[b, t, w] = softmax[w](self.score(t, c, h))
        return P

    def read(self, source: Any, length: Any, h: Any) -> tuple[Any, Any]:
        """a[b, s, k], and U a, which all steps share; the decoder's first state, from the way back.

        h = tanh(A (the way back at the first word) + a).
        """
        u: Any = ph.tensors("u")
        a, hidden = self.encoder(source, length), self.hidden
        h[b, ph.first - 1, j] = tanh(self.A[j, q] * a[b, 0, hidden + q] + self.a[j])
        u[b, s, m] = self.U[m, k] * a[b, s, k]
        return a, u

    def step(self, t: Any, word: Any, seen: tuple[Any, ...], c: Any, h: Any) -> None:
        """Attention, the context c[b, t, k] and the state h[b, t, j], after a word."""
        a, u, length = seen
        x, p, r, alpha = ph.tensors("x p r alpha")
        p[b, t, m] = self.W[m, j] * h[b, t - 1, j]
        r[b, t, s] = self.v[m] * tanh(p[b, t, m] + u[b, s, m])
        alpha[b, t, s] = softmax[s : s < length[b]](r[b, t, s])
        c[b, t, k] = alpha[b, t, s] * a[b, s, k]
        x[b, t, e] = self.E[word, e]
        h[b, t, j] = self.decoder(t, lambda unit: h[b, t - 1, unit], x, c)

    def score(self, t: Any, c: Any, h: Any) -> Any:
        """V h + C c + o."""
        return self.V[w, j] * h[b, t, j] + self.C[w, k] * c[b, t, k] + self.o[w]

    def translate(self, source: Any, length: Any, steps: int) -> Any:
        """word[b, t], the likeliest at each of so many steps, given those before it."""
        if steps < 1:
            raise UsageError(f"a translation has a number of steps from 1 on, not {steps!r}")
        t = ph.index("t", steps)
        word, c, h, y = ph.tensors("word c h y")
        a, u = self.read(source, length, h)
        word[b, ph.first - 1] = EDGE
        with ph.scan(t):
            self.step(t, word[b, t - 1], (a, u, length), c, h)
            word[b, t] = ph.argmax[w](self.score(t, c, h))
        y[b, t] = word[b, t]
        return y


def loss(model: Seq2Seq, source: Any, length: Any, target: Any) -> Any:
    """E of -ln P(word), of all words of the targets that are no padding."""
    P = model(source, length, target)
    words = ph.sum[b, t](ph.where(target[b, t] > PADDING, 1.0, 0.0))
    lnP = ph.where(target[b, t] > PADDING, ph.log(P[b, t, target[b, t]]), 0)
    return -ph.sum[b, t](lnP) / words


# A task to learn ----------------------------------------------------------------------------------


def reversals(examples: int, longest: int = 8, symbols: int = 10, seed: int = 0) -> Dataset:
    """Sequences of 1 to `longest` symbols (words 2, 3, ...), and the same read backwards."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, longest + 1, examples)
    source = rng.integers(2, 2 + symbols, (examples, longest))
    target = np.full((examples, longest + 1), PADDING)
    for row, n in enumerate(length):
        source[row, n:] = PADDING
        target[row, :n] = source[row, :n][::-1]
        target[row, n] = EDGE
    return Dataset(source=source, length=length, target=target)


def right(model: Seq2Seq, data: Dataset, backend: str | None = None) -> float:
    """The share of the targets' words that `translate` writes."""
    run = ph.jit(lambda model, x, n, steps: model.translate(x, n, steps), backend=backend)
    wanted = data["target"]
    written = run(model, data["source"], data["length"], wanted.shape[1])
    counted = wanted != PADDING
    return float(np.mean(written[counted] == wanted[counted]))
