"""Traps that others fell into, each with a test."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from differences import assert_gradients

b, i, j, k, t, u, p, q, r, v = ph.indices("b i j k t u p q r v")
rng = np.random.default_rng(11)


def test_what_where_does_not_choose_has_no_gradient() -> None:
    def f(x):
        return ph.sum[b](ph.where(x[b] > 0, ph.sqrt(x[b]), 0))

    x = np.array([-1.0, 0.0, 4.0])
    assert_array_equal(ph.grad(f)(x), [0.0, 0.0, 0.25])
    program = ph.backward_source(ph.trace(f, x))
    assert program == "x.grad[b] = where(x[b] > 0, f.grad * (0.5 / sqrt(x[b])), 0)"


def test_max_with_ties_has_the_first_winner() -> None:
    def f(x):
        return ph.sum[b](ph.max[i](x[b, i]))

    x = np.array([[2.0, 2.0, 1.0], [0.0, 0.0, 0.0]])
    assert_array_equal(ph.grad(f)(x), [[1, 0, 0], [1, 0, 0]])


def test_elementwise_max_gives_a_tie_to_the_first() -> None:
    ga, gb = ph.grad(lambda a, c: ph.sum[i](ph.max(a[i], c[i])))(np.zeros(2), np.zeros(2))
    assert_array_equal(ga, [1, 1])
    assert_array_equal(gb, [0, 0])


def test_relu_at_zero_has_gradient_zero() -> None:
    assert ph.grad(lambda x: ph.relu(x))(0.0) == 0


def test_the_gradient_of_a_diagonal_is_diagonal() -> None:
    g = ph.grad(lambda A: ph.sum[i](A[i, i] ** 2))(np.arange(9.0).reshape(3, 3))
    assert_array_equal(g, np.diag([0.0, 8.0, 16.0]))


def test_repeated_gather_indices_accumulate() -> None:
    g = ph.grad(lambda E, w: ph.sum[b](E[w[b]]))(np.zeros(4), np.array([1, 1, 3, 1]))
    assert_array_equal(g, [0, 3, 0, 1])


def test_backward_statements_keep_forward_ranges() -> None:
    def valid(x, w):
        y = ph.tensors("y")
        y[p] = w[r] * x[p + r]
        return ph.sum[p](y[p])

    gx, gw = ph.grad(valid)(np.arange(7.0), np.array([1.0, 2.0, 3.0]))
    assert_array_equal(gx, [1, 3, 6, 6, 6, 5, 3])
    assert gx.shape == (7,)
    assert gw.shape == (3,)


def test_products_in_backward_statements_have_two_tensor_factors() -> None:
    def f(x, W0, W1):
        y = ph.tensors("y")
        y[b, k] = W1[k, j] * ph.tanh(W0[j, i] * x[b, i])
        return ph.sum[b, k](y[b, k] ** 2)

    traced = ph.trace(f, np.zeros((2, 3)), np.zeros((4, 3)), np.zeros((5, 4)))
    for line in ph.backward_source(traced).splitlines():
        if "Σ" in line:
            assert line.count("[") == 3, line  # the target and two factors


def test_an_empty_domain_gives_the_identity() -> None:
    x = np.arange(3.0)
    t = ph.index("t", 3)

    def f(x):
        s, m, a = ph.tensors("s m a")
        s[t] = ph.sum[u : u < t](x[u])
        m[t] = ph.mean[u : u < t](x[u])
        a[t, u] = ph.softmax[u : u < t](x[u])
        return s, m, a

    s, m, a = ph.jit(f)(x)
    assert_array_equal(s, [0, 0, 1])
    assert_array_equal(m, [0, 0, 0.5])
    assert_allclose(a.sum(1), [0, 1, 1])
    assert np.isfinite(ph.grad(lambda x: ph.sum[t, u](f(x)[2][t, u] ** 2))(x)).all()
    assert ph.jit(lambda x: ph.sum[i](x[i]))(np.zeros(0)) == 0
    assert ph.jit(lambda x: ph.max[i](x[i]))(np.zeros(0)) == -np.inf
    assert ph.jit(lambda x: ph.prod[i](x[i]))(np.zeros(0)) == 1


def test_thousands_of_chained_statements() -> None:
    x = ph.tensor(np.float64(0.5), name="x")
    z = x * 1.0
    for _ in range(5000):
        z = z * 0.9999 + 0.00001
    z.backward()
    assert_allclose(x.grad, 0.9999**5000, rtol=1e-9)
    assert len(ph.source(z)) > 1000


def test_thousands_of_chained_tensors() -> None:
    def f(x):
        for _ in range(5000):
            y = ph.tensors("y")
            y[i] = x[i] * 0.9999
            x = y
        return ph.sum[i](x[i])

    assert_allclose(ph.grad(f)(np.ones(2)), 0.9999**5000 * np.ones(2), rtol=1e-9)


def test_a_deep_expression_is_cut_into_statements() -> None:
    def f(x):
        z = x[i]
        for _ in range(3000):
            z = z + x[i]
        return ph.sum[i](z)

    assert_allclose(ph.grad(f)(np.ones(2)), [3001, 3001])


def test_a_shared_subexpression_has_the_right_gradient() -> None:
    def f(x):
        z = ph.exp(x[i])
        return ph.sum[i](z * z + ph.sin(z))

    assert_gradients(f, rng.normal(size=4))


def test_prod_is_right_at_zeros() -> None:
    def f(x):
        return ph.prod[i](x[i])

    assert_array_equal(ph.grad(f)(np.array([2.0, 0.0, 3.0])), [0, 6, 0])
    assert_array_equal(ph.grad(f)(np.array([0.0, 0.0, 3.0])), [0, 0, 0])
    second = ph.grad(lambda x: ph.sum[k](ph.grad(f)(x)[k] * (k + 1)))
    assert_array_equal(second(np.array([0.0, 0.0, 3.0])), [6, 3, 0])


def test_scatter_accumulates() -> None:
    def count(word):
        n = ph.tensors("n", n=(4,))
        n[word[b, t]] += 1.0
        return n

    assert_array_equal(ph.jit(count)(np.array([[0, 1], [1, 3]])), [1, 2, 0, 1])


def test_python_floats_do_not_widen() -> None:
    x = np.ones(3, np.float32)
    assert ph.jit(lambda x: ph.exp(x[i] * 2.0) + 1)(x).dtype == np.float32
    assert ph.jit(lambda x: x[i] / i.size + i)(x).dtype == np.float32


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_of_any_order(order: int) -> None:
    f = lambda x: ph.exp(2 * x)
    for _ in range(order):
        f = ph.grad(f)
    assert_allclose(f(np.float64(0.3)), 2**order * np.exp(0.6), rtol=1e-12)


def test_causal_convolution_reads_inside_because_of_its_domain() -> None:
    def f(x, w):
        y = ph.tensors("y")
        y[t] = ph.sum[u : u <= t](w[u] * x[t - u])
        return ph.sum[t](y[t] ** 2)

    assert_gradients(f, rng.normal(size=5), rng.normal(size=5))
