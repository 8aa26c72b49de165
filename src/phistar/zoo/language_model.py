"""Models of text: P_Φ(next word), at every position at once; what all of them share.

    loss = E -ln P(text[t + 1] | text[0], ..., text[t])
    writing: text[n + 1] ~ P(w)^(1 / τ) / Σ_w P(w)^(1 / τ), of the k likeliest words w

A word is a number: of a character, of a part of a word, of a word.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

import phistar as ph
from phistar import log
from phistar.errors import UsageError

b, t, w = ph.indices("b t w")  # text, position, word


class LanguageModel(ph.Model):
    """text[b, t] -> P[b, t, w], of the words that may follow.

    context: how far back it looks when it writes; vocabulary: how many words there are.
    """

    context: int
    vocabulary: int

    def at(self, text: Any, place: Any) -> Any:
        """lnP[b, w] of the words that may follow text[b, place[b]]."""
        lnP: Any = ph.tensors("lnP")
        P = self(text)
        lnP[b, w] = log(P[b, place[b], w])
        return lnP


def loss(model: LanguageModel, text: Any) -> Any:
    """E of -ln P(the next word), of every word of text[b, t] but the first."""
    past: Any = ph.tensors("past")
    t = ph.index("t", text.shape[1] - 1)
    past[b, t] = text[b, t + 0]
    P = model(past)
    return ph.mean[b, t](-log(P[b, t, text[b, t + 1]]))


def write(
    model: LanguageModel,
    text: Sequence[int],
    words: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    backend: str | None = None,
) -> list[int]:
    """The text with so many more words, each drawn from P(next word).

    temperature: τ; 0 takes the likeliest word. top_k: only the k likeliest are drawn, and those
    that are as likely as the last of them. The model looks back no further than its context.
    Raises UsageError for an empty text, or a temperature or top_k that is none.
    """
    check(model, text, temperature, top_k)
    rng, written = np.random.default_rng(seed), [int(word) for word in text]
    after = ph.jit(lambda model, text, place: model.at(text, place), backend=backend)
    training, model.training = model.training, False
    try:
        for _ in range(words):
            recent = written[-model.context :]
            seen = np.zeros((1, model.context), np.int64)  # of one length: one program
            seen[0, : len(recent)] = recent
            lnP = after(model, seen, np.array([len(recent) - 1]))[0]
            written.append(drawn(lnP, temperature, top_k, rng))
    finally:
        model.training = training
    return written


def check(model: LanguageModel, text: Sequence[int], temperature: float, top_k: int | None) -> None:
    """UsageError for what `write` cannot do."""
    if not len(text):
        raise UsageError("a text to go on with has at least one word")
    if not temperature >= 0:
        raise UsageError(f"temperature is a number from 0 on, not {temperature!r}")
    if top_k is not None and not 1 <= top_k <= model.vocabulary:
        raise UsageError(f"top_k is a number of words from 1 to {model.vocabulary}, not {top_k!r}")


def drawn(lnP: Any, temperature: float, top_k: int | None, rng: np.random.Generator) -> int:
    """A word, with probability P^(1 / τ), normalised, of the k likeliest."""
    if temperature == 0:
        return int(np.argmax(lnP))
    s = np.asarray(lnP, np.float64) / temperature
    if top_k is not None:
        s[s < np.partition(s, -top_k)[-top_k]] = -np.inf
    P = np.exp(s - s.max())
    return int(rng.choice(len(P), p=P / P.sum()))
