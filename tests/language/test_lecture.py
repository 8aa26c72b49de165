"""The lecture, line by line."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph

b, i, j, k, y, dx, dy = ph.indices("b i j k y dx dy")
rng = np.random.default_rng(1)


def test_a_graph_is_source_code() -> None:
    x, y = ph.tensor(3.0, name="x"), ph.tensor(4.0, name="y")
    u = x**2
    w = y**2
    r = u + w
    L = ph.sqrt(r)
    assert ph.source(L).splitlines() == ["u = x ** 2", "w = y ** 2", "r = u + w", "L = sqrt(r)"]
    assert L.value == 5.0


def test_backprop_walks_the_assignments_in_reverse() -> None:
    x, y = ph.tensor(3.0, name="x"), ph.tensor(4.0, name="y")
    u = x**2
    w = y**2
    r = u + w
    L = ph.sqrt(r)
    L.backward()
    assert x.grad == pytest.approx(0.6)
    assert y.grad == pytest.approx(0.8)
    assert u.grad == w.grad == r.grad == pytest.approx(0.1)
    assert L.grad == 1.0
    lines = ph.backward_source(L).splitlines()
    order = [line.split(" ")[0] for line in lines]
    assert order == ["r.grad", "u.grad", "w.grad", "y.grad", "x.grad"]


def test_every_use_adds_to_the_gradient() -> None:
    x = ph.tensor(np.float64(0.7), name="x")
    y = ph.sin(x)
    z = y * x
    u = ph.exp(z)
    u.backward()
    value = np.exp(np.sin(0.7) * 0.7)
    assert_allclose(x.grad, value * (np.cos(0.7) * 0.7 + np.sin(0.7)), rtol=1e-12)
    assert [s for s in ph.backward_source(u).splitlines() if s.startswith("x.grad +=")]


def test_tanh_is_a_shifted_sigmoid() -> None:
    x = ph.tensor(np.linspace(-3, 3, 7), "x")
    a, c = ph.tensors("a c")
    a[i] = ph.tanh(x[i])
    c[i] = 2 * ph.sigmoid(2 * x[i]) - 1
    assert_allclose(a.value, c.value, rtol=1e-12)


def test_the_sigmoid_mlp() -> None:
    h, W1, b1 = rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=3)
    h_, W1_, b1_ = ph.tensor(h, "h"), ph.tensor(W1, "W1"), ph.tensor(b1, "b1")
    s, P = ph.tensors("s P")
    s[j] = ph.sigmoid(W1_[j, i] * h_[i] + b1_[j])
    P[j] = ph.softmax[j](s[j])
    want = 1 / (1 + np.exp(-(W1 @ h + b1)))
    want = np.exp(want) / np.exp(want).sum()
    assert_allclose(P.value, want, rtol=1e-12)


def test_the_swap_rule_gives_exactly_two_statements() -> None:
    W, x = ph.tensor(np.zeros((4, 5)), "W"), ph.tensor(np.zeros((3, 5)), "x")
    y = ph.tensors("y")
    y[b, j] = W[j, i] * x[b, i]
    assert ph.source(y) == "y[b, j] = Σ_i W[j, i] * x[b, i]"
    assert sorted(ph.backward_source(y).splitlines()) == [
        "W.grad[j, i] += Σ_b y.grad[b, j] * x[b, i]",
        "x.grad[b, i] += Σ_j y.grad[b, j] * W[j, i]",
    ]


def test_minibatching_adds_a_batch_index_and_averages() -> None:
    W = ph.tensor(rng.normal(size=(4, 5)), "W")
    x = ph.tensor(rng.normal(size=(3, 5)), "x")
    h, L = ph.tensors("h L")
    h[b, j] = ph.relu(W[j, i] * x[b, i])
    L[()] = ph.mean[b](ph.sum[j](h[b, j] ** 2))
    L.backward()
    z = x.value @ W.value.T
    want = np.zeros((4, 5))
    for n in range(3):  # the average of the gradients of the examples
        want += np.outer(2 * np.maximum(z[n], 0), x.value[n]) / 3
    assert_allclose(W.grad, want, rtol=1e-12)


def test_the_convolution_of_the_course() -> None:
    s, B, X, C, J = 2, 2, 9, 3, 4
    L0, W, bias = rng.normal(size=(B, X, X, C)), rng.normal(size=(3, 3, C, J)), rng.normal(size=J)
    L0_, W_, B_ = ph.tensor(L0, "L0"), ph.tensor(W, "W"), ph.tensor(bias, "B")
    x, y = ph.indices("x y")
    L = ph.tensors("L")
    L[b, x, y, j] = ph.relu(W_[dx, dy, i, j] * L0_[b, s * x + dx, s * y + dy, i] + B_[j])
    want = np.zeros((B, 4, 4, J))
    for p in range(4):
        for q in range(4):
            window = L0[:, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3]
            want[:, p, q] = np.einsum("bxyi,xyij->bj", window, W) + bias
    assert_allclose(L.value, np.maximum(want, 0), rtol=1e-12)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_dilation_and_padding(dilation: int) -> None:
    x, w = rng.normal(size=(2, 8)), rng.normal(size=3)
    x_, w_ = ph.tensor(x, "x"), ph.tensor(w, "w")
    p, r = ph.indices("p r")
    o = ph.tensors("o")
    o[b, p] = w_[r] * x_[b, ph.pad(p + dilation * r, dilation)]
    padded = np.pad(x, ((0, 0), (dilation, dilation)))
    want = sum(w[n] * padded[:, n * dilation : n * dilation + 8] for n in range(3))
    assert o.value.shape == (2, 8)
    assert_allclose(o.value, want, rtol=1e-12)


def test_max_pooling() -> None:
    a = rng.normal(size=(2, 6, 6, 3))
    a_ = ph.tensor(a, "a")
    v, z = ph.indices("v z", v=2, z=2)
    p, q = ph.indices("p q")
    m = ph.tensors("m")
    m[b, p, q, k] = ph.max[v, z](a_[b, 2 * p + v, 2 * q + z, k])
    assert_allclose(m.value, a.reshape(2, 3, 2, 3, 2, 3).max((2, 4)), rtol=1e-12)


def test_the_loop_invariant_holds_after_every_step() -> None:
    x, y = ph.tensor(np.float64(1.3), name="x"), ph.tensor(np.float64(-0.4), name="y")
    u = ph.sin(x * y)
    v = u * x + y
    w = ph.exp(v) * u
    L = w * w + v
    processed: list[str] = []
    for step in ph.backward_steps(L):
        processed.append(str(step).splitlines()[0].split(" = ")[0])
        for name, gradient in step.grads.items():
            variable = name.removesuffix(".grad")
            if variable in processed or variable == "L":
                continue
            want = derivative_of_rest(processed, variable, step.values)
            assert_allclose(gradient, want, rtol=1e-6, err_msg=f"{variable} after {processed}")
    assert set(processed) >= {"L", "w", "v", "u"}


def derivative_of_rest(processed: list[str], variable: str, values: dict) -> float:
    """dL/d(variable), where only the definitions already processed are followed."""
    definitions = {
        "L": lambda e: e["w"] * e["w"] + e["v"],
        "w": lambda e: np.exp(e["v"]) * e["u"],
        "v": lambda e: e["u"] * e["x"] + e["y"],
        "u": lambda e: np.sin(e["x"] * e["y"]),
    }

    def loss(at: float) -> float:
        e = {n: float(values[n]) for n in ("x", "y", "u", "v", "w", "L")}
        e[variable] = at
        for name in ("u", "v", "w", "L"):
            if name in processed:
                e[name] = definitions[name](e)
        return e["L"]

    here, eps = float(values[variable]), 1e-6
    return (loss(here + eps) - loss(here - eps)) / (2 * eps)
