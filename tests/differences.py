"""Central differences of a function of arrays, to hold gradients against."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import phistar as ph


def differences(
    f: Callable[..., Any], args: list[np.ndarray], which: int, eps: float
) -> np.ndarray:
    """df/d(args[which]), element by element."""
    x = args[which]
    out = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * eps
            ends.append(float(f(*args[:which], moved, *args[which + 1 :])))
        out[at] = (ends[0] - ends[1]) / (2 * eps)
    return out


def assert_gradients(
    f: Callable[..., Any], *args: Any, rtol: float = 2e-6, eps: float = 1e-5, backend: str = "numpy"
) -> None:
    """ph.grad(f) equals central differences of ph.jit(f), for every float64 argument."""
    value = ph.jit(f, backend=backend)
    arrays = [np.asarray(a) for a in args]
    floating = [n for n, a in enumerate(arrays) if a.dtype == np.float64]
    gradients = ph.grad(f, backend=backend)(*arrays)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert len(gradients) == len(floating)
    for n, gradient in zip(floating, gradients, strict=True):
        want = differences(value, arrays, n, eps)
        scale = max(1e-3, float(np.abs(want).max(initial=0)))
        assert_allclose(gradient, want, rtol=rtol, atol=rtol * scale, err_msg=f"argument {n}")
