"""Initialisers: moments, shapes, orthogonality, in models."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import init
from phistar.errors import ShapeError, UsageError

SHAPE = (300, 200)
b, i, j = ph.indices("b i j")


def drawn(initializer: Any, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    fan_in, fan_out = math.prod(shape[1:]), shape[0]
    return np.asarray(initializer(np.random.default_rng(seed), shape, fan_in, fan_out))


# name: the initialiser, its mean, its variance for fan-in 200 and fan-out 300
MOMENTS: list[tuple[Any, float, float]] = [
    (init.constant(0.3), 0.3, 0),
    (init.zeros(), 0, 0),
    (init.ones(), 1, 0),
    (init.uniform(-1.0, 3.0), 1, 16 / 12),
    (init.uniform(), 0.5, 1 / 12),
    (init.normal(), 0, 1),
    (init.normal(2.0, 0.5), 2, 0.25),
    (init.truncated_normal(), 0, 0.7737413),
    (init.truncated_normal(1.0, 0.1, low=-1.0, high=1.0), 1, 0.01 * 0.2911251),
    (init.xavier_uniform(), 0, 2 / 500),
    (init.xavier_normal(gain=2.0), 0, 4 * 2 / 500),
    (init.he_uniform(), 0, 2 / 200),
    (init.he_normal(), 0, 2 / 200),
    (init.he_normal(mode="fan_out"), 0, 2 / 300),
    (init.he_uniform(mode="fan_avg", nonlinearity="tanh"), 0, (5 / 3) ** 2 / 250),
    (init.he_normal(nonlinearity="leaky_relu", slope=0.2), 0, 2 / 1.04 / 200),
    (init.lecun_uniform(), 0, 1 / 200),
    (init.lecun_normal(), 0, 1 / 200),
    (init.orthogonal(), 0, 1 / 300),
    (init.sparse(0.5, std=2.0), 0, 0.5 * 4),
    (init.identity(), 1 / 300, 1 / 300),
]
ELSEWHERE = {"gain", "dirac"}


def test_every_initializer_has_its_moments() -> None:
    assert {type(m[0]).__name__ for m in MOMENTS} | ELSEWHERE == set(init.__all__)


@pytest.mark.parametrize("initializer, mean, variance", MOMENTS, ids=lambda x: str(x))
def test_moments(initializer: Any, mean: float, variance: float) -> None:
    values = drawn(initializer)
    assert values.shape == SHAPE
    assert_allclose(values.mean(), mean, atol=5 * math.sqrt(variance / values.size) + 1e-12)
    assert_allclose(values.var(), variance, rtol=0.03, atol=1e-12)


@pytest.mark.parametrize("initializer", [m[0] for m in MOMENTS], ids=str)
def test_it_prints_as_it_is_written(initializer: Any) -> None:
    assert eval(repr(initializer), vars(init)) == initializer
    assert hash(initializer) == hash(eval(repr(initializer), vars(init)))


def test_the_text() -> None:
    assert repr(init.he_normal(mode="fan_out")) == "he_normal(mode='fan_out')"
    assert repr(init.truncated_normal(std=0.02)) == "truncated_normal(std=0.02)"
    assert repr(init.dirac()) == "dirac()"


def test_bounds() -> None:
    cut = drawn(init.truncated_normal(1.0, 0.5, low=-1.0, high=3.0))
    assert cut.min() >= 0.5 and cut.max() <= 2.5
    flat = drawn(init.he_uniform())
    assert np.abs(flat).max() <= math.sqrt(3 * 2 / 200)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 3), (2, 2, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    W = drawn(init.orthogonal(gain=2.0), shape).reshape(shape[0], -1)
    small = W @ W.T if W.shape[0] <= W.shape[1] else W.T @ W
    assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_one_by_one() -> None:
    W = drawn(init.orthogonal(stacked=1), (4, 3, 3))
    assert_allclose(W @ W.swapaxes(1, 2), np.broadcast_to(np.eye(3), W.shape), atol=1e-12)
    assert np.abs(W[0] - W[1]).max() > 0.1


def test_identity() -> None:
    assert_array_equal(drawn(init.identity(gain=3.0), (2, 3)), [[3, 0, 0], [0, 3, 0]])
    assert_array_equal(drawn(init.identity(stacked=1), (4, 2, 2)), [np.eye(2)] * 4)


def test_sparse_columns() -> None:
    W = drawn(init.sparse(0.25), (10, 30))
    assert_array_equal((W == 0).sum(0), np.full(30, 3))


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(4, 3, 3), (3, 4, 5, 5), (6, 2, 3), (4, 2, 1, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac(shape: tuple[int, ...], groups: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if shape[0] % groups:
        with pytest.raises(ShapeError, match="dirac cannot share 3 filters among 2 groups"):
            drawn(init.dirac(groups), shape)
        return
    assert_array_equal(
        drawn(init.dirac(groups), shape), torch.nn.init.dirac_(torch.empty(shape), groups)
    )


@pytest.mark.torch
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gain(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert_allclose(init.gain(name), torch.nn.init.calculate_gain(name), rtol=1e-15)
    assert_allclose(
        init.gain("leaky_relu", 0.3), torch.nn.init.calculate_gain("leaky_relu", 0.3), rtol=1e-15
    )


# In models ----------------------------------------------------------------------------------------


class Layer(ph.Model):
    def __init__(self, init: Any) -> None:
        self.W = ph.param(40, 50, init=init)

    def __call__(self, x: Any) -> Any:
        return self.W[j, i] * x[b, i]


def value(initializer: Any, seed: int = 0) -> np.ndarray:
    model = Layer(initializer)
    ph.trace(model, np.ones((2, 50), "f4"))
    model.initialize(seed)
    return model.W.value


def test_the_default_is_he_normal() -> None:
    assert_array_equal(value(None), value(init.he_normal()))


def test_the_value_is_a_function_of_the_seed() -> None:
    one = value(init.xavier_uniform(), 3)
    assert one.dtype == np.float32
    assert_array_equal(one, value(init.xavier_uniform(), 3))
    assert np.abs(one - value(init.xavier_uniform(), 4)).max() > 0.01


def test_the_parentheses_may_be_left_out() -> None:
    assert_array_equal(value(init.orthogonal), value(init.orthogonal()))


# Refusals -----------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: init.constant("a"), UsageError, "value of constant must be a number, not 'a'"),
    (lambda: init.uniform(1.0, 1.0), UsageError, "uniform wants low < high, not 1.0 and 1.0"),
    (lambda: init.normal(std=-1), UsageError, "std of normal must be a number from 0 on, not -1"),
    (lambda: init.truncated_normal(low=5, high=6), UsageError, "next to nothing of a normal"),
    (lambda: init.xavier_normal(np.nan), UsageError, "gain of xavier_normal must be a number"),
    (lambda: init.he_normal("in"), UsageError, "mode of he_normal is fan_in, fan_out, fan_avg"),
    (lambda: init.he_normal(nonlinearity="rely"), UsageError, "did you mean relu?"),
    (lambda: init.gain("cos"), UsageError, "there is no gain for 'cos'"),
    (lambda: init.sparse(1.5), UsageError, "sparsity of sparse must be a number from 0 to 1"),
    (lambda: init.dirac(0), UsageError, "groups of dirac must be a whole number from 1 on"),
    (lambda: init.orthogonal(stacked=-1), UsageError, "stacked of orthogonal must be a whole"),
    (lambda: drawn(init.orthogonal(), (3,)), ShapeError, "orthogonal wants a parameter with 2 or"),
    (lambda: drawn(init.identity(), (3, 3, 3)), ShapeError, "identity wants a parameter with 2 a"),
    (lambda: drawn(init.dirac(), (3, 3)), ShapeError, "dirac wants a parameter with 3 or more"),
    (lambda: drawn(init.sparse(0.5), (3,)), ShapeError, "sparse wants a parameter with 2 axes"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
