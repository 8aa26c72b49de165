"""The lecture's multilayer perceptron: its equations, and that it learns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from goldens import assert_golden
from phistar.data import Dataset
from phistar.zoo.mnist_mlp import MLP, loss


def digits(examples: int) -> Dataset:
    """Ten patterns of pixels with some noise."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 10, examples)
    patterns = np.random.default_rng(1).random((10, 784))
    x = np.clip(patterns[label] + 0.1 * rng.normal(size=(examples, 784)), 0, 1)
    return Dataset(x=x.astype(np.float32), label=label)


def test_the_equations() -> None:
    batch = digits(4).batch(np.arange(4))
    assert_golden("mnist_mlp.txt", str(ph.trace(loss, MLP(), **batch)))


def test_it_learns() -> None:
    model = MLP()
    ph.fit(model, loss, digits(300), optimizer=ph.SGD(0.1), epochs=5, batch_size=32, progress=False)
    assert ph.evaluate(model, loss, digits(100), ["accuracy"])["accuracy"] == 1.0


def test_it_returns_probabilities() -> None:
    P = ph.predict(MLP(hidden=16), digits(7))
    assert P.shape == (7, 10)
    assert_allclose(P.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_gradients(backend: str) -> None:
    model, batch = MLP(hidden=3), digits(2).batch(np.arange(2))
    model.initialize(0)
    value, grads = ph.value_and_grad(loss, backend=backend)(model, **batch)
    model.b1.value = model.b1.value - 1e-3 * grads["b1"]
    less = ph.jit(loss, backend=backend)(model, **batch)
    assert_allclose(value - less, 1e-3 * np.sum(grads["b1"] ** 2), rtol=1e-2)
