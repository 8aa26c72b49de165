"""Frozen parameters: no gradient, no state of an optimizer, the same bits after training."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.errors import ModelError, UsageError
from training.blobs import Net, blobs, loss


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_training_leaves_frozen_parameters(backend: str) -> None:
    model = Net()
    model.initialize(0)
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    assert ph.freeze(model, "W0", "b*") == ("W0", "b0")
    ph.fit(model, loss, blobs(), optimizer=ph.AdamW(0.1), progress=False, backend=backend)
    for name in ("W0", "b0"):
        assert_array_equal(model.parameters[name].value, before[name])
    assert np.abs(model.W1.value - before["W1"]).max() > 1e-3


def test_an_optimizer_keeps_nothing_for_them() -> None:
    model = Net()
    ph.freeze(model, "*0")
    algorithm = ph.compile(loss, model, optimizer=ph.Adam(0.1), batch=blobs().spec(10))
    assert {p.name for p in algorithm.states} == {"W1"}
    assert "W0.grad" not in str(algorithm.step) and "W1.grad" in str(algorithm.step)
    ph.unfreeze(model, "b0")
    algorithm = ph.compile(loss, model, optimizer=ph.Adam(0.1), batch=blobs().spec(10))
    assert {p.name for p in algorithm.states} == {"W1", "b0"}


def mean(model: Net, x: Any) -> Any:
    b, y = ph.indices("b y")
    return ph.mean[b, y](model(x)[b, y] ** 2)


def test_gradients_follow_what_is_frozen() -> None:
    """Also where the function was compiled before."""
    model, x = Net(), np.ones((2, 2), np.float32)
    model.initialize(0)
    gradient = ph.grad(mean)
    assert set(gradient(model, x)) == set(gradient(model, x)) == {"W0", "b0", "W1"}
    ph.freeze(model, "W0")
    assert set(gradient(model, x)) == {"b0", "W1"}
    model.b0.trainable = False
    assert set(gradient(model, x)) == {"W1"}
    assert ph.unfreeze(model) == ("W0", "b0", "W1")
    assert set(gradient(model, x)) == {"W0", "b0", "W1"}


def test_a_model_inside_a_model() -> None:
    class Tower(ph.Model):
        def __init__(self) -> None:
            self.body, self.head = Net(), ph.param(2)
            self.count = ph.state()

    tower = Tower()
    assert ph.freeze(tower.body) == ("W0", "b0", "W1")
    assert [n for n, p in tower.parameters.items() if p.trainable] == ["head"]


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="the pattern 'V' matches none of W0, b0, W1"):
        ph.freeze(Net(), "W0", "V")
    with pytest.raises(ModelError, match=r"an object of a subclass of ph\.Model, not 3"):
        ph.freeze(3)  # type: ignore[arg-type]
    model = Net()
    ph.freeze(model)
    with pytest.raises(ModelError, match="uses no trainable parameter of its model"):
        ph.fit(model, loss, blobs(), optimizer=ph.SGD(0.1), progress=False)
