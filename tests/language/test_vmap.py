"""ph.vmap: minibatching adds a batch index."""

import numpy as np
from numpy.testing import assert_allclose

import phistar as ph

i, j, n = ph.indices("i j n")


class Linear(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 4)


def test_every_result_has_the_batch_axis_in_front():
    """Also what is the same for all examples: a parameter, and a function of one."""

    def f(model, x):
        h, u = ph.tensors("h u")
        h[j] = model.W[j, i] * x[i]
        u[j] = 2 * model.W[j, 0]
        return h, u, model.W

    model, x = Linear(), np.arange(20, dtype=np.float32).reshape(5, 4)
    h, u, W = ph.vmap(f, n, backend="numpy")(model, x)
    assert_allclose(h, x @ model.W.value.T, rtol=1e-5)
    assert_allclose(u, np.repeat(2 * model.W.value[None, :, 0], 5, axis=0))
    assert_allclose(W, np.repeat(model.W.value[None], 5, axis=0))
