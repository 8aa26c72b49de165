"""Gradients against PyTorch in float64: the same models, written in both."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import relu, sigmoid, softmax, sqrt, tanh

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch

b, i, j, k, y, t, u, h, d, e, c, p, q, r, v, w = ph.indices("b i j k y t u h d e c p q r v w")
rng = np.random.default_rng(3)


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


def assert_same_gradients(ours, theirs, args, rtol: float = 1e-10) -> None:
    """Values and gradients of both functions agree, for every float argument."""
    tensors = [torch.tensor(a, requires_grad=a.dtype == np.float64) for a in args]
    loss = theirs(*tensors)
    loss.backward()
    value, gradients = ph.value_and_grad(ours)(*args)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert_allclose(value, loss.item(), rtol=rtol)
    wanted = [x.grad.numpy() for x in tensors if x.requires_grad]
    for got, want in zip(gradients, wanted, strict=True):
        assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def test_mlp() -> None:
    def ours(x, label, W0, b0, W1, b1):
        h, s, P = ph.tensors("h s P")
        h[b, j] = relu(W0[j, i] * x[b, i] + b0[j])
        s[b, y] = W1[y, j] * h[b, j] + b1[y]
        P[b, y] = softmax[y](s[b, y])
        return ph.mean[b](-ph.log(P[b, label[b]]))

    def theirs(x, label, W0, b0, W1, b1):
        h = torch.relu(x @ W0.T + b0)
        return torch.nn.functional.cross_entropy(h @ W1.T + b1, label)

    args = [
        normal(8, 20),
        rng.integers(0, 5, 8),
        normal(16, 20),
        normal(16),
        normal(5, 16),
        normal(5),
    ]
    assert_same_gradients(ours, theirs, args)


def test_two_layer_convolution_with_padding_and_stride() -> None:
    def ours(x, K1, c1, K2, c2):
        a, o = ph.tensors("a o")
        a[b, p, q, k] = tanh(
            K1[k, r, v, c] * x[b, ph.pad(2 * p + r, 1), ph.pad(2 * q + v, 1), c] + c1[k]
        )
        o[b, p, q, j] = K2[j, r, v, k] * a[b, ph.pad(2 * p + r, 1), ph.pad(2 * q + v, 1), k] + c2[j]
        return ph.sum[b, p, q, j](o[b, p, q, j] ** 2)

    def theirs(x, K1, c1, K2, c2):
        conv = torch.nn.functional.conv2d
        a = conv(x.permute(0, 3, 1, 2), K1.permute(0, 3, 1, 2), c1, stride=2, padding=1)
        o = conv(torch.tanh(a), K2.permute(0, 3, 1, 2), c2, stride=2, padding=1)
        return (o**2).sum()

    args = [normal(2, 9, 8, 3), normal(4, 3, 3, 3), normal(4), normal(5, 3, 3, 4), normal(5)]
    assert_same_gradients(ours, theirs, args)


def test_lstm_over_seven_steps() -> None:
    def ours(x, Wi, Wh, bi, bh):
        g, c_, h = ph.tensors("g c h")
        z, n = ph.index("z", 4), ph.index("n", 5)
        h[b, ph.first - 1, n] = 0
        c_[b, ph.first - 1, n] = 0
        with ph.scan(t):
            g[b, t, z, n] = (
                Wi[(z, n), i] * x[b, t, i]
                + Wh[(z, n), j] * h[b, t - 1, j]
                + bi[(z, n),]
                + bh[(z, n),]
            )
            c_[b, t, n] = sigmoid(g[b, t, 1, n]) * c_[b, t - 1, n] + sigmoid(g[b, t, 0, n]) * tanh(
                g[b, t, 2, n]
            )
            h[b, t, n] = sigmoid(g[b, t, 3, n]) * tanh(c_[b, t, n])
        return ph.sum[b, t, n](h[b, t, n] ** 2)

    def theirs(x, Wi, Wh, bi, bh):
        lstm = torch.nn.LSTM(3, 5, batch_first=True).double()
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        values = dict(zip(names, (Wi, Wh, bi, bh), strict=True))
        out, _ = torch.func.functional_call(lstm, values, (x,))
        return (out**2).sum()

    args = [normal(4, 7, 3), normal(20, 3), normal(20, 5), normal(20), normal(20)]
    assert_same_gradients(ours, theirs, args)


def test_masked_softmax_attention() -> None:
    def ours(x, Wq, Wk, Wv):
        q, k, v, a, o = ph.tensors("q k v a o")
        q[b, t, h, d] = Wq[h, d, e] * x[b, t, e]
        k[b, t, h, d] = Wk[h, d, e] * x[b, t, e]
        v[b, t, h, d] = Wv[h, d, e] * x[b, t, e]
        a[b, h, t, u] = softmax[u : u <= t](q[b, t, h, d] * k[b, u, h, d] / sqrt(d.size))
        o[b, t, (h, d)] = a[b, h, t, u] * v[b, u, h, d]
        return ph.sum[b, t, w](o[b, t, w] ** 3)

    def theirs(x, Wq, Wk, Wv):
        q, k, v = (torch.einsum("hde,bte->bhtd", W, x) for W in (Wq, Wk, Wv))
        o = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return (o.permute(0, 2, 1, 3).reshape(2, 6, 8) ** 3).sum()

    assert_same_gradients(ours, theirs, [normal(2, 6, 8), *(normal(2, 4, 8) for _ in range(3))])


def test_embedding_with_repeated_words() -> None:
    def ours(word, E, W):
        s = ph.tensors("s")
        s[b, t, y] = W[y, e] * E[word[b, t], e]
        return ph.mean[b, t](ph.logsumexp[y](s[b, t, y]) - s[b, t, word[b, t]])

    def theirs(word, E, W):
        s = torch.nn.functional.embedding(word, E) @ W.T
        return torch.nn.functional.cross_entropy(s.reshape(-1, 6), word.reshape(-1))

    word = np.array([[0, 1, 1, 5], [5, 5, 2, 0]])
    assert_same_gradients(ours, theirs, [word, normal(6, 3), normal(6, 3)])


def test_a_tied_weight_used_three_times() -> None:
    def ours(x, W):
        a, o, z = ph.tensors("a o z")
        a[b, j] = tanh(W[j, i] * x[b, i])
        o[b, k] = tanh(W[j, k] * a[b, j])
        z[b, j] = W[j, i] * o[b, i]
        return ph.sum[b, j](z[b, j] ** 2)

    def theirs(x, W):
        return ((torch.tanh(torch.tanh(x @ W.T) @ W) @ W.T) ** 2).sum()

    assert_same_gradients(ours, theirs, [normal(3, 4), normal(5, 4)])


def test_max_with_ties_has_one_winner() -> None:
    def ours(x):
        m = ph.tensors("m")
        m[b] = ph.max[i](x[b, i])
        return ph.sum[b](m[b] ** 2)

    def theirs(x):
        return (x.max(dim=1).values ** 2).sum()

    x = np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0], [0.0, -1.0, 0.0, 0.0]])
    assert_same_gradients(ours, theirs, [x])


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
@pytest.mark.parametrize("masked", [False, True])
def test_log_of_softmax_is_stable(scale: float, masked: bool) -> None:
    def ours(s, label):
        P = ph.tensors("P")
        P[b, y] = softmax[y](s[b, y])
        return ph.mean[b](-ph.log(P[b, label[b]]))

    def theirs(s, label):
        return torch.nn.functional.nll_loss(torch.log_softmax(s, 1), label)

    s, label = scale * rng.uniform(-1, 1, (6, 5)), np.array([0, 1, 2, 0, 1, 2])
    if masked:
        s[:, 3] = -np.inf
    assert_same_gradients(ours, theirs, [s, label])
    value, gradient = ph.value_and_grad(ours)(s, label)
    assert np.isfinite(value) and np.isfinite(gradient).all()
