"""Transformer layers and stacks against PyTorch's."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal
from numpy.testing import assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import ShapeError, UsageError
from phistar.nn import transformer

Array = np.ndarray[Any, Any]


class Called(ph.Model):
    """A layer called with keywords for its last arguments."""

    def __init__(self, layer: Any, names: tuple[str, ...], more: dict[str, Any]) -> None:
        self.layer, self.names, self.more = layer, names, more

    def __call__(self, *inputs: Any) -> Any:
        plain = len(inputs) - len(self.names)
        given = dict(zip(self.names, inputs[plain:], strict=True))
        return self.layer(*inputs[:plain], **given, **self.more)


def keywords(torch: Any, sequences: Any, given: dict[str, Any], causal: bool) -> dict[str, Any]:
    """PyTorch's arguments: true in its masks is what may not be seen."""
    two = len(sequences) == 2
    mine = "tgt" if two else "src"
    names = {
        "mask": "tgt_mask" if two else "mask",
        "memory_mask": "memory_mask",
        "lengths": f"{mine}_key_padding_mask",
        "memory_lengths": "memory_key_padding_mask",
    }
    made = {}
    for name, value in given.items():
        steps = sequences[name.startswith("memory")].shape[-2]
        padding = "lengths" in name
        made[names[name]] = torch.arange(steps) >= value[:, None] if padding else ~value
    if causal:
        steps = sequences[0].shape[-2]
        made[names["mask"]] = ~torch.ones(steps, steps, dtype=bool).tril()
    return made


def of_torch(
    name: str,
    *inputs: Array,
    names: tuple[str, ...] = (),
    causal: bool = False,
    layers: int = 0,
    norm: bool = False,
    training: bool = True,
    **kwargs: Any,
) -> Row:
    """Against PyTorch's layer of that name; with `layers`, against its stack."""
    settings = {"dim_feedforward": 7, "dropout": 0.0, **kwargs}
    stack = name.removesuffix("Layer")

    def layer() -> Any:
        made = getattr(nn, f"{stack}Layer")(6, 2, **settings, dtype="f64")
        if layers:
            last = nn.LayerNorm(6, dtype="f64") if norm else None
            made = getattr(nn, stack)(made, layers, last)
        return Called(made, names, {"causal": True} if causal else {})

    def peer(torch: Any) -> Any:
        made = getattr(torch.nn, f"{stack}Layer")(6, 2, **settings, batch_first=True)
        if layers:
            more = {"enable_nested_tensor": False} if stack == "TransformerEncoder" else {}
            last = torch.nn.LayerNorm(6) if norm else None
            made = getattr(torch.nn, stack)(made, layers, norm=last, **more)
        made = made.double().train(training)

        def run(*tensors: Any, **p: Any) -> Any:
            plain = len(tensors) - len(names)
            given = dict(zip(names, tensors[plain:], strict=True))
            more = keywords(torch, tensors[:plain], given, causal)
            if not layers and "mask" in more:
                more["src_mask"] = more.pop("mask")
            p = {n.removeprefix("layer_"): t for n, t in p.items()}
            p = {n: p[n.replace(".", "_")] for n, _ in made.named_parameters()}
            return torch.func.functional_call(made, p, tensors[:plain], more)

        return run

    return Row(layer, peer, inputs, training=training)


x, y = normal(3, 4, 6), normal(3, 5, 6, seed=4)
n, m = np.array([3, 4, 1]), np.array([5, 2, 1])
some = np.random.default_rng(7).random((4, 4)) < 0.6
some |= np.eye(4, dtype=bool)
E, D = "TransformerEncoderLayer", "TransformerDecoderLayer"
ROWS = {
    E: of_torch(E, x),
    f"{E}: norm first": of_torch(E, x, norm_first=True),
    f"{E}: gelu, no bias": of_torch(E, x, activation="gelu", bias=False),
    f"{E}: causal": of_torch(E, x, causal=True),
    f"{E}: mask": of_torch(E, x, some, names=("mask",)),
    f"{E}: lengths": of_torch(E, x, n, names=("lengths",)),
    f"{E}: one step of one row": of_torch(E, normal(1, 1, 6)),
    f"{E}: no batch": of_torch(E, normal(4, 6)),
    f"{E}: dropout, not in training": of_torch(E, x, dropout=0.5, training=False),
    D: of_torch(D, x, y),
    f"{D}: norm first, causal": of_torch(D, x, y, norm_first=True, causal=True),
    f"{D}: lengths": of_torch(D, x, y, n, m, names=("lengths", "memory_lengths")),
    f"{D}: masks": of_torch(D, x, x, some, some, names=("mask", "memory_mask")),
    f"{D}: one step of one row": of_torch(D, normal(1, 1, 6), normal(1, 2, 6)),
    "TransformerEncoder": of_torch("TransformerEncoder", x, layers=1, norm=True),
    "TransformerEncoder: two layers": of_torch("TransformerEncoder", x, layers=2, norm=True),
    "TransformerEncoder: lengths": of_torch(
        "TransformerEncoder", x, n, names=("lengths",), layers=2
    ),
    "TransformerEncoder: causal": of_torch("TransformerEncoder", x, layers=1, causal=True),
    "TransformerDecoder": of_torch("TransformerDecoder", x, y, layers=1, norm=True),
    "TransformerDecoder: two layers, causal": of_torch(
        "TransformerDecoder", x, y, layers=2, norm=True, causal=True
    ),
    "TransformerDecoder: lengths": of_torch(
        "TransformerDecoder", x, y, m, names=("memory_lengths",), layers=2, norm_first=True
    ),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(transformer, ROWS)


# Copies, names, dropout ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TransformerEncoder", "TransformerDecoder"])
def test_parameters_have_pytorchs_names_and_shapes(name: str) -> None:
    torch = pytest.importorskip("torch")
    layer = getattr(torch.nn, f"{name}Layer")(6, 2, 7, batch_first=True)
    theirs = getattr(torch.nn, name)(layer, 2)
    ours = getattr(nn, name)(getattr(nn, f"{name}Layer")(6, 2, 7), 2)
    want = {n: tuple(t.shape) for n, t in theirs.named_parameters()}
    assert {n: t.shape for n, t in ours.parameters.items()} == want


def test_layers_of_a_stack_have_parameters_of_their_own() -> None:
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 7), 2)
    stack.initialize()
    first, second = (layer.linear1.weight.value for layer in stack.layers)
    assert (first != second).all()


def test_layers_of_a_stack_start_with_the_values_of_the_given_one() -> None:
    layer = nn.TransformerEncoderLayer(6, 2, 7)
    layer.initialize(3)
    stack = nn.TransformerEncoder(layer, 2)
    for made in stack.layers:
        for name, tensor in made.parameters.items():
            assert_array_equal(tensor.value, layer.parameters[name].value)
            assert tensor is not layer.parameters[name]


def test_dropout_is_for_training() -> None:
    layer = nn.TransformerEncoderLayer(6, 2, 7, dropout=0.5, dtype="f64")
    layer.initialize(1)
    run = ph.jit(lambda m, x: m(x), backend="numpy")
    trained = run(layer, x)
    layer.training = False
    assert (np.abs(trained - run(layer, x)) > 1e-3).any()


def test_an_activation_may_be_a_function() -> None:
    row = of_torch(E, x, activation="relu")
    made = row.layer().layer
    other = nn.TransformerEncoderLayer(6, 2, 7, 0.0, lambda z: ph.maximum(z, 0), dtype="f64")
    made.initialize(1)
    for name, tensor in made.parameters.items():
        other.parameters[name].value = tensor.value
    run = ph.jit(lambda m, x: m(x), backend="numpy")
    assert_array_equal(run(made, x), run(other, x))


# What is refused ----------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, Any, str]] = {
    "activation": (
        lambda: nn.TransformerEncoderLayer(6, 2, activation="swoosh"),
        UsageError,
        "activation of TransformerEncoderLayer is 'relu', 'gelu', 'silu', 'tanh' or a function, "
        "not 'swoosh'",
    ),
    "sizes": (
        lambda: nn.TransformerDecoderLayer(6, 2, 0),
        UsageError,
        "dim_feedforward of TransformerDecoderLayer must be a whole number from 1 on, not 0",
    ),
    "heads": (
        lambda: nn.TransformerEncoderLayer(6, 4),
        UsageError,
        "cannot share 6 features among 4 heads",
    ),
    "another layer": (
        lambda: nn.TransformerEncoder(nn.TransformerDecoderLayer(6, 2), 2),
        UsageError,
        "TransformerEncoder is made of a TransformerEncoderLayer, not of TransformerDecoderLayer",
    ),
    "no layers": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2), 0),
        UsageError,
        "num_layers of TransformerEncoder must be a whole number from 1 on, not 0",
    ),
    "features": (
        lambda: nn.TransformerEncoderLayer(8, 2)(ph.tensor(x, dtype="f32")),
        ShapeError,
        "MultiHeadAttention has 8 features",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
