"""One step of training as one program: forward, backward, update.

trace the loss -> differentiate -> append the optimizer's equations, W.grad being the swap's
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from phistar import compiler
from phistar.data.dataset import BatchSpec
from phistar.errors import UsageError
from phistar.ir import program as ir
from phistar.ir.dtypes import DType
from phistar.ir.program import Kind
from phistar.ir.walk import flat, map_assign, map_statements, nodes, replace_tensors
from phistar.language import scope
from phistar.language.assembly import Assembled, assemble
from phistar.language.models import Model, tensor_names
from phistar.language.tensors import Parameter, Tensor
from phistar.language.traced import Program as Traced
from phistar.language.transformations import the_loss, variables
from phistar.optim.optimizer import Optimizer, chosen, write
from phistar.optim.writing import Writing, writing
from phistar.training.averages import average
from phistar.training.columns import asked_by, symbols_of, title, trace_symbols
from phistar.transform.names import names_of
from phistar.transform.versions import commits

Array = np.ndarray[Any, Any]
States = dict[Parameter, dict[str, Parameter]]


@dataclass(frozen=True, eq=False)
class Step:
    """One step: the whole program, its three parts, and where its inputs come from.

    kept: whose values the program reads and updates, by the name of the input; constants that the
    loss reads, ph.tensor(...), too. columns: the columns it reads, likewise. counter: the input
    that is the number of the step, if an equation reads it.
    """

    program: ir.Program
    loss: ir.Tensor
    forward: tuple[ir.Statement, ...]
    backward: tuple[ir.Statement, ...]
    update: tuple[ir.Statement, ...]
    kept: dict[str, Tensor]
    columns: dict[str, Tensor]
    counter: str | None

    def values(self, given: Mapping[Tensor, Array]) -> dict[str, Array]:
        """The values of what is kept, by the name of the input; a constant may have its own."""
        return {
            name: given[owner] if owner in given else np.asarray(owner.data)
            for name, owner in self.kept.items()
        }


@dataclass(eq=False)
class Updates:
    """The optimizer's equations, before they are joined to a program with a loss."""

    assembled: Assembled
    step: Tensor
    grads: dict[ir.Tensor, ir.Tensor]  # of which parameter
    loss: ir.Tensor | None  # the loss of the step, if an equation reads it


def make_step(
    loss: Callable[..., Any],
    model: Model,
    optimizer: Optimizer,
    states: States,
    shared: dict[str, Parameter],
    spec: BatchSpec,
) -> Step:
    """The program of one step on a batch.

    `states` and `shared` get the optimizer's states that they do not have, those of a parameter and
    those of all together.
    """
    symbols = symbols_of(spec)
    asked = asked_by(loss, symbols)

    def value() -> Tensor:
        return average(loss(model, **asked), spec.size, "loss", f"the loss {title(loss)}")

    value.__name__ = title(loss)
    traced = trace_symbols(value, model, symbols)
    trained = trained_parameters(traced, model, optimizer)
    wrt = [traced.assembled.records[p.definition] for p in trained]
    made = compiler.differentiate(traced.source, the_loss(traced), wrt)
    dtype = traced.assembled.program.outputs[0].dtype
    names, places = tensor_names({"": model}), first_place(traced.source)
    updates = write_updates(optimizer, trained, states, shared, names, dtype, places)
    return join(traced.assembled, made, updates)


def first_place(program: ir.Program) -> int:
    """The number of the first random field that is none of the program's."""
    fields = (e for a in flat(program.statements) for e in nodes(a.value))
    return 1 + max((e.place for e in fields if isinstance(e, ir.Random)), default=-1)


def trained_parameters(traced: Traced, model: Model, optimizer: Optimizer) -> list[Parameter]:
    """The parameters that the loss depends on and the optimizer wants, each with its name."""
    wrt, _ = variables(traced)
    named = [
        (name, p) for name, p in model.parameters.items() if recorded(p, traced.assembled) in wrt
    ]
    for name, parameter in named:
        parameter.name = name
    trained = list(chosen(optimizer, [p for _, p in named]))
    if not trained:
        raise UsageError(f"there is nothing to train: {optimizer} leaves out every parameter")
    return trained


def recorded(tensor: Tensor, assembled: Assembled) -> ir.Tensor | None:
    """What a tensor is in a program."""
    return assembled.records.get(tensor.definition)


def write_updates(
    optimizer: Optimizer,
    parameters: Iterable[Parameter],
    states: States,
    shared: dict[str, Parameter],
    names: Mapping[Tensor, str],
    dtype: DType,
    places: int,
) -> Updates:
    """The optimizer's equations for all parameters, with states of their own.

    dtype: the loss's. places: how many random fields there are before.
    """
    step = Tensor("step", Kind.INPUT, [], DType.I64)
    loss = Tensor("loss", Kind.INPUT, [], dtype)
    running = scope.Trace()
    running.places = count(places)
    parameters = list(parameters)
    wishes = {t.definition: name for t, name in names.items()}
    with scope.tracing(running), writing(Writing(loss, shared)):
        for parameter in parameters:
            if parameter not in states:
                states[parameter] = dict(optimizer.states(parameter))
            for key, state in states[parameter].items():
                state.name = wishes[state.definition] = f"{names[parameter]}.{key}"
            wishes[parameter.adjoint.definition] = f"{names[parameter]}.grad"
        write(optimizer, {p: states[p] for p in parameters}, step)
    wishes |= {state.definition: name for name, state in shared.items()}
    assembled = assemble([], running.updates, wishes, name="update")
    records = assembled.records
    grads = {
        records[p.adjoint.definition]: records[p.definition]
        for p in parameters
        if p.adjoint.definition in records
    }
    return Updates(assembled, step, grads, recorded(loss, assembled))


def join(forward: Assembled, made: compiler.Differentiated, updates: Updates) -> Step:
    """The differentiated loss followed by the updates, as one program."""
    renamed = renaming(forward, made, updates)
    added = map_statements(
        updates.assembled.program.statements,
        lambda a: [map_assign(a, lambda e: replace_tensors(e, renamed))],
    )
    inputs = [renamed.get(t, t) for t in updates.assembled.program.inputs]
    more = [t for t in inputs if t.kind is not Kind.VALUE]  # gradients and the loss are defined
    program = replace(
        made.program,
        statements=(*made.program.statements, *added),
        inputs=tuple(dict.fromkeys((*made.program.inputs, *more))),
        outputs=forward.program.outputs,
        name="step",
    )
    owners = owners_of(forward, updates, renamed)
    given = {t.name: owners[t] for t in program.inputs}
    own, backward, states = split(made)
    return Step(
        program,
        forward.program.outputs[0],
        own,
        backward,
        (*states, *added),
        {name: owner for name, owner in given.items() if is_kept(owner)},
        {n: o for n, o in given.items() if not is_kept(o) and o is not updates.step},
        next((name for name, owner in given.items() if owner is updates.step), None),
    )


def is_kept(tensor: Tensor) -> bool:
    """Whether a tensor keeps its value from step to step: a parameter, a state, a constant."""
    return isinstance(tensor, Parameter) or tensor.data is not None


def renaming(
    forward: Assembled, made: compiler.Differentiated, updates: Updates
) -> dict[ir.Tensor, ir.Tensor]:
    """What the tensors of the updates are called in the whole program."""
    renamed = {grad: made.gradients[parameter] for grad, parameter in updates.grads.items()}
    if updates.loss is not None:
        renamed[updates.loss] = forward.program.outputs[0]
    names = names_of(made.program)
    for definition, tensor in updates.assembled.records.items():
        if tensor not in renamed and definition not in forward.records:
            renamed[tensor] = replace(tensor, name=names.fresh(tensor.name))
    return renamed


def owners_of(
    forward: Assembled, updates: Updates, renamed: Mapping[ir.Tensor, ir.Tensor]
) -> dict[ir.Tensor, Tensor]:
    """The user's tensor behind each record of the whole program."""
    owners = {record: d.owner for d, record in forward.records.items()}
    for definition, record in updates.assembled.records.items():
        owners.setdefault(renamed.get(record, record), definition.owner)
    return owners


def split(made: compiler.Differentiated) -> tuple[tuple[ir.Statement, ...], ...]:
    """The forward statements, the backward statements, and the loss's own updates of states."""
    statements, own = commits(made.program.statements)
    seed = next(
        n
        for n, s in enumerate(statements)
        if isinstance(s, ir.Assign) and s.target.tensor == made.loss_grad
    )
    return statements[:seed], statements[seed:], own
