"""Sequence to sequence: PyTorch's loss and gradients, lengths, translations, learning."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sequences import assert_as_torch, f64, parameters_of

import phistar as ph
from phistar.errors import UsageError
from phistar.zoo import seq2seq
from phistar.zoo.seq2seq import EDGE, PADDING, Seq2Seq, reversals, right

BATCH = {
    "source": np.array([[2, 3, 4, 5], [6, 2, 0, 0], [3, 0, 0, 0]]),
    "length": np.array([4, 2, 1]),
    "target": np.array([[5, 4, 3, 2, 1], [2, 6, 1, 0, 0], [3, 1, 0, 0, 0]]),
}


def small() -> Seq2Seq:
    return Seq2Seq(7, 3, 4)


def torch_loss(torch: Any, p: Any, source: Any, length: Any, target: Any) -> Any:
    F = torch.nn.functional

    def gates(name: str, x: Any, h: Any, c: Any = None) -> Any:
        G, g, H = (p[f"{name}.{m}"] for m in "GgH")
        i, f = torch.einsum("zje,be->bzj", G, x) + g, torch.einsum("zjq,bq->bzj", H, h)
        if c is not None:
            i = i + torch.einsum("zjk,bk->bzj", p[f"{name}.D"], c)
        r, u = torch.sigmoid(i[:, 0] + f[:, 0]), torch.sigmoid(i[:, 1] + f[:, 1])
        return (1 - u) * torch.tanh(i[:, 2] + r * f[:, 2]) + u * h

    def units(row: int) -> Any:
        """Both directions over the words of one source, without padding."""
        x = p["encoder.E"][source[row, : length[row]]]
        there, back = [], []
        for way, steps, out in (("forwards", x, there), ("backwards", x.flip(0), back)):
            h = x.new_zeros(1, 4)
            for now in steps:
                h = gates(f"encoder.{way}", now[None], h)
                out.append(h)
        return torch.cat([torch.cat(there), torch.cat(back[::-1])], 1)

    total, words = 0, 0
    for row in range(len(source)):
        a = units(row)
        h = F.linear(a[:1, 4:], p["A"], p["a"]).tanh()
        before = EDGE
        for word in target[row][target[row] != PADDING]:
            scores = torch.tanh(F.linear(h, p["W"]) + F.linear(a, p["U"])) @ p["v"]
            c = (scores.softmax(0) @ a)[None]
            h = gates("decoder", p["E"][before][None], h, c)
            s = F.linear(h, p["V"], p["o"]) + F.linear(c, p["C"])
            total = total + F.cross_entropy(s, word[None])
            words, before = words + 1, word
    return total / words


@pytest.mark.parametrize("backend", ["numpy", "reference", "c", "xla"])
def test_against_torch(backend: str) -> None:
    assert_as_torch(f64(small()), seq2seq.loss, torch_loss, BATCH, backend)


def test_counts_of_parameters() -> None:
    gates = 3 * 64 * (32 + 64 + 1)
    attention = 64 * 65 + 64 * (64 + 128 + 1)
    want = 2 * 12 * 32 + 3 * gates + 3 * 64 * 128 + attention + 12 * (64 + 128 + 1)
    assert parameters_of(Seq2Seq()) == want


def test_padding_changes_nothing() -> None:
    model = f64(small())
    other = {**BATCH, "source": np.where(BATCH["source"] == PADDING, 5, BATCH["source"])}
    run = ph.jit(seq2seq.loss, backend="numpy")
    assert run(model, **other) == run(model, **BATCH)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_a_translation_is_the_likeliest_word_after_those_before(backend: str) -> None:
    model = f64(small())
    source, length = BATCH["source"], BATCH["length"]
    translate = ph.jit(lambda model, x, n: model.translate(x, n, 5), backend=backend)
    words = translate(model, source, length)
    P = ph.jit(lambda model, x, n, y: model(x, n, y), backend="numpy")(model, source, length, words)
    assert_array_equal(words, P.argmax(2))


def test_reversals() -> None:
    data = reversals(200, 5, symbols=3)
    assert data["target"].shape == (200, 6) and set(data["length"]) == {1, 2, 3, 4, 5}
    for source, n, target in zip(data["source"], data["length"], data["target"], strict=True):
        assert_array_equal(target[: n + 1], [*source[:n][::-1], EDGE])
        assert not np.any(target[n + 1 :]) and not np.any(source[n:])
        assert set(source[:n]) <= {2, 3, 4}


def test_it_learns_to_reverse() -> None:
    model = Seq2Seq(5, 12, 24)
    ph.fit(
        model,
        seq2seq.loss,
        reversals(640, 3, symbols=3),
        optimizer=ph.optim.Adam(1e-2),
        epochs=7,
        batch_size=32,
        progress=False,
    )
    assert right(model, reversals(100, 3, symbols=3, seed=1)) > 0.95


def test_a_translation_has_steps() -> None:
    with pytest.raises(UsageError, match="a number of steps from 1 on, not 0"):
        ph.trace(lambda m, x, n: m.translate(x, n, 0), small(), BATCH["source"], BATCH["length"])
