"""The pipeline on one page: from equations to a program that a backend can run.

source         what the user wrote, with log(softmax) in its stable form
differentiate  source, lifted, followed by its backward program: a source program again
lower          no reduction nodes, nothing computed twice, products in a good order
compile        the lowered program, compiled by a backend
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from phistar.errors import BackendError
from phistar.ir.build import const, settle, whole
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Kind, Program, Statement, Tensor
from phistar.ir.walk import map_assign, map_statements, read_tensors, replace_tensors
from phistar.transform.flatten import flatten
from phistar.transform.lift import lift
from phistar.transform.names import names_of, targets
from phistar.transform.prune import prune
from phistar.transform.simplify import simplify
from phistar.transform.stabilise import stabilise
from phistar.transform.swap import Backward, Step, swap
from phistar.transform.versions import commits, everywhere, refuse_lost_values, versions

if TYPE_CHECKING:
    from phistar.backends.contract import Compiled

try:
    from phistar.transform.reuse import reuse
except ImportError:

    def reuse(p):
        return p


try:
    from phistar.transform.contract import contract
except ImportError:

    def contract(p):
        return p


Pass = Callable[[Program], Program]

LOWERING: tuple[Pass, ...] = (stabilise, lift, flatten, simplify, reuse, contract, prune)
BACKENDS = {
    "reference": "phistar.backends.reference",
    "numpy": "phistar.backends.arrays.numpy",
    "xla": "phistar.backends.arrays.xla",
}


def source(program: Program) -> Program:
    """The program as it is shown and differentiated: stable."""
    return run_passes(program, (stabilise,))


def lower(program: Program) -> Program:
    """The program ready for a backend: flat, with nothing that no output needs."""
    return run_passes(program, LOWERING)


def compile(program: Program, backend: str | None = None) -> "Compiled":
    """The program, compiled: a function of arrays by name. BackendError for an unknown backend."""
    module = backend_module(default_backend() if backend is None else backend)
    compiled: Compiled = module.compile(lower(program))
    return compiled


def default_backend() -> str:
    """PHISTAR_BACKEND, else numpy."""
    return os.environ.get("PHISTAR_BACKEND") or "numpy"


def backend_module(name: str) -> ModuleType:
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise BackendError(f"there is no backend {name!r}; the backends are {known}")
    return import_module(BACKENDS[name])


def run_passes(program: Program, passes: Iterable[Pass]) -> Program:
    """The program after the passes; with PHISTAR_CHECK=1 it is checked after each."""
    for run in passes:
        program = checked(run(program))
    return program


def checked(program: Program) -> Program:
    """The program, which the checker has seen if PHISTAR_CHECK=1."""
    if os.environ.get("PHISTAR_CHECK") == "1":
        check(program)
    return program


# Derivatives --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Differentiated:
    """A program with its backward program.

    `gradients` says which tensor holds the gradient of which; `loss_grad` is the adjoint of the
    loss: 1, or an input, where the caller gives it. `steps` has the backward statements beside the
    forward statements that they come from.
    """

    program: Program
    gradients: Mapping[Tensor, Tensor]
    loss_grad: Tensor
    steps: tuple[Step, ...]


def differentiate(
    program: Program,
    loss: Tensor,
    wrt: Iterable[Tensor] | None = None,
    given: bool = False,
    outputs: Iterable[Tensor] | None = None,
) -> Differentiated:
    """The program followed by its backward program: forward, backward, updates.

    The adjoint of the loss is 1, or, if `given`, an input named like `L.grad`. A tensor of `wrt`
    that the loss does not depend on has gradient 0. The outputs are the given ones (None: the
    program's own), then the gradients of `wrt`.
    """
    whole_program = run_passes(program, (stabilise, versions))
    statements, updates = commits(whole_program.statements)
    forward = run_passes(replace(whole_program, statements=statements), (lift,))
    wrt = None if wrt is None else tuple(wrt)
    backward = swap(forward, loss, wrt)
    refuse_lost_values(forward.statements, backward.statements)
    seed: list[Assign] = []
    if not given:
        backward = with_seed_one(backward)
        seed = [constant(backward.loss_grad, 1)]
    gradients, zeros = gradients_of(forward, backward, wrt)
    asked = program.outputs if outputs is None else tuple(outputs)
    result = replace(
        whole_program,
        statements=(*forward.statements, *seed, *backward.statements, *zeros, *updates),
        inputs=(*program.inputs, backward.loss_grad) if given else program.inputs,
        outputs=tuple(dict.fromkeys((*asked, *gradients.values()))),
    )
    return Differentiated(result, gradients, backward.loss_grad, backward.steps)


def with_seed_one(backward: Backward) -> Backward:
    """The backward program with L.grad as a value, 1."""
    given = backward.loss_grad
    seed = replace(given, kind=Kind.VALUE)
    swapped = {given: seed}

    def settle_seed(a: Assign) -> list[Assign]:
        return [map_assign(a, lambda e: replace_tensors(e, swapped))]

    steps = tuple((s, map_statements(b, settle_seed)) for s, b in backward.steps)
    adjoints = {t: swapped.get(grad, grad) for t, grad in backward.adjoints.items()}
    return Backward(seed, steps, adjoints)


def constant(tensor: Tensor, value: float) -> Assign:
    """tensor[...] = value."""
    return Assign(whole(tensor, everywhere(tensor)), Op.SET, settle(const(value), tensor.dtype))


def gradients_of(
    forward: Program, backward: Backward, wrt: tuple[Tensor, ...] | None
) -> tuple[dict[Tensor, Tensor], list[Assign]]:
    """The gradient of each tensor of `wrt`, and statements for those that are 0."""
    found = dict(backward.adjoints)
    if wrt is None:
        return found, []
    names = names_of(replace(forward, statements=(*forward.statements, *backward.statements)))
    zeros = []
    for tensor in wrt:
        if tensor not in found:
            name = names.fresh(f"{tensor.name}.grad")
            found[tensor] = replace(tensor, name=name, kind=Kind.VALUE)
            zeros.append(constant(found[tensor], 0))
    return {tensor: found[tensor] for tensor in wrt}, zeros


def gradient_program(
    program: Program, loss: Tensor, wrt: Iterable[Tensor] | None = None
) -> tuple[Program, Mapping[Tensor, Tensor]]:
    """The program followed by its backward program, and which tensor holds which gradient."""
    result = differentiate(program, loss, wrt)
    return result.program, result.gradients


def backward_statements(
    program: Program, loss: Tensor, wrt: Iterable[Tensor] | None = None
) -> Program:
    """The backward statements alone, from L.grad = 1 on."""
    result = differentiate(program, loss, wrt)
    statements = tuple(s for _, some in result.steps for s in some)
    seed = constant(result.loss_grad, 1)
    return replace(program, statements=(seed, *statements), outputs=())


Arrays = dict[str, np.ndarray[Any, Any]]


def run_backward(
    program: Program, loss: Tensor, values: Arrays, seed: int = 0
) -> Iterator[tuple[Statement, tuple[Statement, ...], Arrays, Arrays]]:
    """Runs the backward program one forward statement at a time, last statement first.

    Yields the forward statement, its backward statements, the values of all tensors, and the
    adjoints as they are by then.
    """
    result = differentiate(program, loss)
    known = dict(values)
    run_statements(forward_of(result), known, seed)
    adjoints = {grad.name for grad in result.gradients.values()}
    for statement, backward in result.steps:
        run_statements(backward, known, seed)
        grads = {name: array for name, array in known.items() if name in adjoints}
        others = {name: array for name, array in known.items() if name not in adjoints}
        yield statement, backward, others, grads


def forward_of(result: Differentiated) -> tuple[Statement, ...]:
    """The statements before the backward ones, and the one that sets the loss's adjoint."""
    backward = sum(len(some) for _, some in result.steps)
    statements, _ = commits(result.program.statements)
    return statements[: len(statements) - backward]


def run_statements(statements: tuple[Statement, ...], known: Arrays, seed: int) -> None:
    """Runs statements on the values known so far, and puts what they give there."""
    written = set(targets(statements))
    used = written | set(read_tensors(statements))
    kinds = {
        t: replace(t, kind=Kind.STATE if t in written else Kind.INPUT)
        for t in used
        if t.name in known and t.kind is Kind.VALUE
    }
    renamed = map_statements(
        statements, lambda a: [map_assign(a, lambda e: replace_tensors(e, kinds))]
    )
    inputs = tuple(kinds.get(t, t) for t in used if t.name in known)
    new = tuple(t for t in written if t.name not in known)
    results = compile(Program(renamed, inputs, new))({t.name: known[t.name] for t in inputs}, seed)
    known.update(results)
