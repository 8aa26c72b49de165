"""Models as people write them: their source as golden text, their gradients checked."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from differences import assert_gradients
from goldens import assert_golden
from phistar import exp, log, relu, sigmoid, softmax, sqrt, tanh

b, i, j, k, y, t, u, h, d, e, l, w = ph.indices("b i j k y t u h d e l w")
p, q, c, m, n = ph.indices("p q c m n")
rng = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


def mlp(x, label, W0, b0, W1, b1):
    h, s, P = ph.tensors("h s P")
    h[b, j] = relu(W0[j, i] * x[b, i] + b0[j])
    s[b, y] = W1[y, j] * h[b, j] + b1[y]
    P[b, y] = softmax[y](s[b, y])
    return ph.mean[b](-log(P[b, label[b]]))


def lenet(img, label, K1, c1, K2, c2, W, d0):
    v, z = ph.indices("v z", v=2, z=2)
    r, u = ph.indices("r u")
    a1, m1, a2, s = ph.tensors("a1 m1 a2 s")
    a1[b, p, q, k] = relu(K1[k, r, u, c] * img[b, ph.pad(p + r, 1), ph.pad(q + u, 1), c] + c1[k])
    m1[b, p, q, k] = ph.max[v, z](a1[b, 2 * p + v, 2 * q + z, k])
    a2[b, p, q, l] = relu(K2[l, r, u, k] * m1[b, 2 * p + r, 2 * q + u, k] + c2[l])
    s[b, y] = ph.sum[p, q, l](W[y, p, q, l] * a2[b, p, q, l]) + d0[y]
    return ph.mean[b](ph.logsumexp[y](s[b, y]) - s[b, label[b]])


def lstm(x, h0, Wf, Uf, Wi, Ui, Wo, Uo, Wg, Ug, V):
    f, a, o, g, c, h, s = ph.tensors("f a o g c h s")
    h[b, ph.first - 1, j] = h0[b, j]
    c[b, ph.first - 1, j] = 0
    with ph.scan(t):
        f[b, t, j] = sigmoid(Wf[j, i] * x[b, t, i] + Uf[j, k] * h[b, t - 1, k])
        a[b, t, j] = sigmoid(Wi[j, i] * x[b, t, i] + Ui[j, k] * h[b, t - 1, k])
        o[b, t, j] = sigmoid(Wo[j, i] * x[b, t, i] + Uo[j, k] * h[b, t - 1, k])
        g[b, t, j] = tanh(Wg[j, i] * x[b, t, i] + Ug[j, k] * h[b, t - 1, k])
        c[b, t, j] = f[b, t, j] * c[b, t - 1, j] + a[b, t, j] * g[b, t, j]
        h[b, t, j] = o[b, t, j] * tanh(c[b, t, j])
    s[b, y] = V[y, j] * h[b, ph.last, j]
    return ph.mean[b](ph.logsumexp[y](s[b, y]) - s[b, 0])


@ph.elementwise
def gelu(z):
    return z * sigmoid(1.702 * z)


def gpt(tok, nxt, E, P, ga, gb, gf, Wq, Wk, Wv, Wo, W1, c1, W2, c2):
    l = ph.index("l", 2)
    h = ph.index("h", 2)
    x, r1, xa, q, k, v, a, o, z, r2, xb, f, s = ph.tensors("x r1 xa q k v a o z r2 xb f s")
    x[ph.first - 1, b, t, e] = E[tok[b, t], e] + P[t, e]
    with ph.scan(l):
        r1[l, b, t] = 1 / sqrt(ph.mean[e](x[l - 1, b, t, e] ** 2) + 1e-5)
        xa[l, b, t, e] = ga[l, e] * x[l - 1, b, t, e] * r1[l, b, t]
        q[l, b, t, h, d] = Wq[l, h, d, e] * xa[l, b, t, e]
        k[l, b, t, h, d] = Wk[l, h, d, e] * xa[l, b, t, e]
        v[l, b, t, h, d] = Wv[l, h, d, e] * xa[l, b, t, e]
        a[l, b, h, t, u] = softmax[u : u <= t](q[l, b, t, h, d] * k[l, b, u, h, d] / sqrt(d.size))
        o[l, b, t, (h, d)] = a[l, b, h, t, u] * v[l, b, u, h, d]
        z[l, b, t, e] = x[l - 1, b, t, e] + Wo[l, e, m] * o[l, b, t, m]
        r2[l, b, t] = 1 / sqrt(ph.mean[e](z[l, b, t, e] ** 2) + 1e-5)
        xb[l, b, t, e] = gb[l, e] * z[l, b, t, e] * r2[l, b, t]
        f[l, b, t, n] = gelu(W1[l, n, e] * xb[l, b, t, e] + c1[l, n])
        x[l, b, t, e] = z[l, b, t, e] + W2[l, e, n] * f[l, b, t, n] + c2[l, e]
    s[b, t, w] = ph.sum[e](E[w, e] * gf[e] * x[ph.last, b, t, e])
    return ph.mean[b, t](ph.logsumexp[w](s[b, t, w]) - s[b, t, nxt[b, t]])


def vae(x, Wm, Wl, Wd):
    mu, lv, z, xr = ph.tensors("mu lv z xr")
    mu[b, k] = Wm[k, i] * x[b, i]
    lv[b, k] = Wl[k, i] * x[b, i]
    z[b, k] = mu[b, k] + exp(lv[b, k] / 2) * ph.normal[b, k]
    xr[b, i] = sigmoid(Wd[i, k] * z[b, k])
    return ph.mean[b](
        ph.sum[i](-x[b, i] * log(xr[b, i]) - (1 - x[b, i]) * log(1 - xr[b, i]))
        + ph.sum[k](exp(lv[b, k]) + mu[b, k] ** 2 - 1 - lv[b, k]) / 2
    )


def dropout(x, W):
    keep = 0.8
    hd = ph.tensors("hd")
    hd[b, j] = ph.where(ph.uniform[b, j] < keep, tanh(W[j, i] * x[b, i]) / keep, 0)
    return ph.mean[b](ph.sum[j](hd[b, j] ** 2))


@ph.elementwise(d=lambda y, x: sigmoid(x))
def softplus(x):
    return ph.log1p(exp(-abs(x))) + ph.max(x, 0)


def own_softplus(x, W):
    return ph.mean[b](ph.sum[j](softplus(W[j, i] * x[b, i])))


def concatenation(a, c, W):
    z, s = ph.tensors("z s")
    z[b, k] = tanh(a[b, k])
    z[b, k.size + m] = c[b, m] ** 2
    s[b, j] = W[j, n] * z[b, n]
    return ph.sum[b, j](s[b, j] ** 2)


def batch_norm(x, g, e0):
    mu, var, xn = ph.tensors("mu var xn")
    mu[j] = ph.mean[b](x[b, j])
    var[j] = ph.mean[b]((x[b, j] - mu[j]) ** 2)
    xn[b, j] = g[j] * (x[b, j] - mu[j]) / sqrt(var[j] + 1e-5) + e0[j]
    return ph.sum[b, j](xn[b, j] ** 3)


MODELS = {
    "mlp": (
        mlp,
        [normal(4, 5), np.array([0, 2, 1, 2]), normal(6, 5), normal(6), normal(3, 6), normal(3)],
    ),
    "lenet": (
        lenet,
        [normal(2, 8, 8, 1), np.array([1, 0]), normal(2, 3, 3, 1), normal(2), normal(3, 3, 3, 2),
         normal(3), normal(4, 1, 1, 3), normal(4)],
    ),
    "lstm": (
        lstm,
        [normal(2, 5, 3), normal(2, 4), *(normal(4, n) for _ in range(4) for n in (3, 4)),
         normal(3, 4)],
    ),
    "gpt": (
        gpt,
        [rng.integers(0, 5, (2, 3)), rng.integers(0, 5, (2, 3)), normal(5, 4), normal(3, 4),
         normal(2, 4), normal(2, 4), normal(4), normal(2, 2, 2, 4), normal(2, 2, 2, 4),
         normal(2, 2, 2, 4), normal(2, 4, 4), normal(2, 6, 4), normal(2, 6), normal(2, 4, 6),
         normal(2, 4)],
    ),
    "vae": (vae, [rng.random((3, 4)), normal(2, 4), normal(2, 4), normal(4, 2)]),
    "dropout": (dropout, [normal(3, 4), normal(5, 4)]),
    "own_softplus": (own_softplus, [normal(3, 4), normal(5, 4)]),
    "concatenation": (concatenation, [normal(2, 3), normal(2, 4), normal(5, 7)]),
    "batch_norm": (batch_norm, [normal(6, 3), normal(3), normal(3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_source_and_backward_are_golden(name: str) -> None:
    f, args = MODELS[name]
    traced = ph.trace(f, *args)
    assert_golden(f"{name}.forward.txt", ph.source(traced))
    assert_golden(f"{name}.backward.txt", ph.backward_source(traced))


@pytest.mark.parametrize("name", MODELS)
def test_gradients(name: str) -> None:
    f, args = MODELS[name]
    assert_gradients(f, *args)


def test_a_layer_serves_any_number_of_batch_axes() -> None:
    def dots(x, W, c):
        y = ph.tensors("y")
        y[..., j] = W[j, i] * x[..., i] + c[j]
        return y

    def star(x, W, c):
        axes = (b, t)[: len(x.shape) - 1]
        y = ph.tensors("y")
        y[*axes, j] = W[j, i] * x[*axes, i] + c[j]
        return y

    W, c = normal(3, 4), normal(3)
    for layer in (dots, star):
        for shape in ((5, 4), (2, 5, 4)):
            x = normal(*shape)
            assert_allclose(ph.jit(layer)(x, W, c), x @ W.T + c, rtol=1e-12)


def test_batch_norm_keeps_a_running_mean() -> None:
    class BatchNorm(ph.Model):
        def __init__(self) -> None:
            self.running = ph.state(3, dtype="f64")

        def __call__(self, x):
            mu, xn = ph.tensors("mu xn")
            if self.training:
                mu[j] = ph.mean[b](x[b, j])
                self.running[j] += 0.1 * (ph.stop_gradient(mu[j]) - self.running[j])
            else:
                mu[j] = self.running[j]
            xn[b, j] = x[b, j] - mu[j]
            return xn

    model, x = BatchNorm(), normal(5, 3)
    step = ph.jit(lambda model, x: model(x))
    assert_allclose(step(model, x), x - x.mean(0), rtol=1e-12)
    assert_allclose(model.running.value, 0.1 * x.mean(0), rtol=1e-12)
    step(model, x)
    assert_allclose(model.running.value, 0.19 * x.mean(0), rtol=1e-12)
    model.training = False
    assert_allclose(step(model, x), x - 0.19 * x.mean(0), rtol=1e-12)
    assert_allclose(model.running.value, 0.19 * x.mean(0), rtol=1e-12)


def test_adam_as_equations() -> None:
    W0, x = normal(3, 4), normal(5, 4)

    class Adam(ph.Model):
        def __init__(self) -> None:
            self.W = ph.param(3, 4, init=W0, dtype="f64")
            self.m = ph.state(3, 4, dtype="f64")
            self.v = ph.state(3, 4, dtype="f64")
            self.step = ph.state((), dtype="f64")

    def loss(model, x):
        return ph.mean[b](ph.sum[j](tanh(model.W[j, i] * x[b, i]) ** 2))

    gradient = ph.grad(loss)

    def train(model, x, lr=1e-2, b1=0.9, b2=0.999, eps=1e-8):
        g = gradient(model, x)["W"]
        model.step[()] = model.step[()] + 1
        model.m[...] = b1 * model.m[...] + (1 - b1) * g[...]
        model.v[...] = b2 * model.v[...] + (1 - b2) * g[...] ** 2
        step = model.step[()]
        model.W[...] += (
            -lr * (model.m[...] / (1 - b1**step)) / (sqrt(model.v[...] / (1 - b2**step)) + eps)
        )

    model, one_step = Adam(), ph.jit(train)
    W, m_, v_ = W0.copy(), 0.0, 0.0
    for step in range(1, 21):
        z = np.tanh(x @ W.T)
        g = (2 * z * (1 - z**2)).T @ x / 5
        m_, v_ = 0.9 * m_ + 0.1 * g, 0.999 * v_ + 0.001 * g**2
        W = W - 1e-2 * (m_ / (1 - 0.9**step)) / (np.sqrt(v_ / (1 - 0.999**step)) + 1e-8)
        one_step(model, x)
    assert_allclose(model.W.value, W, rtol=1e-9)
