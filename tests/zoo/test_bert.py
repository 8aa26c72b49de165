"""BERT: the loss and gradients of the same model in PyTorch, Hugging Face's names, sentences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sequences import assert_as_torch, f64, parameters_of

import phistar as ph
from phistar.data import Dataset
from phistar.errors import UsageError
from phistar.zoo import bert
from phistar.zoo.bert import BERT, UNSEEN, Config, MaskedLM

SMALL = Config(11, layers=2, width=6, heads=2, hidden=10, positions=7, dropout=0.0)
rng = np.random.default_rng(1)
TEXT = rng.integers(0, 11, (3, 5))
SEEN = (np.arange(5) < np.array([[5], [3], [1]])).astype(np.int64)
KIND = rng.integers(0, 2, (3, 5))
LABEL = np.where(rng.random((3, 5)) < 0.5, rng.integers(0, 11, (3, 5)), UNSEEN)

# The peer -----------------------------------------------------------------------------------------


def torch_states(torch: Any, p: Any, text: Any, seen: Any = None, kind: Any = None) -> Any:
    """The last hidden states."""
    F = torch.nn.functional

    def dense(x: Any, name: str) -> Any:
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(x: Any, name: str) -> Any:
        return F.layer_norm(x, (6,), p[f"{name}.weight"], p[f"{name}.bias"], 1e-12)

    def heads(x: Any, name: str) -> Any:
        return dense(x, name).unflatten(-1, (2, 3)).transpose(1, 2)

    kind = torch.zeros_like(text) if kind is None else kind
    x = p["embeddings.word_embeddings.weight"][text]
    x = x + p["embeddings.position_embeddings.weight"][: text.shape[1]]
    x = norm(x + p["embeddings.token_type_embeddings.weight"][kind], "embeddings.LayerNorm")
    mask = None if seen is None else (seen > 0)[:, None, None, :]
    for n in range(2):
        at = f"encoder.layer.{n}"
        q, k, v = (heads(x, f"{at}.attention.self.{m}") for m in ("query", "key", "value"))
        y = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)
        y = dense(y, f"{at}.attention.output.dense")
        x = norm(x + y, f"{at}.attention.output.LayerNorm")
        y = dense(F.gelu(dense(x, f"{at}.intermediate.dense")), f"{at}.output.dense")
        x = norm(x + y, f"{at}.output.LayerNorm")
    return x


def torch_loss(torch: Any, p: Any, text: Any, label: Any, seen: Any = None) -> Any:
    F, head = torch.nn.functional, "cls.predictions"
    inner = {name.removeprefix("bert."): x for name, x in p.items()}
    x = torch_states(torch, inner, text, seen)
    at = f"{head}.transform"
    x = F.gelu(F.linear(x, p[f"{at}.dense.weight"], p[f"{at}.dense.bias"]))
    x = F.layer_norm(x, (6,), p[f"{at}.LayerNorm.weight"], p[f"{at}.LayerNorm.bias"], 1e-12)
    s = F.linear(x, p["bert.embeddings.word_embeddings.weight"], p[f"{head}.bias"])
    return F.cross_entropy(s.flatten(0, 1), label.flatten(), ignore_index=UNSEEN)


def torch_pooled(torch: Any, p: Any, text: Any, seen: Any, kind: Any) -> Any:
    x = torch_states(torch, p, text, seen, kind)
    z = torch.nn.functional.linear(x[:, 0], p["pooler.dense.weight"], p["pooler.dense.bias"])
    return (z.tanh() ** 3).sum()


def torch_embedding(torch: Any, p: Any, text: Any, seen: Any = None) -> Any:
    x = torch_states(torch, p, text, seen)
    if seen is None:
        mean = x.mean(1)
    else:
        on = seen[..., None].to(x.dtype)
        mean = (x * on).sum(1) / on.sum(1).clamp(min=1e-9)
    return (torch.nn.functional.normalize(mean, dim=-1) ** 3).sum()


def pooled(model: BERT, text: Any, seen: Any, kind: Any) -> Any:
    z, (b, e) = model.pooled(model(text, seen, kind)), ph.indices("b e")
    return ph.sum[b, e](z[b, e] ** 3)


def embedding(model: BERT, text: Any, seen: Any = None) -> Any:
    z, (b, e) = model.embedding(text, seen), ph.indices("b e")
    return ph.sum[b, e](z[b, e] ** 3)


WORDS = {"text": TEXT, "label": LABEL}
# fmt: off
ROWS: dict[str, Any] = {
    "masked LM":           (MaskedLM, bert.loss, torch_loss, {**WORDS, "seen": SEEN}),
    "masked LM, all seen": (MaskedLM, bert.loss, torch_loss, WORDS),
    "pooled, two texts":   (BERT, pooled, torch_pooled, {"text": TEXT, "seen": SEEN, "kind": KIND}),
    "sentences":           (BERT, embedding, torch_embedding, {"text": TEXT, "seen": SEEN}),
    "sentences, all seen": (BERT, embedding, torch_embedding, {"text": TEXT}),
}
# fmt: on
BACKENDS = [(name, "numpy") for name in ROWS] + [
    ("masked LM", b) for b in ("reference", "c", "xla")
]


@pytest.mark.parametrize(("name", "backend"), BACKENDS)
def test_against_torch(name: str, backend: str) -> None:
    model, loss, peer, batch = ROWS[name]
    assert_as_torch(f64(model(SMALL)), loss, peer, batch, backend)


def test_counts_of_parameters() -> None:
    assert parameters_of(BERT()) == 109_482_240
    minilm = Config(layers=6, width=384, heads=12, hidden=1536)
    assert parameters_of(BERT(minilm)) == 22_713_216


def test_names_are_hugging_faces() -> None:
    names = set(BERT(SMALL).parameters)
    assert {
        "embeddings.word_embeddings.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.1.attention.output.LayerNorm.weight",
        "encoder.layer.1.intermediate.dense.bias",
        "encoder.layer.1.output.dense.weight",
        "pooler.dense.weight",
    } <= names
    assert len(names) == 5 + 2 * 16 + 2
    assert "cls.predictions.transform.dense.weight" in MaskedLM(SMALL).parameters


def test_shared_parameters_have_their_further_names(tmp_path: Path) -> None:
    model, copy = f64(MaskedLM(SMALL)), MaskedLM(SMALL)
    ph.save(model, tmp_path / "once.safetensors")
    ph.load(copy, tmp_path / "once.safetensors")
    values = {name: np.array(p.value) for name, p in model.parameters.items()}
    assert "cls.predictions.decoder.weight" not in values
    words, bias = values["bert.embeddings.word_embeddings.weight"], "cls.predictions.bias"
    values["cls.predictions.decoder.weight"] = words
    values["cls.predictions.decoder.bias"] = values[bias]
    np.savez(tmp_path / "twice.npz", **values)
    twice = MaskedLM(SMALL)
    ph.load(twice, tmp_path / "twice.npz")
    for made in (copy, twice):
        assert_array_equal(made.parameters[bias].value, values[bias].astype(np.float32))


def test_padding_changes_nothing() -> None:
    model = f64(BERT(SMALL))
    model.training = False
    run = ph.jit(lambda model, text, seen: model.embedding(text, seen), backend="numpy")
    other = np.where(SEEN > 0, TEXT, (TEXT + 1) % 11)
    assert_array_equal(run(model, TEXT, SEEN), run(model, other, SEEN))
    assert_allclose(np.sum(run(model, TEXT, SEEN) ** 2, axis=1), 1, rtol=1e-12)


def test_dropout_is_of_training_alone() -> None:
    model = f64(BERT(Config(11, 1, 6, 2, 10, 7, dropout=0.5)))
    run = ph.jit(lambda model, text: model(text), backend="numpy")
    model.training = False
    calm = run(model, TEXT)
    model.training = True
    assert np.max(np.abs(calm - run(model, TEXT))) > 0.1


def test_words_left_out_are_drawn() -> None:
    model = f64(MaskedLM(Config(9, 1, 4, 2, 4, 200)))
    text = np.random.default_rng(0).integers(0, 8, (50, 200))
    drawn = ph.jit(lambda model, text: bert.left_out(model, text, 8), backend="numpy")
    seen, label = drawn(model, text)
    counted = label != UNSEEN
    assert_array_equal(label[counted], text[counted])
    assert_array_equal(seen[~counted], text[~counted])
    shares = counted.mean(), (seen[counted] == 8).mean(), (seen[counted] == text[counted]).mean()
    assert_allclose(shares, (0.15, 0.8, 0.1 + 0.1 / 8), atol=0.03)
    assert seen[counted].min() >= 0 and seen[counted].max() == 8


def test_it_learns() -> None:
    """All words of a text are the same."""
    rng = np.random.default_rng(0)
    text = np.repeat(rng.integers(0, 8, (128, 1)), 12, axis=1)
    model = MaskedLM(Config(9, 1, 16, 2, 32, 12, dropout=0.0))
    history = ph.fit(
        model,
        bert.pretraining_loss,
        Dataset(text=text),
        optimizer=ph.optim.Adam(1e-2),
        epochs=12,
        batch_size=16,
        progress=False,
    )
    assert history.epoch_losses[-1] < 0.7 * history.epoch_losses[0]


CONFIG = {theirs: 8 for theirs in bert.NAMES.values()}
REFUSED: dict[str, Any] = {
    "heads": (lambda: Config(width=10, heads=4), "4 heads cannot share 10 features"),
    "kind": (lambda: Config.of({"model_type": "gpt2"}), "has model_type 'bert', not 'gpt2'"),
    "sizes": (lambda: Config.of({"vocab_size": 9}), "says its num_hidden_layers, hidden_size"),
    "positions": (
        lambda: ph.trace(lambda m, text: m(text), BERT(SMALL), np.zeros((1, 8), np.int64)),
        "a text of 8 words: this BERT has 7 positions",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        make()


def test_configuration_of_hugging_face() -> None:
    assert Config.of({**CONFIG, "hidden_act": "gelu", "layer_norm_eps": 1e-6}) == Config(
        8, 8, 8, 8, 8, 8, 8, dropout=0.1, eps=1e-6
    )
