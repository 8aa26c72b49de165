"""Values that are given to parameters, and copies of models."""

import copy
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar.errors import DTypeError, ShapeError

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


# Found while models were written ------------------------------------------------------------------

b, t, e, k, s = ph.indices("b t e k s")


def test_pieces_inside_a_scan_of_which_one_is_known_later() -> None:
    """x[b, t, e] = E[...], x[b, t, n + k] = c[b, t, k], where c is made in the same scan."""
    rng = np.random.default_rng(0)
    E, G, H = rng.normal(size=(7, 3)), rng.normal(size=(4, 7)), rng.normal(size=(4, 4))
    word, source = rng.integers(0, 7, (2, 5)), rng.normal(size=(2, 6, 4))

    def f(E: Any, word: Any, G: Any, H: Any, source: Any) -> Any:
        x, c, h, a = ph.tensors("x c h a")
        h[b, ph.first - 1, j] = 0
        with ph.scan(t):
            a[b, t, s] = ph.softmax[s](h[b, t - 1, j] * source[b, s, j])
            c[b, t, k] = a[b, t, s] * source[b, s, k]
            x[b, t, e] = E[word[b, t], e]
            x[b, t, 3 + k] = c[b, t, k]
            h[b, t, j] = ph.tanh(G[j, e] * x[b, t, e] + H[j, k] * h[b, t - 1, k])
        return h

    h = np.zeros((2, 4))
    found = ph.jit(f, backend="numpy")(E, word, G, H, source)
    for step in range(5):
        scores = np.einsum("bj,bsj->bs", h, source)
        weights = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        x = np.concatenate([E[word[:, step]], np.einsum("bs,bsk->bk", weights, source)], 1)
        h = np.tanh(x @ G.T + h @ H.T)
        assert_allclose(found[:, step], h, rtol=1e-12)


@pytest.mark.parametrize(
    ("number", "dtype"), [(-100, "u1"), (256, "u1"), (-129, "i1"), (2**40, "i4")]
)
def test_a_number_that_its_type_does_not_have(number: int, dtype: str) -> None:
    def f(x: Any) -> Any:
        y = ph.tensors("y")
        y[b] = ph.where(x[b] > 2, x[b], number)
        return y

    with pytest.raises(DTypeError, match=f"{number} is none of the numbers of"):
        ph.jit(f, backend="numpy")(np.arange(5, dtype=dtype))


def test_a_tensor_named_as_a_random_field() -> None:
    def f(x: Any) -> Any:
        y, normal = ph.tensors("y normal")
        normal[b] = x[b] + 1
        y[b] = normal[b] * ph.normal[b]
        return y

    text = ph.source(ph.trace(f, np.ones(3)))
    assert "y[b] = normal_2[b] * normal[b]" in text
    assert ph.jit(f, backend="numpy")(np.ones(3)).shape == (3,)


def test_an_argument_named_as_a_random_field() -> None:
    def f(normal: Any) -> Any:
        y = ph.tensors("y")
        y[b] = normal[b] * ph.normal[b]
        return y

    assert ph.jit(f, backend="numpy")(np.ones(3)).shape == (3,)


def test_a_number_named_as_an_index() -> None:
    """The program calls it otherwise; the function is called as before, the second time too."""
    i = ph.index("b")

    def f(b: Any, x: Any) -> Any:
        y = ph.tensors("y")
        y[i] = x[i] * b
        return y

    compiled = ph.jit(f, backend="numpy")
    for b_ in (np.array(2.0), np.array(3.0)):
        assert_array_equal(compiled(b_, np.ones(3)), np.full(3, b_))
