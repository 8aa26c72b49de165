"""Where the implicit sum goes: the cases of the design, as printed source and as numbers."""

import numpy as np
from numpy.testing import assert_allclose

import phistar as ph
from phistar import exp, log, relu

b, i, j, k, y = ph.indices("b i j k y")
rng = np.random.default_rng(0)


def line(tensor: object) -> str:
    """The last line of a tensor's source."""
    return ph.source(tensor).splitlines()[-1]


def test_a_bias_is_added_once() -> None:
    W, x, c = rng.normal(size=(4, 5)), rng.normal(size=(3, 5)), rng.normal(size=4)
    W_, x_, c_ = ph.tensor(W, "W"), ph.tensor(x, "x"), ph.tensor(c, "c")
    h = ph.tensors("h")
    h[b, j] = relu(W_[j, i] * x_[b, i] + c_[j])
    assert line(h) == "h[b, j] = relu(Σ_i W[j, i] * x[b, i] + c[j])"
    assert_allclose(h.value, np.maximum(x @ W.T + c, 0), rtol=1e-12)


def test_a_chain_of_products_sums_each_shared_index() -> None:
    A, B, C = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 5))
    A_, B_, C_ = ph.tensor(A, "A"), ph.tensor(B, "B"), ph.tensor(C, "C")
    y_ = ph.tensors("y")
    y_[b, j] = A_[b, i] * B_[i, k] * C_[k, j]
    assert line(y_) == "y[b, j] = Σ_{i, k} A[b, i] * B[i, k] * C[k, j]"
    assert_allclose(y_.value, A @ B @ C, rtol=1e-12)


def test_a_factor_that_is_a_sum_counts_as_one() -> None:
    x, W, V = rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    x_, W_, V_ = ph.tensor(x, "x"), ph.tensor(W, "W"), ph.tensor(V, "V")
    y_ = ph.tensors("y")
    y_[b, j] = x_[b, i] * (W_[j, i] + V_[j, i])
    assert line(y_) == "y[b, j] = Σ_i x[b, i] * (W[j, i] + V[j, i])"
    assert_allclose(y_.value, x @ (W + V).T, rtol=1e-12)


def test_each_argument_of_a_function_is_looked_at_by_itself() -> None:
    W0, W1 = rng.normal(size=(4, 5)), rng.normal(size=(2, 4))
    x, c = rng.normal(size=(3, 5)), rng.normal(size=4)
    W0_, W1_, x_, c_ = (
        ph.tensor(W0, "W0"), ph.tensor(W1, "W1"), ph.tensor(x, "x"), ph.tensor(c, "c"),
    )  # fmt: skip
    s = ph.tensors("s")
    s[b, y] = W1_[y, j] * relu(W0_[j, i] * x_[b, i] + c_[j])
    assert line(s) == "s[b, y] = Σ_j W1[y, j] * relu(Σ_i W0[j, i] * x[b, i] + c[j])"
    assert_allclose(s.value, np.maximum(x @ W0.T + c, 0) @ W1.T, rtol=1e-12)


def test_a_division_never_sums() -> None:
    p, q = rng.random(6) + 0.1, rng.random(6) + 0.1
    p_, q_ = ph.tensor(p, "p"), ph.tensor(q, "q")
    d = ph.tensors("d")
    d[()] = p_[i] * log(p_[i] / q_[i])
    assert line(d) == "d = Σ_i p[i] * log(p[i] / q[i])"
    assert_allclose(d.value, np.sum(p * np.log(p / q)), rtol=1e-12)


def test_an_elementwise_helper_may_use_its_argument_twice() -> None:
    @ph.elementwise
    def swish(z):
        return z * ph.sigmoid(1.702 * z)

    W, x = rng.normal(size=(4, 5)), rng.normal(size=(3, 5))
    W_, x_ = ph.tensor(W, "W"), ph.tensor(x, "x")
    h = ph.tensors("h")
    h[b, j] = swish(W_[j, i] * x_[b, i])
    z = x @ W.T
    assert line(h) == "h[b, j] = swish(Σ_i W[j, i] * x[b, i])"
    assert_allclose(h.value, z / (1 + np.exp(-1.702 * z)), rtol=1e-12)


def test_an_index_value_is_a_factor() -> None:
    w = rng.normal(size=5)
    w_ = ph.tensor(w, "w")
    m = ph.tensors("m")
    m[()] = i * w_[i]
    assert_allclose(m.value, np.arange(5) @ w, rtol=1e-12)


def test_a_softmax_and_what_it_weighs_are_two_factors() -> None:
    s, v = rng.normal(size=(3, 5)), rng.normal(size=(5, 2))
    s_, v_ = ph.tensor(s, "s"), ph.tensor(v, "v")
    o = ph.tensors("o")
    o[b, k] = ph.softmax[j](s_[b, j]) * v_[j, k]
    weights = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    assert_allclose(o.value, weights @ v, rtol=1e-12)


def test_each_term_is_looked_at_by_itself() -> None:
    a, c = rng.normal(size=(3, 4)), rng.normal(size=(4, 3))
    a_, c_ = ph.tensor(a, "a"), ph.tensor(c, "c")
    t = ph.tensors("t")
    t[b, k] = a_[b, i] * c_[i, k] - exp(a_[b, j] * c_[j, k])
    assert line(t) == "t[b, k] = Σ_i a[b, i] * c[i, k] - exp(Σ_j a[b, j] * c[j, k])"
    assert_allclose(t.value, a @ c - np.exp(a @ c), rtol=1e-12)
