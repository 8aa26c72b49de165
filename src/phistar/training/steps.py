"""One step of training as one program: forward, backward, update.

trace the loss -> differentiate -> append the optimizer's equations, W.grad being the swap's
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from phistar import compiler
from phistar.data.dataset import BatchSpec
from phistar.ir import program as ir
from phistar.ir.dtypes import DType
from phistar.ir.program import Kind
from phistar.ir.walk import map_assign, map_statements, replace_tensors
from phistar.language import scope
from phistar.language.assembly import Assembled, assemble
from phistar.language.models import Model, tensor_names
from phistar.language.tensors import Parameter, Tensor
from phistar.language.transformations import the_loss, variables
from phistar.optim import Optimizer
from phistar.training.averages import average
from phistar.training.columns import asked_by, symbols_of, title, trace_symbols
from phistar.transform.names import names_of
from phistar.transform.versions import commits

States = dict[Parameter, dict[str, Parameter]]


@dataclass(frozen=True, eq=False)
class Step:
    """One step: the whole program, its three parts, and where its inputs come from.

    kept: whose values the program reads and updates, by the name of the input. columns: the columns
    it reads, likewise. counter: the input that is the number of the step, if an equation reads it.
    """

    program: ir.Program
    loss: ir.Tensor
    forward: tuple[ir.Statement, ...]
    backward: tuple[ir.Statement, ...]
    update: tuple[ir.Statement, ...]
    kept: dict[str, Parameter]
    columns: dict[str, Tensor]
    counter: str | None


@dataclass(eq=False)
class Updates:
    """The optimizer's equations, before they are joined to a program with a loss."""

    assembled: Assembled
    step: Tensor
    grads: dict[ir.Tensor, ir.Tensor]  # of which parameter


def make_step(
    loss: Callable[..., Any], model: Model, optimizer: Optimizer, states: States, spec: BatchSpec
) -> Step:
    """The program of one step on a batch; `states` gets the optimizer's states it does not have."""
    symbols = symbols_of(spec)
    asked = asked_by(loss, symbols)

    def value() -> Tensor:
        return average(loss(model, **asked), spec.size, "loss", f"the loss {title(loss)}")

    value.__name__ = title(loss)
    traced = trace_symbols(value, model, symbols)
    wrt, _ = variables(traced)
    made = compiler.differentiate(traced.source, the_loss(traced), wrt)
    names = tensor_names({"": model})
    trained = [p for p in model.parameters.values() if recorded(p, traced.assembled) in wrt]
    updates = write_updates(optimizer, trained, states, names)
    return join(traced.assembled, made, updates)


def recorded(tensor: Tensor, assembled: Assembled) -> ir.Tensor | None:
    """What a tensor is in a program."""
    return assembled.records.get(tensor.definition)


def write_updates(
    optimizer: Optimizer,
    parameters: Iterable[Parameter],
    states: States,
    names: Mapping[Tensor, str],
) -> Updates:
    """The optimizer's equations for each parameter, with states of their own."""
    step = Tensor("step", Kind.INPUT, [], DType.I64)
    running = scope.Trace()
    parameters = list(parameters)
    wishes = {t.definition: name for t, name in names.items()}
    with scope.tracing(running):
        for parameter in parameters:
            kept = states.setdefault(parameter, dict(optimizer.states(parameter)))
            for key, state in kept.items():
                state.name = wishes[state.definition] = f"{names[parameter]}.{key}"
            wishes[parameter.adjoint.definition] = f"{names[parameter]}.grad"
            optimizer.update(parameter, kept, step)
    assembled = assemble([], running.updates, wishes, name="update")
    records = assembled.records
    grads = {
        records[p.adjoint.definition]: records[p.definition]
        for p in parameters
        if p.adjoint.definition in records
    }
    return Updates(assembled, step, grads)


def join(forward: Assembled, made: compiler.Differentiated, updates: Updates) -> Step:
    """The differentiated loss followed by the updates, as one program."""
    renamed = renaming(forward, made, updates)
    added = map_statements(
        updates.assembled.program.statements,
        lambda a: [map_assign(a, lambda e: replace_tensors(e, renamed))],
    )
    inputs = [renamed.get(t, t) for t in updates.assembled.program.inputs]
    more = [t for t in inputs if t.kind is not Kind.VALUE]  # a gradient is defined by now
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
        {name: owner for name, owner in given.items() if isinstance(owner, Parameter)},
        {n: o for n, o in given.items() if not isinstance(o, Parameter) and o is not updates.step},
        next((name for name, owner in given.items() if owner is updates.step), None),
    )


def renaming(
    forward: Assembled, made: compiler.Differentiated, updates: Updates
) -> dict[ir.Tensor, ir.Tensor]:
    """What the tensors of the updates are called in the whole program."""
    renamed = {grad: made.gradients[parameter] for grad, parameter in updates.grads.items()}
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
