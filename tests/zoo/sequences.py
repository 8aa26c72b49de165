"""A model's loss and all its gradients against the same loss in PyTorch, in f64."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.ir.dtypes import DType
from phistar.ir.program import Kind
from phistar.language.models import Model
from phistar.transform.names import targets
from phistar.transform.retype import retype

Array = np.ndarray[Any, Any]


def f64(model: Model, seed: int = 5) -> Model:
    """The model with values of f64 for all its parameters, none of them small."""
    model.initialize(seed)
    rng = np.random.default_rng(seed)
    for tensor in model.named_tensors().values():
        tensor.data = 0.5 * rng.normal(size=tensor.shape) + (tensor.data == 1)
    return model


def parameters_of(model: Model) -> int:
    """How many numbers are to be learned."""
    return sum(math.prod(p.shape) for p in model.parameters.values())


def assert_as_torch(
    model: Model,
    loss: Callable[..., Any],
    peer: Callable[..., Any],
    batch: Mapping[str, Array],
    backend: str,
    fields: tuple[str, ...] = (),
) -> None:
    """peer(torch, p, **batch), with tensors p[name], has the same value and gradients.

    fields: tensors of the model's own program that the peer gets too, among its p.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    value, gradients, seen = of_phistar(model, loss, batch, backend, fields)
    p = {n: torch.tensor(t.data).requires_grad_() for n, t in model.parameters.items()}
    given = {name: torch.tensor(x) for name, x in seen.items()}
    theirs = peer(torch, {**p, **given}, **{name: torch.tensor(x) for name, x in batch.items()})
    theirs.backward()
    assert_allclose(value, theirs.item(), rtol=1e-9)
    for name, tensor in p.items():
        want = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        got = gradients.get(name, np.zeros(tensor.shape))
        scale = np.max(np.abs(want), initial=0.0)
        assert_allclose(got, want, rtol=1e-9, atol=1e-9 * scale + 1e-13, err_msg=f"{name}.grad")


def of_phistar(
    model: Model,
    loss: Callable[..., Any],
    batch: Mapping[str, Array],
    backend: str,
    fields: tuple[str, ...],
) -> tuple[float, dict[str, Array], dict[str, Array]]:
    """The loss's value, gradients and fields: its program with every f32 made f64."""
    single = {n: x.astype(np.float32) if x.dtype.kind == "f" else x for n, x in batch.items()}
    source = retype(ph.trace(loss, model, **single).source, DType.F64)
    value = source.outputs[0]
    wrt = [t for t in source.inputs if t.kind is Kind.PARAMETER]
    seen = [t for t in targets(source.statements) if t.name in fields]
    assert {t.name for t in seen} == set(fields)
    made = compiler.differentiate(source, value, wrt, outputs=(value, *seen))
    values = {**batch, **{name: t.data for name, t in model.named_tensors().items()}}
    inputs = {t.name: values[t.name] for t in made.program.inputs}
    results = compiler.compile(made.program, backend)(inputs, 0, 0)
    gradients = {t.name: results[made.gradients[t].name] for t in wrt}
    return float(results[value.name]), gradients, {t.name: results[t.name] for t in seen}
