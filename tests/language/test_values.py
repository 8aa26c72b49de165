"""Values that are given to parameters, and copies of models."""

import copy
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.errors import ShapeError

i, j = ph.indices("i j")


def test_a_value_gives_a_parameter_its_shape() -> None:
    class Linear(ph.Model):
        def __init__(self) -> None:
            self.W = ph.param()

        def __call__(self, x: Any) -> Any:
            y = ph.tensors("y")
            y[..., j] = self.W[j, i] * x[..., i]
            return y

    model = Linear()
    model.W.value = np.ones((3, 4), np.float32)
    assert model.W.shape == (3, 4)
    y = ph.jit(lambda m, x: m(x))(model, np.ones((2, 4), np.float32))
    assert_array_equal(y, np.full((2, 3), 4))
    model.W.value = np.zeros((3, 4), np.float32)
    with pytest.raises(ShapeError, match=r"shape \(3, 4\); a value of shape \(4, 3\)"):
        model.W.value = np.ones((4, 3), np.float32)


def test_a_deep_copy_is_a_model_of_its_own() -> None:
    first = ph.zoo.mnist_mlp.MLP(4)
    second = copy.deepcopy(first)
    one, two = (next(iter(m.named_tensors().values())).definition.uid for m in (first, second))
    assert one != two
