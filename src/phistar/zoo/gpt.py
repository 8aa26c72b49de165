"""GPT: a Transformer decoder that gives the next word of a text, at every position at once.

    x[b, t, e] = W[text[b, t], e] + T[t, e]
    p[b, h, t, u] = softmax[u : u <= t](q[b, h, t, d] k[b, h, u, d] / √D)
    x = x + O (p v of norm(x)),   x = x + G gelu(F norm(x))                      in each layer
    P[b, t, w] = softmax[w](W[w, e] norm(x)[b, t, e])

Parameters have Hugging Face's names and shapes (`h.0.attn.c_attn.weight`, of (in, out)). Sources:
A. Radford, J. Wu, R. Child, D. Luan, D. Amodei, I. Sutskever, Language models are unsupervised
multitask learners, 2019 (GPT-2); the sizes nano and mini are those of A. Karpathy's nanoGPT.
"""

from dataclasses import dataclass
from typing import Any

import phistar as ph
from phistar import gelu, nn, softmax, sqrt
from phistar.errors import UsageError, suggestion
from phistar.zoo import language_model
from phistar.zoo.language_model import LanguageModel

b, t, u, w = ph.indices("b t u w")  # text, position, earlier position, word
d, e, m = ph.indices("d e m")  # feature of a head, feature, unit
z = ph.index("z", 3)  # query, key, value

loss = language_model.loss
write = language_model.write


@dataclass(frozen=True)
class Config:
    """The sizes of a GPT; UsageError if the heads do not divide the width."""

    layers: int
    heads: int
    width: int
    vocabulary: int = 50257
    context: int = 1024
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UsageError(f"{self.heads} heads cannot share {self.width} features of a GPT")


# fmt: off
SIZES: dict[str, Config] = {
    "nano":   Config( 4,  4,  128, vocabulary=65, context=64),
    "mini":   Config( 6,  6,  384, vocabulary=65, context=256, dropout=0.2),
    "small":  Config(12, 12,  768, dropout=0.1),
    "medium": Config(24, 16, 1024, dropout=0.1),
}
# fmt: on


def sizes(name: str) -> Config:
    """The configuration of that name; UsageError with the nearest name if there is none."""
    if name not in SIZES:
        raise UsageError(f"there is no GPT of the size {name!r}: {suggestion(name, SIZES)}")
    return SIZES[name]


class GPT(LanguageModel):
    """P_Φ(next word): text[b, t] -> P[b, t, w]. config: a Config, or the name of one in SIZES."""

    def __init__(self, config: Config | str = "nano") -> None:
        c = self.config = sizes(config) if isinstance(config, str) else config
        self.context, self.vocabulary = c.context, c.vocabulary
        start = ph.init.normal(0.0, 0.02)
        self.wte = nn.Embedding(c.vocabulary, c.width, init=start)
        self.wpe = nn.Embedding(c.context, c.width, init=start)
        self.h = [Block(c) for _ in range(c.layers)]
        self.ln_f = nn.LayerNorm(c.width)
        self.dropped = nn.Dropout(c.dropout)

    def __call__(self, text: Any) -> Any:
        P: Any = ph.tensors("P")
        n, W = self.ln_f(self.read(text)), self.wte.weight
        P[b, t, w] = softmax[w](W[w, e] * n[b, t, e])
        return P

    def read(self, text: Any) -> Any:
        """text[b, t] -> x[b, t, e], what the last layer gives."""
        if text.shape[-1] > self.config.context:
            raise UsageError(
                f"a text of {text.shape[-1]} words: this GPT sees {self.config.context} at a time"
            )
        x: Any = ph.tensors("x")
        t, W, T = ph.index("t", text.shape[-1]), self.wte.weight, self.wpe.weight
        x[b, t, e] = W[text[b, t], e] + T[t + 0, e]
        x = self.dropped(x)
        for block in self.h:
            x = block(x)
        return x

    def at(self, text: Any, place: Any) -> Any:
        """lnP[b, w] of the word that follows text[b, place[b]]."""
        n, W = self.ln_f(self.read(text)), self.wte.weight
        s, lnP = ph.tensors("s lnP")
        s[b, e] = n[b, place[b], e]
        lnP[b, w] = ph.log_softmax[w](W[w, e] * s[b, e])
        return lnP


class Block(ph.Model):
    """x[b, t, e] -> [b, t, e]: attention to what came before, then a perceptron; both are added."""

    def __init__(self, c: Config) -> None:
        self.heads = c.heads
        added = 0.02 / (2 * c.layers) ** 0.5  # what is added 2 L times keeps its size
        self.ln_1, self.ln_2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.attn: dict[str, Any] = {
            "c_attn": Product(c.width, 3 * c.width),
            "c_proj": Product(c.width, c.width, added),
        }
        self.mlp: dict[str, Any] = {
            "c_fc": Product(c.width, 4 * c.width),
            "c_proj": Product(4 * c.width, c.width, added),
        }
        self.dropped = nn.Dropout(c.dropout)

    def __call__(self, x: Any) -> Any:
        x = self.added(x, self.attn["c_proj"](self.attended(self.ln_1(x))))
        k: Any = ph.tensors("k")
        s = self.mlp["c_fc"](self.ln_2(x))
        k[b, t, m] = gelu(s[b, t, m], approximate=True)
        return self.added(x, self.mlp["c_proj"](k))

    def attended(self, n: Any) -> Any:
        """Of each head, the mean of the earlier values whose keys fit the query."""
        h = ph.index("h", self.heads)
        q, p, o = ph.tensors("q p o")
        s = self.attn["c_attn"](n)
        q[b, t, z, h, d] = s[b, t, (z, h, d)]
        p[b, h, t, u] = softmax[u : u <= t](q[b, t, 0, h, d] * q[b, u, 1, h, d] / sqrt(d.size))
        p = self.dropped(p)
        o[b, t, (h, d)] = p[b, h, t, u] * q[b, u, 2, h, d]
        return o

    def added(self, x: Any, y: Any) -> Any:
        """x + y."""
        r: Any = ph.tensors("r")
        y = self.dropped(y)
        r[b, t, e] = x[b, t, e] + y[b, t, e]
        return r


class Product(ph.Model):
    """y[b, t, m] = W[e, m] x[b, t, e] + c[m]: GPT-2's weights have the units of the input first."""

    def __init__(self, below: int, units: int, deviation: float = 0.02) -> None:
        self.weight = ph.param(below, units, init=ph.init.normal(0.0, deviation))
        self.bias = ph.param(units, init=0)

    def __call__(self, x: Any) -> Any:
        y: Any = ph.tensors("y")
        y[b, t, m] = self.weight[e, m] * x[b, t, e] + self.bias[m]
        return y
