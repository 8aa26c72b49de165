"""Layers against PyTorch: a table has a row a configuration, and every public name has a row.

    ROWS = {
        "Conv2d": same("Conv2d", 3, 4, 3, inputs=(x,)),
        "Conv2d: stride 2": same("Conv2d", 3, 4, 3, stride=2, inputs=(x,)),
        "RMSNorm": Row(lambda: nn.RMSNorm(5, dtype="f64"), lambda torch: torch.nn.RMSNorm(5), (x,)),
    }
    @pytest.mark.parametrize(("name", "backend"), cases(ROWS))
    def test_against_torch(name, backend): check(ROWS[name], backend)
    def test_every_name_has_a_row(): assert_every_name_has_a_row(module, ROWS)

Compared, in f64: what the layer gives, the gradients of its inputs and of its parameters, and its
states afterwards. The loss is Σ cos(1 + i + 3 j + 5 k + ...) y[i, j, k, ...] over all results that
are floating.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import compiler, nn
from phistar.ir.program import Kind
from phistar.language.indices import index
from phistar.language.models import Model
from phistar.language.traced import Program

Array = np.ndarray[Any, Any]
Tensors = dict[str, Any]
SLOW = ("reference", "c", "xla")  # these run the first row of each layer, NumPy runs all


@dataclass(frozen=True)
class Row:
    """A layer, what it equals, and what both are given.

    layer: makes the layer, with f64 parameters (or gives a function of tensors).
    peer: from torch, a Module (made in f64 here) or a function `peer(*inputs, **parameters)`; dots
        in parameters' names become underscores.
    inputs: arrays, or tuples of arrays.
    rename: from the layer's parameters and states (torch tensors by name) those of the peer; None
        where the names are the same. A dict renames some of them, a function may also split,
        stack and turn them: gradients go through it.
    start: values that parameters or states must have; the others are random.
    training: whether layer and peer train or evaluate.
    everywhere: whether also the slow backends run this row.
    """

    layer: Callable[[], Any]
    peer: Callable[[Any], Any]
    inputs: tuple[Any, ...]
    rename: Mapping[str, str] | Callable[[Tensors], Tensors] | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    training: bool = True
    everywhere: bool = False


def same(
    name: str, *args: Any, inputs: tuple[Any, ...], everywhere: bool = False, **kwargs: Any
) -> Row:
    """A row for a layer that has PyTorch's name and takes PyTorch's arguments."""
    made = getattr(nn, name)
    typed = {"dtype": "f64"} if "dtype" in inspect.signature(made).parameters else {}
    return Row(
        lambda: made(*args, **kwargs, **typed),
        lambda torch: getattr(torch.nn, name)(*args, **kwargs),
        inputs,
        everywhere=everywhere,
    )


def normal(*shape: int, seed: int = 3) -> Array:
    """Random numbers, a function of the shape and the seed."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


# Which rows run where, and that none is missing ---------------------------------------------------


def layer_name(row: str) -> str:
    """The layer of a row: `Conv2d` of "Conv2d: stride 2"."""
    return row.partition(":")[0]


def cases(rows: Mapping[str, Row]) -> list[Any]:
    """(name, backend): all rows on NumPy, the first of each layer on the other backends."""
    return list(pairs(rows))


def pairs(rows: Mapping[str, Row]) -> Iterator[Any]:
    seen: set[str] = set()
    for name, row in rows.items():
        yield pytest.param(name, "numpy", id=f"{name}-numpy")
        if row.everywhere or layer_name(name) not in seen:
            seen.add(layer_name(name))
            for backend in SLOW:
                marks = [pytest.mark.xla] if backend == "xla" else []
                yield pytest.param(name, backend, id=f"{name}-{backend}", marks=marks)


def public_names(module: ModuleType) -> set[str]:
    """What a module defines for its users: classes and functions of its own without underscore."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and name in vars(nn)
    }


def assert_every_name_has_a_row(
    modules: ModuleType | Iterable[ModuleType],
    rows: Iterable[str],
    without: Iterable[str] = (),
) -> None:
    """Every public name of the modules that `ph.nn` exports has a row; `without`: tested apart."""
    several = (modules,) if isinstance(modules, ModuleType) else tuple(modules)
    names = set[str]().union(*(public_names(m) for m in several))
    assert names, "none of the modules' names is in phistar.nn"
    missing = names - {layer_name(r) for r in rows} - set(without)
    assert not missing, f"no row for {', '.join(sorted(missing))}"


# One row ------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one side gives: results in order, and gradients and states by name."""

    results: list[Array]
    inputs: list[Array | None]  # gradients; None for whole numbers
    parameters: dict[str, Array]  # gradients
    states: dict[str, Array]


def check(row: Row, backend: str, rtol: float = 1e-9) -> None:
    """The layer and its peer agree: results, all gradients, states."""
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    layer = row.layer()
    if isinstance(layer, Model):
        layer.training = row.training
    program = backward_program(layer, row.inputs)
    give_values(layer, row.start)
    theirs = of_torch(torch, row, layer)  # first: running the program changes the layer's states
    ours = of_phistar(program, layer, row.inputs, backend)
    compare(ours, theirs, rtol)


def give_values(layer: Any, start: Mapping[str, Any]) -> None:
    """Values for all parameters and states: random where none is given, but never small."""
    for n, (name, tensor) in enumerate(named_tensors(layer).items()):
        if name in start:
            tensor.value = np.asarray(start[name], tensor.dtype.numpy)
        elif tensor.kind is Kind.PARAMETER:
            tensor.value = normal(*tensor.shape, seed=n)
        elif tensor.dtype.is_float:
            tensor.value = np.abs(normal(*tensor.shape, seed=n)) + 0.5


def named_tensors(layer: Any) -> dict[str, Any]:
    return layer.named_tensors() if isinstance(layer, Model) else {}


def of_kind(layer: Any, kind: Kind) -> dict[str, Any]:
    return {name: t for name, t in named_tensors(layer).items() if t.kind is kind}


# phistar ------------------------------------------------------------------------------------------


def backward_program(layer: Any, inputs: tuple[Any, ...]) -> Program:
    """Results and all gradients as one program."""
    if isinstance(layer, Model):
        traced = ph.trace(lambda layer, x: weighted(layer(*x)), layer, inputs)
    else:
        traced = ph.trace(lambda x: weighted(layer(*x)), inputs)
    loss, *results = traced.results
    wrt = [t for t in traced.source.inputs if t.dtype.is_float]
    made = compiler.differentiate(traced.source, loss, wrt, outputs=(loss, *results))
    wanted = (results, {t.name: made.gradients[t] for t in wrt})
    return Program(made.program, traced.assembled, traced.bound, wanted)


def weighted(result: Any) -> tuple[Any, ...]:
    """The loss, then the results."""
    results = flat(result)
    loss = ph.tensors("loss")
    terms = [weight_of(y) for y in results if y.dtype.is_float]
    loss[()] = ph.sum(terms) if len(terms) > 1 else terms[0]
    return (loss, *results)


def weight_of(y: Any) -> Any:
    """Σ cos(1 + i + 3 j + ...) y[i, j, ...]."""
    axes = tuple(index(f"i{n}") for n in range(len(y.shape)))
    angle = 1 + ph.sum([(2 * n + 1) * i for n, i in enumerate(axes)])
    product = ph.cos(ph.cast(angle, "f64")) * y[axes]
    return ph.sum[axes](product) if axes else product


def of_phistar(program: Program, layer: Any, inputs: tuple[Any, ...], backend: str) -> Outcome:
    results, gradients = program.compile(backend)()
    found = [gradients.get(f"x.{n}") for n in input_names(inputs)]
    given = flat(inputs)
    zeros = [np.zeros_like(x) if x.dtype.kind == "f" else None for x in given]
    named = of_kind(layer, Kind.PARAMETER).items()
    return Outcome(
        [np.asarray(r) for r in results],
        [z if g is None else np.asarray(g) for g, z in zip(found, zeros, strict=True)],
        {name: gradients.get(name, np.zeros(t.shape)) for name, t in named},
        {name: t.value for name, t in of_kind(layer, Kind.STATE).items()},
    )


def input_names(inputs: Any) -> list[str]:
    """How the inputs are named in the program: 0, 1.0, 1.1, 2."""
    names: list[str] = []
    for n, x in enumerate(inputs):
        names += [f"{n}.{m}" for m in input_names(x)] if isinstance(x, tuple | list) else [str(n)]
    return names


# PyTorch ------------------------------------------------------------------------------------------


def of_torch(torch: Any, row: Row, layer: Any) -> Outcome:
    def leaf(x: Array, gradient: bool = True) -> Any:
        made = torch.tensor(np.array(x))
        return made.requires_grad_(gradient and made.is_floating_point())

    xs = map_nested(row.inputs, leaf)
    parameters = {n: leaf(t.value) for n, t in of_kind(layer, Kind.PARAMETER).items()}
    states = {n: leaf(t.value, False) for n, t in of_kind(layer, Kind.STATE).items()}
    peer = row.peer(torch)
    ys = flat(call_peer(torch, peer, renamed(row.rename, {**parameters, **states}), xs, row))
    sum((y * torch.tensor(weights(y.shape))).sum() for y in ys if y.is_floating_point()).backward()
    return Outcome(
        [y.detach().numpy() for y in ys],
        [gradient_of(x) if x.requires_grad else None for x in flat(xs)],
        {name: gradient_of(t) for name, t in parameters.items()},
        {name: t.numpy() for name, t in states.items()},
    )


def call_peer(torch: Any, peer: Any, tensors: Tensors, xs: tuple[Any, ...], row: Row) -> Any:
    if not isinstance(peer, torch.nn.Module):
        return peer(*xs, **{name.replace(".", "_"): t for name, t in tensors.items()})
    peer.double().train(row.training)
    missing = {name for name, _ in peer.named_parameters()} - set(tensors)
    assert not missing, f"the peer's {', '.join(sorted(missing))} would keep its own value"
    return torch.func.functional_call(peer, tensors, xs)


def renamed(rename: Any, tensors: Tensors) -> Tensors:
    if callable(rename):
        return rename(tensors)
    return {(rename or {}).get(name, name): t for name, t in tensors.items()}


def weights(shape: tuple[int, ...]) -> Array:
    grids = np.indices(tuple(shape), float)
    return np.cos(1 + sum((2 * n + 1) * grid for n, grid in enumerate(grids)) + np.zeros(shape))


def gradient_of(x: Any) -> Array:
    return np.zeros(x.shape) if x.grad is None else x.grad.numpy()


# Both ---------------------------------------------------------------------------------------------


def flat(nested: Any) -> list[Any]:
    """The tensors of tuples, lists and dicts in order, without None."""
    match nested:
        case None:
            return []
        case tuple() | list():
            return [t for part in nested for t in flat(part)]
        case dict():
            return [t for part in nested.values() for t in flat(part)]
    return [nested]


def map_nested(nested: Any, f: Callable[[Any], Any]) -> Any:
    if isinstance(nested, tuple | list):
        return tuple(map_nested(part, f) for part in nested)
    return f(nested)


def compare(ours: Outcome, theirs: Outcome, rtol: float) -> None:
    assert len(ours.results) == len(theirs.results)
    for n, (got, want) in enumerate(zip(ours.results, theirs.results, strict=True)):
        assert_close(got, want, rtol, f"result {n}")
    for n, (got, want) in enumerate(zip(ours.inputs, theirs.inputs, strict=True)):
        assert (got is None) == (want is None)
        if got is not None:
            assert_close(got, want, rtol, f"gradient of input {n}")
    for name, want in theirs.parameters.items():
        assert_close(ours.parameters[name], want, rtol, f"gradient of {name}")
    for name, want in theirs.states.items():
        assert_close(ours.states[name], want, rtol, f"state {name}")


def assert_close(got: Array, want: Array, rtol: float, what: str) -> None:
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    if want.dtype.kind != "f":
        assert_array_equal(got, want, err_msg=what)
        return
    assert got.dtype == want.dtype, f"{what}: {got.dtype}, not {want.dtype}"
    scale = np.max(np.abs(want[np.isfinite(want)]), initial=0.0)
    assert_allclose(got, want, rtol=rtol, atol=rtol * scale, err_msg=what)
