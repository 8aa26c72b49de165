"""A loss in phistar beside the same loss in PyTorch: values, and gradients of all floats."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

import phistar as ph
from phistar.language.expression import Index

Function = Callable[..., Any]


def one_number(f: Function) -> Function:
    """f, or the sum of its squares if it keeps axes."""

    def squares(*args: Any) -> Any:
        L = f(*args)
        n = tuple(Index(f"n{k}") for k in range(len(L.shape)))
        return ph.sum[n](L[n] ** 2) if n else L

    return squares


def of_arrays(f: Function, count: int) -> Function:
    """f with as many plain parameters as it is given arrays: a traced function has no *args."""
    names = ", ".join(f"x{k}" for k in range(count))
    return eval(f"lambda {names}: f({names})", {"f": f})


def assert_same(
    ours: Function,
    theirs: Function,
    args: Sequence[np.ndarray],
    backend: str = "numpy",
    rtol: float = 1e-9,
) -> None:
    """The values, and the gradients of all floating arguments, agree."""
    import torch

    tensors = [torch.tensor(a, requires_grad=a.dtype == np.float64) for a in args]
    want = theirs(*tensors)
    want = (want**2).sum() if want.ndim else want
    want.backward()
    f = of_arrays(one_number(ours), len(args))
    value, gradients = ph.value_and_grad(f, backend=backend)(*args)
    assert_allclose(value, want.item(), rtol=rtol, atol=1e-13)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    wanted = [np.zeros(x.shape) if x.grad is None else x.grad for x in tensors if x.requires_grad]
    for got, grad in zip(gradients, wanted, strict=True):
        assert_allclose(got, grad, rtol=rtol, atol=rtol * max(np.abs(np.asarray(grad)).max(), 1e-3))
