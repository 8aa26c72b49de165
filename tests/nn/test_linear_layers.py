"""Linear, Bilinear and Embedding against PyTorch; what they refuse."""

from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal, same
from numpy.testing import assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import DTypeError, IndexRangeError, ShapeError, UsageError
from phistar.nn import linear

words = np.array([[0, 4, 4], [3, 0, 1]])
ROWS = {
    "Linear": same("Linear", 4, 3, inputs=(normal(5, 4),)),
    "Linear: no bias": same("Linear", 4, 3, bias=False, inputs=(normal(5, 4),)),
    "Linear: no batch": same("Linear", 4, 3, inputs=(normal(4),)),
    "Linear: three batch axes": same("Linear", 4, 3, inputs=(normal(2, 1, 3, 4),)),
    "Linear: one by one": same("Linear", 1, 1, inputs=(normal(1, 1),)),
    "Linear: size from the input": Row(
        lambda: nn.Linear(None, 3, dtype="f64"),
        lambda torch: torch.nn.Linear(4, 3),
        (normal(5, 4),),
    ),
    "Bilinear": same("Bilinear", 4, 3, 2, inputs=(normal(5, 4), normal(5, 3))),
    "Bilinear: no bias": same(
        "Bilinear", 4, 3, 2, bias=False, inputs=(normal(2, 5, 4), normal(2, 5, 3))
    ),
    "Embedding": same("Embedding", 5, 3, inputs=(words,)),
    "Embedding: one word": same("Embedding", 5, 3, inputs=(np.array(2),)),
    "Embedding: padding": same("Embedding", 5, 3, padding_idx=4, inputs=(words,), everywhere=True),
    "Embedding: padding from the end": same("Embedding", 5, 3, padding_idx=-2, inputs=(words,)),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row(linear, ROWS)


def test_values_at_the_start() -> None:
    layer = nn.Linear(50, 40)
    layer.initialize(1)
    assert_array_equal(layer.bias.value, np.zeros(40))
    assert abs(layer.weight.value.std() - np.sqrt(2 / 50)) < 0.01
    layer = nn.Linear(3, 2, init=0.5, bias_init=np.ones(2))
    layer.initialize()
    assert_array_equal(layer.weight.value, np.full((2, 3), 0.5))
    assert_array_equal(layer.bias.value, [1, 1])


def test_rows_at_the_start() -> None:
    layer = nn.Embedding(50, 40, padding_idx=-1)
    layer.initialize(1)
    assert_array_equal(layer.weight.value[49], np.zeros(40))
    assert abs(layer.weight.value[:49].std() - 1) < 0.05


def test_what_a_linear_layer_is_shown_as() -> None:
    assert repr(nn.Linear(3, 2, bias=False)) == "Linear(\n  weight: param (2, 3)\n)"
    assert "weight: param ?" in repr(nn.Linear(None, 2))


x, z = ph.tensor(normal(5, 4), "x", "f32"), ph.tensor(normal(5, 3), "z", "f32")
REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no tensor": (
        lambda: nn.Linear(4, 3)(np.zeros(4)),
        UsageError,
        r"Linear takes a tensor, not ndarray: ph\.tensor\(x\) makes one",
    ),
    "no axes": (
        lambda: nn.Linear(4, 3)(ph.tensor(1.0)),
        ShapeError,
        r"Linear takes a tensor with at least 1 axis, not shape \(\)",
    ),
    "empty batch": (
        lambda: nn.Linear(4, 3)(ph.tensor(np.zeros((0, 4)))),
        ShapeError,
        r"Linear got an empty batch: a tensor of shape \(0, 4\) has no elements",
    ),
    "features": (
        lambda: nn.Linear(3, 2)(x),
        ShapeError,
        r"Linear has 3 input features, but axis -1 of shape \(5, 4\) has 4",
    ),
    "sizes": (
        lambda: nn.Linear(0, 3),
        UsageError,
        "in_features of Linear must be a whole number from 1 on, not 0",
    ),
    "leading axes": (
        lambda: nn.Bilinear(4, 3, 2)(x, ph.tensor(normal(6, 3), dtype="f32")),
        ShapeError,
        r"the same leading axes, not \(5, 4\) and \(6, 3\)",
    ),
    "second features": (
        lambda: nn.Bilinear(4, 4, 2)(x, z),
        ShapeError,
        "Bilinear has 4 features of the second input",
    ),
    "no words": (
        lambda: nn.Embedding(4, 3)(x),
        DTypeError,
        "Embedding takes whole numbers, not f32",
    ),
    "padding": (
        lambda: nn.Embedding(4, 3, padding_idx=4),
        UsageError,
        "padding_idx of Embedding is 4, but it has 4 rows",
    ),
    "padding by a float": (
        lambda: nn.Embedding(4, 3, padding_idx=1.0),
        UsageError,
        "padding_idx of Embedding must be a whole number, not 1.0",
    ),
    "a word too many": (
        lambda: nn.Embedding(4, 3)(ph.tensor(np.array([1, 4]))).value,
        IndexRangeError,
        "4",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
