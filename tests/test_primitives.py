"""Each primitive and reduction: its value against NumPy and SciPy, its first and second derivative
against central differences in float64.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

import phistar as ph

i, k = ph.indices("i k")
BACKENDS = ["reference", "numpy", "c"]


def sigmoid(x):
    return special.expit(x)


def softplus(x):
    return np.logaddexp(0, x)


def relu6(x):
    return np.clip(x, 0, 6)


ANY = np.array([-2.3, -1.1, -0.4, 0.3, 0.9, 1.7, 3.6, 7.2])  # on both sides of every kink
POSITIVE, INSIDE = np.array([0.2, 0.9, 1.4, 3.1]), np.array([-0.8, -0.3, 0.2, 0.7])
# fmt: off
UNARY = {  # name: (where, what it should be)
    "abs": (ANY, np.abs),               "exp": (ANY, np.exp),
    "expm1": (ANY, np.expm1),           "log": (POSITIVE, np.log),
    "log1p": (POSITIVE, np.log1p),      "sqrt": (POSITIVE, np.sqrt),
    "rsqrt": (POSITIVE, lambda x: 1 / np.sqrt(x)),
    "square": (ANY, np.square),         "reciprocal": (ANY, np.reciprocal),
    "sin": (ANY, np.sin),               "cos": (ANY, np.cos),
    "tan": (INSIDE, np.tan),            "tanh": (ANY, np.tanh),
    "arcsin": (INSIDE, np.arcsin),      "arccos": (INSIDE, np.arccos),
    "arctan": (ANY, np.arctan),         "sinh": (ANY, np.sinh),
    "cosh": (ANY, np.cosh),             "erf": (ANY, special.erf),
    "erfc": (ANY, special.erfc),        "sigmoid": (ANY, sigmoid),
    "log_sigmoid": (ANY, special.log_expit),
    "softplus": (ANY, softplus),        "relu": (ANY, lambda x: np.maximum(x, 0)),
    "relu6": (ANY, relu6),
    "selu": (ANY, lambda x: 1.0507009873554805 * np.where(
        x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "gelu": (ANY, lambda x: x * special.ndtr(x)),
    "silu": (ANY, lambda x: x * sigmoid(x)),
    "mish": (ANY, lambda x: x * np.tanh(softplus(x))),
    "hard_sigmoid": (ANY, lambda x: relu6(x + 3) / 6),
    "hard_swish": (ANY, lambda x: x * relu6(x + 3) / 6),
    "softsign": (ANY, lambda x: x / (1 + np.abs(x))),
    "hardtanh": (ANY, lambda x: np.clip(x, -1, 1)),
    "sign": (ANY, np.sign),             "floor": (ANY, np.floor),
    "ceil": (ANY, np.ceil),             "round": (ANY, np.rint),
    "leaky_relu": (ANY, lambda x: np.where(x > 0, x, 0.01 * x)),
    "elu": (ANY, lambda x: np.where(x > 0, x, np.expm1(x))),
    "celu": (ANY, lambda x: np.where(x > 0, x, np.expm1(x))),
}
BINARY = {
    "add": (lambda x, y: x + y, np.add),            "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply),       "div": (lambda x, y: x / y, np.divide),
    "floor_div": (lambda x, y: x // y, np.floor_divide),
    "mod": (lambda x, y: x % y, np.mod),            "pow": (lambda x, y: x**y, np.power),
    "maximum": (ph.maximum, np.maximum),            "minimum": (ph.minimum, np.minimum),
    "leaky_relu": (ph.leaky_relu, lambda x, a: np.where(x > 0, x, a * x)),
    "elu": (ph.elu, lambda x, a: np.where(x > 0, x, a * np.expm1(x))),
    "celu": (ph.celu, lambda x, a: np.where(x > 0, x, a * np.expm1(x / a))),
}
COMPARISONS = {
    "less": (lambda x, y: x < y, np.less),
    "less_equal": (lambda x, y: x <= y, np.less_equal),
    "greater": (lambda x, y: x > y, np.greater),
    "greater_equal": (lambda x, y: x >= y, np.greater_equal),
    "equal": (ph.equal, np.equal),                  "not_equal": (ph.not_equal, np.not_equal),
}
REDUCED = {
    "sum": np.sum,    "prod": np.prod,    "max": np.max,    "min": np.min,    "mean": np.mean,
    "logsumexp": special.logsumexp,       "argmax": np.argmax,               "argmin": np.argmin,
}
KEEPING = {
    "softmax": special.softmax, "log_softmax": special.log_softmax, "cumsum": np.cumsum,
}
# fmt: on


def assert_derivatives(f, *args: np.ndarray) -> None:
    """The gradient of Σ w f, and of Σ v times that gradient, against central differences."""
    assert_first(f, args, 1e-6)
    for n in range(len(args)):

        def first(*xs, n=n):
            gradients = ph.grad(f)(*xs)
            gradient = gradients[n] if isinstance(gradients, tuple) else gradients
            return ph.sum[k](gradient[k] * ph.cos(k))

        assert_first(first, args, 1e-5)


def assert_first(f, args: tuple[np.ndarray, ...], tolerance: float) -> None:
    value = ph.jit(f)
    gradients = ph.grad(f)(*args)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for n, gradient in enumerate(gradients):
        want = np.zeros_like(args[n])
        for at in range(args[n].size):
            ends = []
            for eps in (2e-5, -2e-5):
                moved = [a.copy() for a in args]
                moved[n][at] += eps
                ends.append(float(value(*moved)))
            want[at] = (ends[0] - ends[1]) / 4e-5
        scale = max(1.0, float(np.abs(want).max()))
        assert_allclose(gradient, want, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", UNARY)
def test_unary_values(name: str, backend: str) -> None:
    x, want = UNARY[name]
    found = ph.jit(lambda x: getattr(ph, name)(x[i]), backend=backend)(x)
    assert_allclose(found, want(x), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", UNARY)
def test_unary_derivatives(name: str) -> None:
    x, _ = UNARY[name]
    assert_derivatives(lambda x: ph.sum[i](getattr(ph, name)(x[i]) * (i + 1)), x)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BINARY)
def test_binary_values(name: str, backend: str) -> None:
    ours, want = BINARY[name]
    x, y = np.array([0.7, 1.9, 2.4, 5.1]), np.array([1.3, 0.6, 2.5, -1.2])

    def f(x, y):
        z = ph.tensors("z")
        z[i] = ours(x[i], y[i])
        return z

    assert_allclose(ph.jit(f, backend=backend)(x, y), want(x, y), rtol=1e-13)


@pytest.mark.parametrize("name", BINARY)
def test_binary_derivatives(name: str) -> None:
    ours, _ = BINARY[name]
    x, y = np.array([0.7, 1.9, 2.4, 5.1]), np.array([1.3, 0.6, 2.5, 1.2])
    x = x if name == "pow" else x * [1, -1, 1, -1]
    assert_derivatives(lambda x, y: ph.sum[i](ours(x[i], y[i]) * (i + 1)), x, y)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_and_logic(name: str, backend: str) -> None:
    ours, want = COMPARISONS[name]
    x, y = np.array([1.0, 2.0, 3.0, math.nan]), np.array([2.0, 2.0, 1.0, 1.0])
    f = ph.jit(
        lambda x, y: (ours(x[i], y[i]), ~(ours(x[i], y[i]) | (x[i] > 2)) & True), backend=backend
    )
    found, logic = f(x, y)
    assert_array_equal(found, want(x, y))
    assert_array_equal(logic, ~(want(x, y) | (x > 2)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_clip_where_and_tests(backend: str) -> None:
    x = np.array([-3.0, 0.5, math.inf, math.nan, 9.0])
    f = ph.jit(
        lambda x: (
            ph.clip(x[i], -1, 2),
            ph.where(x[i] > 0, x[i], -1.0),
            ph.isnan(x[i]),
            ph.isinf(x[i]),
        ),
        backend=backend,
    )
    clipped, chosen, nan, inf = f(x)
    assert_array_equal(clipped, np.clip(x, -1, 2))
    assert_array_equal(chosen, np.where(x > 0, x, -1))
    assert_array_equal(nan, np.isnan(x))
    assert_array_equal(inf, np.isinf(x))


def test_clip_and_where_derivatives() -> None:
    x = np.array([-2.0, 0.4, 1.1, 3.0])
    assert_derivatives(lambda x: ph.sum[i](ph.clip(x[i] ** 3, -1, 2) * (i + 1)), x)
    assert_derivatives(lambda x: ph.sum[i](ph.where(x[i] > 0, x[i] ** 3, ph.sin(x[i]))), x)
    assert_array_equal(ph.grad(lambda x: ph.sum[i](ph.clip(x[i], -1, 2)))(np.array([-1.0, 2.0])), 1)


def test_gelu_by_tanh() -> None:
    u = math.sqrt(2 / math.pi) * (ANY + 0.044715 * ANY**3)
    found = ph.jit(lambda x: ph.gelu(x[i], approximate=True))(ANY)
    assert_allclose(found, 0.5 * ANY * (1 + np.tanh(u)), rtol=1e-13)
    assert_derivatives(lambda x: ph.sum[i](ph.gelu(x[i], approximate=True) * (i + 1)), ANY)


@pytest.mark.parametrize("name", ["abs", "relu", "sign", "floor", "stop_gradient"])
def test_derivative_zero_at_a_kink(name: str) -> None:
    assert ph.grad(lambda x: getattr(ph, name)(x))(0.0) == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", REDUCED)
def test_reduction_values(name: str, backend: str) -> None:
    x = np.random.default_rng(2).normal(size=(3, 5))
    found = ph.jit(lambda x: getattr(ph, name)[i](x[k, i]), backend=backend)(x)
    assert_allclose(found, REDUCED[name](x, axis=1), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", KEEPING)
def test_values_of_reductions_that_keep_their_index(name: str, backend: str) -> None:
    x = np.random.default_rng(2).normal(size=(3, 5))
    found = ph.jit(lambda x: getattr(ph, name)[i](x[k, i]), backend=backend)(x)
    assert_allclose(found, KEEPING[name](x, axis=1), rtol=1e-13)


@pytest.mark.parametrize("name", [n for n in REDUCED if not n.startswith("arg")])
def test_reduction_derivatives(name: str) -> None:
    x = np.array([0.7, -1.2, 0.3, 1.9])
    assert_derivatives(lambda x: ph.exp(getattr(ph, name)[i](x[i] * (1 + i / 3)) / 3), x)


@pytest.mark.parametrize("name", KEEPING)
def test_derivatives_of_reductions_that_keep_their_index(name: str) -> None:
    def f(x):
        y = ph.tensors("y")
        y[i] = getattr(ph, name)[i](x[i])
        return ph.sum[i](y[i] ** 2 * (i + 1))

    assert_derivatives(f, np.array([0.7, -1.2, 0.3, 1.9]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_and_all(backend: str) -> None:
    x = np.array([[1.0, -1.0], [1.0, 2.0], [-1.0, -2.0]])
    f = ph.jit(lambda x: (ph.any[i](x[k, i] > 0), ph.all[i](x[k, i] > 0)), backend=backend)
    some, every = f(x)
    assert_array_equal(some, [True, True, False])
    assert_array_equal(every, [False, True, False])
