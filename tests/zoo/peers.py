"""A zoo model against the same model in PyTorch, in f64: its loss, all its gradients.

    ROWS = {"lenet": Row(lenet_loss)}        def lenet_loss(torch, p, x, label): ...

The model and its minibatch are the small ones of the recipe. A peer gets the parameters and states
by their names, and the columns; with `fields`, also those tensors of the model's own program, such
as random numbers, by their names.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import compiler
from phistar.cli.recipes import RECIPES
from phistar.cli.recipes.recipe import Loss
from phistar.ir.dtypes import DType
from phistar.ir.program import Kind
from phistar.language.models import Model
from phistar.training.columns import asked_by
from phistar.transform.names import targets
from phistar.transform.retype import retype

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Row:
    """What a recipe's loss equals.

    peer: peer(torch, p, **columns) -> loss, with tensors p[name]. recipe: its name, if the row's
    has more in it. part: which objective. training: whether the model trains. fields: names of
    tensors of the forward program that the peer needs too. model: another small model than the
    recipe's, and its minibatch.
    """

    peer: Callable[..., Any]
    recipe: str = ""
    part: str = ""
    training: bool = True
    fields: tuple[str, ...] = ()
    model: Callable[[Any], tuple[Model, dict[str, Any]]] | None = None


@dataclass
class Ours:
    """What phistar gives, and what it was given."""

    loss: float
    gradients: dict[str, Array]
    parameters: dict[str, Array]
    states: dict[str, Array]
    fields: dict[str, Array]


def cases(rows: Iterable[str], xla: Collection[str] = ()) -> list[Any]:
    """Every row on numpy, c and reference; those named in `xla` also there."""
    found = []
    for name in rows:
        for backend in ("numpy", "c", "reference", *(["xla"] if name in xla else [])):
            marks = [pytest.mark.xla] if backend == "xla" else []
            found.append(pytest.param(name, backend, id=f"{name}-{backend}", marks=marks))
    return found


def check(name: str, row: Row, backend: str) -> None:
    """The loss and every gradient are the peer's."""
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    recipe = RECIPES[row.recipe or name.partition(":")[0]]
    rng = np.random.default_rng(3)
    model, batch = (row.model or recipe.small)(rng)
    give_values(model, rng)
    model.training = row.training
    ours = of_phistar(recipe.losses[row.part], model, batch, row.fields, backend)
    p = {name: torch.tensor(x).requires_grad_() for name, x in ours.parameters.items()}
    columns = {name: torch.tensor(x) for name, x in batch.items()}
    given = {name: torch.tensor(x) for name, x in {**ours.states, **ours.fields}.items()}
    loss = row.peer(torch, {**p, **given}, **columns)
    loss.backward()
    assert_allclose(ours.loss, loss.item(), rtol=1e-9)
    largest = max(np.max(np.abs(g)) for g in ours.gradients.values())
    for name, tensor in p.items():
        want = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        got = ours.gradients.get(name, np.zeros(tensor.shape))
        atol = 1e-9 * np.max(np.abs(want), initial=0.0) + 1e-13 * largest  # of what cancels
        assert_allclose(got, want, rtol=1e-9, atol=atol, err_msg=f"{name}.grad")


def give_values(model: Model, rng: np.random.Generator) -> None:
    """The initial values, moved a little, so that no bias is 0."""
    model.initialize(0)
    for tensor in model.named_tensors().values():
        if tensor.dtype.is_float:
            values = np.asarray(tensor.data, np.float64)
            noise = 0.1 * rng.normal(size=values.shape)
            tensor.data = values + (noise if tensor.kind is Kind.PARAMETER else np.abs(noise))


def of_phistar(
    loss: Loss, model: Model, batch: dict[str, Any], fields: tuple[str, ...], backend: str
) -> Ours:
    """The loss's program with every f32 made f64."""
    small = {n: x.astype(np.float32) if x.dtype.kind == "f" else x for n, x in batch.items()}
    traced = ph.trace(loss, model, **asked_by(loss, small))
    source = retype(traced.source, DType.F64)
    wrt = [t for t in source.inputs if t.kind is Kind.PARAMETER]
    wanted = [next(t for t in targets(source.statements) if t.name == f) for f in fields]
    made = compiler.differentiate(
        source, source.outputs[0], wrt, outputs=(source.outputs[0], *wanted)
    )
    values = {name: t.data for name, t in model.named_tensors().items()}
    inputs = {t.name: {**batch, **values}[t.name] for t in made.program.inputs}
    results = compiler.compile(made.program, backend)(inputs, 0, 0)
    return Ours(
        float(results[source.outputs[0].name]),
        {t.name: results[made.gradients[t].name] for t in wrt},
        {n: t.data for n, t in model.parameters.items()},
        {n: t.data for n, t in model.states.items()},
        {t.name: results[t.name] for t in wanted},
    )
