"""Whether compiled code computes what numpy computes."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import compiler
from phistar.backends.c.generate import generate


def agrees(f: Callable[..., Any], *args: Any, rtol: float = 1e-9) -> str:
    """Value and gradients are numpy's, for one thread and for three; the C source."""
    want = ph.value_and_grad(f, backend="numpy")(*args)
    compiled = ph.value_and_grad(f, backend="c")
    found = []
    for threads in ("1", "3"):
        os.environ["PHISTAR_THREADS"] = threads
        try:
            found.append(compiled(*args))
        finally:
            del os.environ["PHISTAR_THREADS"]
    assert_allclose(found[0][0], want[0], rtol=rtol)
    for one, three, right in zip(*(grads(x) for x in (*found, want)), strict=True):
        scale = np.abs(right).max(initial=0)
        assert_allclose(one, right, rtol=rtol, atol=rtol * scale)
        assert_array_equal(one, three)
    return generate(compiler.lower(compiled.program(*args).source)).source


def grads(result: Any) -> list[np.ndarray]:
    return list(result[1]) if isinstance(result[1], tuple) else [result[1]]
