"""BERT: a Transformer encoder that sees the whole text, trained to guess words left out of it.

    x[b, t, e] = norm(W[text[b, t], e] + T[t, e] + S[type[b, t], e])
    p[b, h, t, u] = softmax[u : seen[b, u] > 0](q[b, h, t, d] k[b, h, u, d] / √D)
    x = norm(x + O (p v)),   x = norm(x + G gelu(F x))                           in each layer

Parameters have Hugging Face's names and shapes (`encoder.layer.0.attention.self.query.weight`).
Sources: J. Devlin, M.-W. Chang, K. Lee, K. Toutanova, BERT: pre-training of deep bidirectional
transformers for language understanding, 2019; sentences: N. Reimers, I. Gurevych, Sentence-BERT,
2019.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import phistar as ph
from phistar import gelu, nn, softmax, sqrt, tanh
from phistar.errors import UsageError

b, t, u, w = ph.indices("b t u w")  # text, position, position seen, word
d, e, i = ph.indices("d e i")  # feature of a head, feature, feature below

UNSEEN = -100  # a label that does not count


@dataclass(frozen=True)
class Config:
    """The sizes of a BERT; the default is BERT base, uncased. UsageError if heads do not divide."""

    vocabulary: int = 30522
    layers: int = 12
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    positions: int = 512
    types: int = 2
    dropout: float = 0.1
    eps: float = 1e-12

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UsageError(f"{self.heads} heads cannot share {self.width} features of a BERT")

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Config":
        """From Hugging Face's config.json; UsageError for another kind of model."""
        for name, wanted in EXPECTED.items():
            if config.get(name, wanted) != wanted:
                raise UsageError(f"this BERT has {name} {wanted!r}, not {config[name]!r}")
        if missing := [theirs for theirs in NAMES.values() if theirs not in config]:
            raise UsageError(f"the configuration of a BERT says its {', '.join(missing)}")
        sizes = {ours: config[theirs] for ours, theirs in NAMES.items()}
        dropout = config.get("hidden_dropout_prob", cls.dropout)
        return cls(**sizes, dropout=dropout, eps=config.get("layer_norm_eps", cls.eps))


# fmt: off
NAMES = {
    "vocabulary": "vocab_size",
    "layers":     "num_hidden_layers",
    "width":      "hidden_size",
    "heads":      "num_attention_heads",
    "hidden":     "intermediate_size",
    "positions":  "max_position_embeddings",
    "types":      "type_vocab_size",
}
EXPECTED = {
    "model_type":              "bert",
    "hidden_act":              "gelu",
    "position_embedding_type": "absolute",
}
# fmt: on


class BERT(ph.Model):
    """text[b, t] -> the last hidden states x[b, t, e].

    Called with `seen`: whole numbers [b, t], 0 where the text is padding; `kind`: whole numbers
    [b, t], which of the two texts a word belongs to. Without them all is seen, all is text 0.
    `pooled` and `embedding` make one vector of each text.
    """

    def __init__(self, config: Config | None = None) -> None:
        c = self.config = config or Config()
        self.embeddings: dict[str, Any] = {
            "word_embeddings": table(c.vocabulary, c),
            "position_embeddings": table(c.positions, c),
            "token_type_embeddings": table(c.types, c),
            "LayerNorm": norm(c),
        }
        self.encoder: dict[str, Any] = {"layer": [Layer(c) for _ in range(c.layers)]}
        self.pooler: dict[str, Any] = {"dense": dense(c.width, c.width)}
        self.dropped = nn.Dropout(c.dropout)

    def __call__(self, text: Any, seen: Any = None, kind: Any = None) -> Any:
        x = self.embedded(text, kind)
        for layer in self.encoder["layer"]:
            x = layer(x, seen)
        return x

    def embedded(self, text: Any, kind: Any = None) -> Any:
        """text[b, t] -> x[b, t, e], before the first layer."""
        if text.shape[-1] > self.config.positions:
            raise UsageError(
                f"a text of {text.shape[-1]} words: this BERT has {self.config.positions} positions"
            )
        names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
        W, T, S = (self.embeddings[name].weight for name in names)
        x: Any = ph.tensors("x")
        t = ph.index("t", text.shape[-1])
        x[b, t, e] = W[text[b, t], e] + T[t + 0, e] + S[0 if kind is None else kind[b, t], e]
        return self.dropped(self.embeddings["LayerNorm"](x))

    def pooled(self, x: Any) -> Any:
        """x[b, t, e] -> z[b, e], from the first word."""
        z: Any = ph.tensors("z")
        W, c = self.pooler["dense"].weight, self.pooler["dense"].bias
        z[b, e] = tanh(W[e, i] * x[b, 0, i] + c[e])
        return z

    def embedding(self, text: Any, seen: Any = None, kind: Any = None) -> Any:
        """text[b, t] -> z[b, e] of length 1: the mean of the words that are seen, normalised."""
        x = self(text, seen, kind)
        m, n, z = ph.tensors("m n z")
        if seen is None:
            m[b, e] = ph.mean[t](x[b, t, e])
        else:
            words = ph.sum[t](ph.where(seen[b, t] > 0, 1.0, 0.0))
            total = ph.sum[t](ph.where(seen[b, t] > 0, x[b, t, e], 0.0))
            m[b, e] = total / ph.maximum(words, 1e-9)
        n[b] = sqrt(ph.sum[e](m[b, e] ** 2))
        z[b, e] = m[b, e] / ph.maximum(n[b], 1e-12)
        return z


class Layer(ph.Model):
    """x[b, t, e] -> [b, t, e]: attention with several heads, then two layers at each position."""

    def __init__(self, c: Config) -> None:
        self.heads = c.heads
        self.attention: dict[str, Any] = {
            "self": {name: dense(c.width, c.width) for name in ("query", "key", "value")},
            "output": {"dense": dense(c.width, c.width), "LayerNorm": norm(c)},
        }
        self.intermediate: dict[str, Any] = {"dense": dense(c.hidden, c.width)}
        self.output: dict[str, Any] = {"dense": dense(c.width, c.hidden), "LayerNorm": norm(c)}
        self.dropped = nn.Dropout(c.dropout)

    def __call__(self, x: Any, seen: Any) -> Any:
        x = self.added(x, self.attended(x, seen), self.attention["output"])
        return self.added(x, activated(self.intermediate["dense"](x)), self.output)

    def attended(self, x: Any, seen: Any) -> Any:
        """Of each head, the mean of the values whose keys fit the query."""
        h, d = ph.index("h", self.heads), ph.index("d", x.shape[-1] // self.heads)
        q, k, v = (self.in_heads(part(x), h, d) for part in self.attention["self"].values())
        p, o, y = ph.tensors("p o y")
        score = q[b, h, t, d] * k[b, h, u, d] / sqrt(d.size)
        p[b, h, t, u] = softmax[u](score) if seen is None else softmax[u : seen[b, u] > 0](score)
        p = self.dropped(p)
        o[b, h, t, d] = p[b, h, t, u] * v[b, h, u, d]
        y[b, t, (h, d)] = o[b, h, t, d]
        return y

    def in_heads(self, s: Any, h: Any, d: Any) -> Any:
        """s[b, t, (h, d)] -> [b, h, t, d]."""
        y: Any = ph.tensors("y")
        y[b, h, t, d] = s[b, t, (h, d)]
        return y

    def added(self, x: Any, y: Any, part: Mapping[str, Any]) -> Any:
        """norm(x + W y + c)."""
        z: Any = ph.tensors("z")
        y = self.dropped(part["dense"](y))
        z[b, t, e] = x[b, t, e] + y[b, t, e]
        return part["LayerNorm"](z)


class MaskedLM(ph.Model):
    """The scores of the word at each position: text[b, t] -> s[b, t, w].

    The last product shares the table of words. Called as BERT.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.bert = BERT(config)
        c = self.bert.config
        self.bert.pooler = {}  # nothing is made of the first word alone
        self.cls: dict[str, Any] = {
            "predictions": {
                "transform": {"dense": dense(c.width, c.width), "LayerNorm": norm(c)},
                "bias": ph.param(c.vocabulary, init=0),
            }
        }
        head = self.cls["predictions"]  # files may have these again, under further names
        words = self.bert.embeddings["word_embeddings"].weight
        head["decoder"] = {"weight": words, "bias": head["bias"]}

    def __call__(self, text: Any, seen: Any = None, kind: Any = None) -> Any:
        head = self.cls["predictions"]
        x = activated(head["transform"]["dense"](self.bert(text, seen, kind)))
        x = head["transform"]["LayerNorm"](x)
        s: Any = ph.tensors("s")
        W, c = self.bert.embeddings["word_embeddings"].weight, head["bias"]
        s[b, t, w] = W[w, e] * x[b, t, e] + c[w]
        return s


def loss(model: MaskedLM, text: Any, label: Any, seen: Any = None) -> Any:
    """E of -ln P(the word that was left out); label is UNSEEN (-100) where none was."""
    return ph.losses.cross_entropy(model(text, seen), label, ignore_index=UNSEEN)


def pretraining_loss(model: MaskedLM, text: Any) -> Any:
    """The loss where words are left out at random, others at each step.

    The last word of the vocabulary stands for those that are left out: texts do not have it.
    """
    seen, label = left_out(model, text, model.bert.config.vocabulary - 1)
    return loss(model, seen, label)


def left_out(model: MaskedLM, text: Any, mask: int, share: float = 0.15) -> tuple[Any, Any]:
    """What the model gets to see of a text, and the words that it is to guess, else UNSEEN.

    Of the share that is guessed 80 % are `mask`, 10 % another word, 10 % what they are.
    """
    b, t = (ph.index(name, size) for name, size in zip("bt", text.shape, strict=True))
    r, other, words, label = ph.tensors("r other words label")
    word = ph.cast(text[b, t], "i64")
    r[b, t] = ph.uniform[b, t]
    other[b, t] = ph.cast(ph.floor(mask * ph.uniform[b, t]), "i64")
    drawn = ph.where(r[b, t] < 0.9 * share, other[b, t], word)
    words[b, t] = ph.where(r[b, t] < 0.8 * share, mask, drawn)
    label[b, t] = ph.where(r[b, t] < share, word, UNSEEN)
    return words, label


# Parts --------------------------------------------------------------------------------------------


def dense(units: int, below: int) -> nn.Linear:
    return nn.Linear(below, units, init=ph.init.normal(0.0, 0.02))


def table(rows: int, c: Config) -> nn.Embedding:
    return nn.Embedding(rows, c.width, init=ph.init.normal(0.0, 0.02))


def norm(c: Config) -> nn.LayerNorm:
    return nn.LayerNorm(c.width, eps=c.eps)


def activated(x: Any) -> Any:
    """gelu(x)."""
    y: Any = ph.tensors("y")
    y[..., i] = gelu(x[..., i])
    return y
