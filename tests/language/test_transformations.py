"""grad, jit, vmap, per_example_grad, and their compositions, on every backend."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph

b, i, j, y = ph.indices("b i j y")
rng = np.random.default_rng(5)


class MLP(ph.Model):
    """The MLP for one example; the batched one follows from it."""

    def __init__(self) -> None:
        self.W0 = ph.param(6, 4, dtype="f64")
        self.b0 = ph.param(6, init=0.1, dtype="f64")
        self.W1 = ph.param(3, 6, dtype="f64")


def loss_of_one(model, x, label):
    h, s = ph.tensors("h s")
    h[j] = ph.relu(model.W0[j, i] * x[i] + model.b0[j])
    s[y] = model.W1[y, j] * h[j]
    return ph.logsumexp[y](s[y]) - s[label]


def loss_of_batch(model, x, label):
    h, s = ph.tensors("h s")
    h[b, j] = ph.relu(model.W0[j, i] * x[b, i] + model.b0[j])
    s[b, y] = model.W1[y, j] * h[b, j]
    return ph.mean[b](ph.logsumexp[y](s[b, y]) - s[b, label[b]])


X, LABEL = rng.normal(size=(5, 4)), np.array([0, 2, 1, 1, 0])


@pytest.mark.parametrize("backend", ["reference", "numpy", "xla", "c"])
def test_vmap_of_one_equals_the_batch(backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="jax is not installed")
    model = MLP()
    each = ph.vmap(loss_of_one, b, backend=backend)(model, X, LABEL)
    assert each.shape == (5,)
    assert_allclose(
        each.mean(), ph.jit(loss_of_batch, backend=backend)(model, X, LABEL), rtol=1e-12
    )


def test_per_example_gradients_sum_to_the_batch_gradient() -> None:
    model = MLP()
    whole = ph.grad(loss_of_batch)(model, X, LABEL)
    each = ph.per_example_grad(loss_of_batch)(model, X, LABEL)
    assert list(each) == ["W0", "b0", "W1"]
    for name, gradient in whole.items():
        assert each[name].shape == (5, *gradient.shape)
        assert_allclose(each[name].sum(0), gradient, rtol=1e-10, atol=1e-14)


def test_vmap_of_grad_is_per_example_grad() -> None:
    model = MLP()
    each = ph.vmap(ph.grad(loss_of_one), b)(model, X, LABEL)
    want = ph.per_example_grad(loss_of_batch)(model, X, LABEL)
    for name, gradient in each.items():
        assert_allclose(gradient / 5, want[name], rtol=1e-10, atol=1e-14)


def test_jit_of_vmap_of_grad() -> None:
    f = ph.jit(ph.vmap(ph.grad(lambda x: ph.sum[i](x[i] ** 3)), b))
    assert_allclose(f(X), 3 * X**2, rtol=1e-12)


def test_gradients_come_in_the_order_of_the_floating_arguments() -> None:
    value, (da, dc) = ph.value_and_grad(lambda a, n, c: a * c + n)(2.0, 3, 5.0)
    assert (value, da, dc) == (13.0, 5.0, 2.0)


def test_a_single_floating_argument_gives_the_gradient_itself() -> None:
    gradient = ph.grad(lambda x: ph.sum[i](x[i] ** 2))(np.arange(3.0))
    assert_array_equal(gradient, [0, 2, 4])


def test_what_does_not_depend_has_gradient_zero() -> None:
    da, dc = ph.grad(lambda a, c: a * 2.0)(1.0, 1.0)
    assert (da, dc) == (2.0, 0.0)


def test_programs_are_kept_by_shape() -> None:
    f = ph.jit(lambda x: ph.sum[i](x[i]))
    f(np.ones(3)), f(np.zeros(3)), f(np.ones(4))
    assert len(f.programs) == 2


def test_trees_of_arguments_and_results() -> None:
    def f(pair, table):
        return {"sum": ph.sum[i](pair[0][i] + pair[1][i]), "w": (table["w"],)}

    out = ph.jit(f)((np.ones(2), np.ones(2)), {"w": np.arange(3.0)})
    assert out["sum"] == 4
    assert_array_equal(out["w"][0], [0, 1, 2])


def test_a_recurrence_returns_its_steps_without_initial_values() -> None:
    def fibonacci():
        t = ph.index("t")
        f = ph.tensors("f")
        f[ph.first - 1] = 1
        f[ph.first - 2] = 0
        with ph.scan(t, steps=8):
            f[t] = f[t - 1] + f[t - 2]
        return f

    assert_array_equal(ph.jit(fibonacci)(), [1, 2, 3, 5, 8, 13, 21, 34])


def test_a_traced_program_compiles_and_differentiates() -> None:
    program = ph.trace(lambda x: ph.sum[i](x[i] ** 2), np.array([1.0, 2.0]))
    assert program.compile("reference")() == 5.0
    assert program.compile("numpy")(np.array([3.0, 4.0])) == 25.0
    assert_array_equal(program.backward().compile()()["x"], [2.0, 4.0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ph.grad(lambda x: x[i] * 2.0)(X[0]), ph.ExpressionError, "1 axes|1 axis"),
        (lambda: ph.grad(lambda n: n * 1.5)(3), ph.ExpressionError, "no floating argument"),
        (lambda: ph.grad(lambda x: (x, x))(1.0), ph.ExpressionError, "must return one number"),
        (lambda: ph.vmap(loss_of_one, "b"), ph.UsageError, "ph.vmap wants an index"),
        (lambda: ph.vmap(lambda x: x, b)(1.0), ph.UsageError, "has no axis to be the batch axis"),
        (
            lambda: ph.vmap(lambda x, z: x[i] * z[i], b)(np.ones((2, 3)), np.ones((4, 3))),
            ph.UsageError,
            "the batch axes differ: x has 2, z has 4",
        ),
        (lambda: ph.vmap(lambda: 1.0, b)(), ph.UsageError, "at least one array"),
        (lambda: ph.jit(lambda x: x)(), ph.UsageError, "missing a required argument"),
        (lambda: ph.jit(lambda x: x, backend="fast")(1.0), ph.BackendError, "no backend 'fast'"),
        (lambda: ph.check_gradients(3), ph.UsageError, "wants a function or a tensor"),
    ],
)
def test_misuse(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_calls_like_one_before_see_what_changed() -> None:
    """New values, other shapes, a model in evaluation: none is answered from an older call."""

    class Scaled(ph.Model):
        def __init__(self) -> None:
            self.w = ph.param((), init=2.0)

        def __call__(self, x: Any) -> Any:
            y = ph.tensors("y")
            y[i] = self.w * x[i] * (10 if self.training else 1)
            return y

    model = Scaled()
    f = ph.jit(lambda model, x: model(x))
    x = np.arange(3, dtype="f4")
    for _ in range(2):
        assert_allclose(f(model, x), 20 * x)
    model.w.value = 3.0
    assert_allclose(f(model, x), 30 * x)
    model.training = False
    assert_allclose(f(model, x), 3 * x)
    assert_allclose(f(model, np.arange(5, dtype="f4")), 3 * np.arange(5))
    x[1] = 7
    assert_allclose(f(model, x), 3 * x)
    model.w = ph.param((), init=5.0)
    assert_allclose(f(Scaled(), x), 20 * x)


def test_any_number_of_arguments_again_and_again() -> None:
    total = ph.jit(lambda *xs: sum(x[i] for x in xs))
    x = np.arange(3, dtype="f4")
    for _ in range(3):
        assert_allclose(total(x, x), 2 * x)
        assert_allclose(total(x), x)


class Stack(ph.Model):
    """x[b, i] through scales that stand in a list and a dict."""

    def __init__(self) -> None:
        self.layers = [Scale(2.0), Scale(3.0)]
        self.named = {"last": Scale(5.0)}

    def __call__(self, x: Any) -> Any:
        for layer in (*self.layers, *self.named.values()):
            x = layer(x)
        return x


class Scale(ph.Model):
    def __init__(self, factor: float) -> None:
        self.c = ph.param(init=factor)

    def __call__(self, x: Any) -> Any:
        b, i = ph.indices("b i")
        y = ph.tensors("y")
        y[b, i] = self.c[()] * x[b, i]
        return y


def test_jit_sees_what_changes_in_lists() -> None:
    """Calls after the first are quick, but lists and dicts of a model may change between them."""
    model, x = Stack(), np.ones((2, 3), np.float32)
    f = ph.jit(lambda model, x: model(x))
    for _ in range(3):
        assert f(model, x)[0, 0] == 30
    model.layers[0] = Scale(4.0)
    assert f(model, x)[0, 0] == 60
    model.layers.append(Scale(2.0))
    assert f(model, x)[0, 0] == 120
    model.named["last"] = Scale(1.0)
    assert f(model, x)[0, 0] == 24
    model.layers[1].c.value = np.float32(1.0)
    assert f(model, x)[0, 0] == 8
    del model.layers[-1]
    assert f(model, x)[0, 0] == 4
