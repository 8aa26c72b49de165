"""Gradients as a person studies them: `L.backward()`, `T.grad`, sources, and backward step by step.

Each of these assembles the program of L, applies the swap rule and runs or prints the result; there
is no tape and no session.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np

from phistar import compiler
from phistar.errors import ExpressionError
from phistar.ir.program import Program, Statement
from phistar.ir.program import Tensor as IRTensor
from phistar.ir.walk import flat
from phistar.language.assembly import Assembled, assemble
from phistar.language.closed import names_in, source_tensor, tensor_of
from phistar.language.evaluation import core, current_seed, input_values
from phistar.language.expression import Expr
from phistar.language.tensors import Definition, Tensor

Array = np.ndarray[Any, Any]


class Gradient(np.ndarray[Any, Any]):
    """A gradient: an array that also stands in equations, `W[j, i] += -0.1 * W.grad[j, i]`."""

    source: Tensor | None

    def __array_finalize__(self, obj: Any) -> None:
        self.source = None

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if self.source is not None and any(isinstance(p, Expr) or p is Ellipsis for p in parts):
            symbol = self.source.adjoint
            symbol.data = np.asarray(self)
            symbol.version += 1
            return symbol[key]
        return super().__getitem__(key)


def gradient_of(tensor: Tensor) -> Gradient:
    """The grad of a tensor: zeros of its shape until a loss was sent backward."""
    grad = tensor.definition.grad
    if grad is None:
        grad = np.zeros(tensor.shape, tensor.dtype.numpy)
    made = grad.view(Gradient)
    made.source = tensor
    return made


def root_of(loss: Any) -> Tensor:
    if isinstance(loss, Tensor):
        return loss
    if isinstance(loss, Expr):
        return tensor_of(loss)
    raise ExpressionError(f"{loss!r} is neither a tensor nor an expression")


def backward(loss: Any, frame: FrameType | None = None) -> None:
    """Set `grad` of every tensor the loss was computed from; the loss's own is 1."""
    tensor = root_of(loss)
    if tensor.rank != 0:
        raise ExpressionError(
            f"backward starts from a number, but {tensor.shown_name} has axes: "
            f"reduce it first, ph.sum[...]({tensor.shown_name}[...])"
        )
    assembled = assemble([tensor.definition])
    record = assembled.records[tensor.definition]
    made = compiler.differentiate(assembled.program, record)
    compiled = compiler.compile(made.program, compiler.eager_backend())
    results = compiled(input_values(assembled), seed=current_seed(), step=0)
    for definition, forward in assembled.records.items():
        adjoint = made.gradients.get(forward)
        grad = None if adjoint is None else np.asarray(results[adjoint.name])
        definition.grad = None if grad is None else core(grad, definition)


def assemble_source(what: Any, frame: FrameType) -> Assembled:
    """The program of a loss as its user wrote it, with the names of the user's variables."""
    variables = names_in(frame)
    tensor = source_tensor(what, variables)
    names: dict[Definition, str] = {}
    assembled = assemble([tensor.definition])
    for definition in assembled.records:
        owner = definition.owner
        if not owner.name and id(owner) in variables:
            names[definition] = variables[id(owner)]
    return assemble([tensor.definition], names=names) if names else assembled


def program_of(what: Any, frame: FrameType) -> tuple[Program, IRTensor]:
    """The source program of a loss, and its output; also of a traced Program."""
    from phistar.language.traced import Program as Traced

    if isinstance(what, Traced):
        return what.source, what.source.outputs[0]
    if not isinstance(what, Tensor | Expr):
        raise ExpressionError(f"{what!r} is neither a tensor nor an expression nor a program")
    assembled = assemble_source(what, frame)
    program = compiler.source(assembled.program)
    return program, program.outputs[0]


def source(what: Any) -> str:
    """The forward assignments of a tensor, an expression or a program, as text."""
    from phistar.ir.printer import print_statements

    return print_statements(program_of(what, sys._getframe(1))[0])


def backward_source(what: Any) -> str:
    """The backward assignments, in the same notation, in the order in which they run."""
    from phistar.ir.printer import print_statements

    program, loss = program_of(what, sys._getframe(1))
    steps = compiler.differentiate(program, loss, given=True).steps
    return print_statements([s for _, backward in steps for s in backward])


@dataclass(frozen=True)
class Step:
    """One turn of the lecture's loop: a forward assignment, and the backward ones it gave.

    grads: the arrays of all adjoints so far, by name (`x.grad`); values: of all tensors, by name.
    """

    assignment: Statement
    statements: tuple[Statement, ...]
    values: dict[str, Array]
    grads: dict[str, Array]

    def __str__(self) -> str:
        from phistar.ir.printer import print_statement

        lines = [f"{print_statement(self.assignment)}", "gives"]
        lines += [f"    {print_statement(s)}" for s in self.statements]
        return "\n".join(lines)


def backward_steps(loss: Any) -> Iterator[Step]:
    """Run the backward program one forward assignment at a time, last assignment first.

    After each step the loop invariant of the lecture holds: for every variable whose definition is
    not yet processed, its grad is the derivative of the loss as defined by the statements already
    processed. Yields a Step.
    """
    frame = sys._getframe(1)
    return _steps(loss, frame)


def _steps(loss: Any, frame: FrameType) -> Iterator[Step]:
    assembled = assemble_source(loss, frame)
    (record,) = assembled.program.outputs
    made = compiler.differentiate(assembled.program, record)
    adjoints = {t.name for t in made.gradients.values()}
    values = input_values(assembled)
    for number, (assignment, statements) in enumerate(made.steps, 1):
        part = until_step(made, number)
        results = compiler.compile(part, compiler.eager_backend())(
            values, seed=current_seed(), step=0
        )
        arrays = {t.name: np.asarray(results[t.name]) for t in part.outputs}
        grads = {name: a for name, a in arrays.items() if name in adjoints}
        forward = {name: a for name, a in arrays.items() if name not in adjoints}
        yield Step(assignment, statements, {**values, **forward}, grads)


def until_step(made: compiler.Differentiated, number: int) -> Program:
    """The forward program and the first backward steps; every tensor is an output."""
    backward = [s for _, statements in made.steps for s in statements]
    done = sum(len(statements) for _, statements in made.steps[:number])
    start = next(n for n, s in enumerate(made.program.statements) if s is backward[0])
    statements = made.program.statements[: start + done]
    targets = dict.fromkeys(a.target.tensor for a in flat(statements))
    return replace(made.program, statements=statements, outputs=tuple(targets))
