"""char LSTM, UGRNN, GPT: PyTorch's loss and gradients, counts of parameters, learning, writing."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sequences import assert_as_torch, f64, parameters_of

import phistar as ph
from phistar.cli.recipes import texts
from phistar.data import Dataset
from phistar.errors import DataError, UsageError
from phistar.zoo import char_lstm, gpt, language_model, ugrnn_lm
from phistar.zoo.char_lstm import CharLSTM
from phistar.zoo.gpt import GPT, Config
from phistar.zoo.language_model import write
from phistar.zoo.ugrnn_lm import UGRNN

ROOT = Path(__file__).parent.parent.parent
TEXT = np.random.default_rng(2).integers(0, 7, (3, 6))
SMALL = Config(2, 2, 6, vocabulary=7, context=8)
# fmt: off
ROWS: dict[str, Any] = {
    "char_lstm":             (lambda: CharLSTM(7, 4, 5), {}),
    "char_lstm: two layers": (lambda: CharLSTM(7, 4, 5, layers=2), {}),
    "ugrnn_lm":              (lambda: UGRNN(7, 4, 5), {}),
    "ugrnn_lm: two layers":  (lambda: UGRNN(7, 4, 5, layers=2), {}),
    "gpt":                   (lambda: GPT(SMALL), {"heads": 2}),
}
# fmt: on
FIRST = ("char_lstm", "ugrnn_lm", "gpt")
BACKENDS = [(r, "numpy") for r in ROWS] + [(r, b) for r in FIRST for b in ("reference", "c")]
BACKENDS += [("gpt", "xla")]


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_against_torch(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the peers stand beside the benchmarks")
    pytest.importorskip("torch", reason="PyTorch is the peer")
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.quality import torch_models

    make, more = ROWS[name]
    peer = partial(getattr(torch_models, name.partition(":")[0]), **more)
    assert_as_torch(f64(make()), language_model.loss, peer, {"text": TEXT}, backend)


# fmt: off
COUNTS = {
    "char LSTM":   (CharLSTM, 349_569),
    "two layers":  (partial(CharLSTM, layers=2), 874_881),
    "UGRNN":       (UGRNN, 185_217),
    "nano":        (partial(GPT, "nano"), 809_856),
    "mini":        (partial(GPT, "mini"), 10_770_816),
    "small":       (partial(GPT, "small"), 124_439_808),
    "medium":      (partial(GPT, "medium"), 354_823_168),
}
# fmt: on


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_parameters(name: str) -> None:
    make, count = COUNTS[name]
    assert parameters_of(make()) == count


def test_names_are_those_of_gpt_2() -> None:
    shapes = {name: p.shape for name, p in GPT(SMALL).parameters.items()}
    assert shapes["h.1.attn.c_attn.weight"] == (6, 18)
    assert shapes["h.0.mlp.c_proj.weight"] == (24, 6)
    assert {"wte.weight", "wpe.weight", "h.0.ln_1.bias", "ln_f.weight"} <= set(shapes)


LEARNERS = {
    "char LSTM": partial(CharLSTM, 8, 8, 24),
    "UGRNN": partial(UGRNN, 8, 8, 24),
    "GPT": partial(GPT, Config(1, 2, 16, vocabulary=8, context=9)),
}


def cycles(examples: int) -> Dataset:
    """Texts that count up, mod 8, from anywhere."""
    start = np.random.default_rng(0).integers(0, 8, (examples, 1))
    return Dataset(text=(start + np.arange(10)) % 8)


@pytest.mark.parametrize("name", LEARNERS)
def test_learning_and_writing(name: str) -> None:
    model = LEARNERS[name]()
    model.context = 9
    history = ph.fit(
        model,
        language_model.loss,
        cycles(64),
        optimizer=ph.optim.Adam(2e-2),
        epochs=10,
        batch_size=16,
        progress=False,
    )
    assert history.epoch_losses[-1] < 0.2 * history.epoch_losses[0]
    likeliest = write(model, [2, 3], 6, temperature=0)
    assert likeliest == [2, 3, 4, 5, 6, 7, 0, 1]
    assert write(model, [2], 3, top_k=1) == [2, 3, 4, 5]
    assert write(model, [2], 20, seed=3) == write(model, [2], 20, seed=3)


def test_words_are_drawn_with_their_probabilities() -> None:
    P, rng = np.array([0.5, 0.3, 0.15, 0.05]), np.random.default_rng(0)

    def shares(temperature: float, top_k: int | None) -> Any:
        drawn = Counter(
            language_model.drawn(np.log(P), temperature, top_k, rng) for _ in range(4000)
        )
        return np.array([drawn[w] for w in range(4)]) / 4000

    assert_allclose(shares(1, None), P, atol=0.03)
    assert_allclose(shares(0.5, None), P**2 / np.sum(P**2), atol=0.03)
    assert_allclose(shares(1, 2), [0.625, 0.375, 0, 0], atol=0.03)


def test_dropout_is_of_training_alone() -> None:
    for model in (CharLSTM(7, 4, 5, dropout=0.5), GPT(Config(1, 2, 6, 7, 8, dropout=0.5))):
        model.initialize(0)
        run = ph.jit(language_model.loss, backend="numpy")
        model.training = False
        calm = run(model, TEXT)
        assert run(model, TEXT) == calm
        model.training = True
        assert run(model, TEXT) != calm


def test_losses_and_writing_are_one() -> None:
    assert char_lstm.loss is ugrnn_lm.loss is gpt.loss is language_model.loss


def test_texts_become_windows() -> None:
    train, test, symbols = texts.parts("to be or not to be, that is it", 4, share=0.7)
    assert (symbols, len(train), len(test)) == (" ,abehinorst", 5, 2)
    assert texts.decode(train["text"][1], symbols) == "e or "
    numbers, _ = texts.encode("abba", "ab")
    assert texts.windows(numbers, 2, stride=1)["text"].tolist() == [[0, 1, 1], [1, 1, 0]]


REFUSED: dict[str, Any] = {
    "heads": (lambda: Config(1, 4, 10), UsageError, "4 heads cannot share 10 features of a GPT"),
    "size": (lambda: GPT("smal"), UsageError, "no GPT of the size 'smal'.*small"),
    "context": (
        lambda: ph.trace(language_model.loss, GPT(SMALL), np.zeros((1, 10), np.int64)),
        UsageError,
        "a text of 9 words: this GPT sees 8 at a time",
    ),
    "empty": (lambda: write(GPT(SMALL), [], 1), UsageError, "has at least one word"),
    "cold": (
        lambda: write(GPT(SMALL), [1], 1, temperature=-1),
        UsageError,
        "temperature is a number from 0 on, not -1",
    ),
    "top_k": (
        lambda: write(GPT(SMALL), [1], 1, top_k=8),
        UsageError,
        "top_k is a number of words from 1 to 7, not 8",
    ),
    "symbol": (lambda: texts.encode("abc", "ab"), DataError, "the text has 'c', .* 2 symbols"),
    "short": (lambda: texts.windows(np.arange(4), 4), DataError, "a text of 4 has no window of 5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        make()


def test_the_recipes_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="was not found anywhere"):
        texts.shakespeare()
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text("To be,\nor not")
    assert texts.shakespeare() == "To be,\nor not"
    assert texts.decode(texts.encode("be,\n", texts.SYMBOLS)[0], texts.SYMBOLS) == "be,\n"
