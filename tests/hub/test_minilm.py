"""MiniLM, 22.7 million parameters from the package registry: embeddings, fine-tuning, saving."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph

pytestmark = pytest.mark.registry

b, e, y = ph.indices("b e y")

SENTENCES = [
    "A deep learning framework written as equations.",
    "Neural networks are described with index notation.",
    "The cat sat on the mat.",
    "A feline was sitting on a rug.",
    "MNIST holds 70,000 handwritten digits.",
    "Ein deutscher Satz über das Wetter.",
]
# The first four numbers of each embedding, by PyTorch (sentence-transformers' mean and norm).
FIRST = np.array(
    [
        [-0.102603, -0.079136, 0.024665, 0.010889],
        [-0.027902, -0.062855, 0.014890, 0.036580],
        [0.130237, -0.015773, -0.036717, 0.057986],
        [0.056130, 0.027952, 0.032539, 0.123566],
        [-0.055514, 0.012676, -0.052956, -0.054483],
        [-0.031175, 0.026006, 0.063009, 0.009575],
    ]
)
ANIMALS = [
    "The cat sat on the mat.",
    "A dog barks at the moon.",
    "Horses eat grass in the field.",
    "The bird built a nest.",
    "My hamster sleeps all day.",
    "A fox ran across the garden.",
]
MACHINES = [
    "The compiler writes fast code.",
    "A processor has eight cores.",
    "Memory is read by the program.",
    "The network trains for an hour.",
    "Software is tested every night.",
    "The disk of the server is full.",
]


@pytest.fixture(scope="module")
def minilm() -> Any:
    pytest.importorskip("tokenizers")
    return ph.pretrained("minilm-l6")


def embedding(model: Any, text: Any, seen: Any, kind: Any) -> Any:
    return model.embedding(text, seen, kind)


@pytest.mark.parametrize("backend", ["reference", "numpy", "c", "xla"])
def test_embeddings(minilm: Any, backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax")
    model, tokenizer = minilm
    chosen = SENTENCES[2:3] if backend == "reference" else SENTENCES
    found = np.asarray(ph.jit(embedding, backend=backend)(model, **tokenizer(chosen)))
    assert_allclose((found**2).sum(1), 1, atol=1e-5)
    expected = FIRST[2:3] if backend == "reference" else FIRST
    assert_allclose(found[:, :4], expected, rtol=0, atol=2e-5)
    peer = Path(__file__).parents[3] / "shared" / "data" / "pretrained" / "minilm_l6.npz"
    if peer.is_file():
        with np.load(peer) as arrays:
            wanted = arrays["embedding"][2:3] if backend == "reference" else arrays["embedding"]
        assert_allclose(found, wanted, rtol=0, atol=2e-5)


def test_sentences_of_one_meaning_are_near(minilm: Any) -> None:
    model, tokenizer = minilm
    z = np.asarray(ph.jit(embedding)(model, **tokenizer(SENTENCES)))
    near = z @ z.T
    assert near[2, 3] > 0.5 > near[2, 0]


class Classifier(ph.Model):
    """Which of two kinds a sentence is of, from its embedding."""

    def __init__(self, body: Any) -> None:
        self.body, self.W, self.c = body, ph.param(2, 384, init=0), ph.param(2, init=0)

    def __call__(self, text: Any, seen: Any) -> Any:
        z, P = self.body.embedding(text, seen), ph.tensors("P")
        P[b, y] = ph.softmax[y](self.W[y, e] * z[b, e] + self.c[y])
        return P


def loss(model: Any, text: Any, seen: Any, label: Any) -> Any:
    return -ph.log(model(text, seen)[b, label[b]])


def test_a_new_head_is_trained_and_the_rest_stays(minilm: Any, tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    body, tokenizer = minilm
    before = {n: p.value.tobytes() for n, p in body.named_tensors().items()}
    model = Classifier(body)
    ph.freeze(model, "body.*")
    columns = tokenizer(ANIMALS + MACHINES)
    label = np.repeat([0, 1], 6)
    data = ph.data.Dataset(text=columns["text"], seen=columns["seen"], label=label)
    first = ph.evaluate(model, loss, data)["loss"]
    ph.fit(model, loss, data, optimizer=ph.Adam(0.05), epochs=8, batch_size=6, progress=False)
    assert ph.evaluate(model, loss, data)["loss"] < 0.5 * first
    new = tokenizer(["The horse is tired.", "The program is slow."])
    P = ph.jit(model)(new["text"], new["seen"])
    assert np.argmax(P, axis=1).tolist() == [0, 1]
    ph.unfreeze(model)
    assert {n: p.value.tobytes() for n, p in body.named_tensors().items()} == before
    ph.save(body, tmp_path / "body.safetensors")
    alone = library.load_file(tmp_path / "body.safetensors")
    assert {n: a.tobytes() for n, a in alone.items()} == before
    other = ph.zoo.bert.BERT(body.config)
    assert ph.load(other, tmp_path / "body.safetensors").complete
    assert {n: p.value.tobytes() for n, p in other.named_tensors().items()} == before
    ph.save(body, f"{tmp_path}/shards/", max_shard_size="20MB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 3
    arrays = ph.parameters.read(tmp_path / "shards")
    assert {n: a.tobytes() for n, a in arrays.items()} == before


def test_what_the_file_holds(minilm: Any) -> None:
    model, tokenizer = minilm
    arrays = ph.parameters.read(Path(tokenizer.path).parent)
    assert len(arrays) == 104
    for name, tensor in model.named_tensors().items():
        assert_array_equal(tensor.value, arrays[name], err_msg=name)
