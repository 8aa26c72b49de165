"""Functions as programs: tracing, running what was traced, and programs inside programs.

f(*args) --trace--> source program --compile--> a function of arrays
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar import compiler
from phistar.errors import UsageError
from phistar.ir import program as ir
from phistar.ir.program import Kind
from phistar.language import scope
from phistar.language.arguments import Bound, Function, bind, call_signature, function_name
from phistar.language.assembly import Assembled, assemble
from phistar.language.equations import Unit
from phistar.language.evaluation import current_seed, given_value, store_updates
from phistar.language.models import Model, tensor_names
from phistar.language.tensors import Definition, Tensor, as_array

Array = np.ndarray[Any, Any]


@dataclass(eq=False)
class Program:
    """A function as a program: prints as source; `backward`, `compile`.

    source: the program in the user's notation, sums written out. bound: the arguments it was traced
    with. results: which output stands where in what the function returned.
    """

    source: ir.Program
    assembled: Assembled
    bound: Bound
    results: Any
    loss: ir.Tensor | None = None

    def __str__(self) -> str:
        from phistar.ir.printer import print_statements

        return print_statements(self.source)

    def _repr_latex_(self) -> str:
        from phistar.ir.latex import latex_program

        return latex_program(self.source)

    @property
    def outputs(self) -> tuple[ir.Tensor, ...]:
        return self.source.outputs

    def backward(self, loss: str | None = None) -> Program:
        """The program with its backward statements: outputs are the gradients of all its inputs.

        loss: the name of the tensor to start from, by default the (one) output.
        """
        tensor = self._loss(loss)
        wrt = [t for t in self.source.inputs if t.dtype.is_float]
        made = compiler.differentiate(self.source, tensor, wrt, outputs=())
        results = {t.name: made.gradients[t] for t in wrt}
        return Program(made.program, self.assembled, self.bound, results, tensor)

    def _loss(self, name: str | None) -> ir.Tensor:
        if name is None:
            if len(self.outputs) != 1:
                names = ", ".join(t.name for t in self.outputs)
                raise UsageError(f"backward from which output? there are {names}")
            return self.outputs[0]
        for tensor in tensors_of(self.source):
            if tensor.name == name:
                return tensor
        raise UsageError(f"the program has no tensor named {name}")

    def compile(self, backend: str | None = None) -> Function:
        """A function of the same arguments, run by a backend."""
        compiled = compiler.compile(self.source, backend)

        def run(*args: Any) -> Any:
            return execute(self, compiled, arguments(self, args))

        return run


def tensors_of(program: ir.Program) -> list[ir.Tensor]:
    from phistar.ir.walk import flat

    return [*program.inputs, *dict.fromkeys(a.target.tensor for a in flat(program.statements))]


def arguments(traced: Program, args: tuple[Any, ...]) -> dict[str, Array]:
    """New values for a traced function's inputs, in order; none means the traced ones."""
    names = list(traced.bound.tensors)
    values = [a for a in args if not isinstance(a, Model)]
    if values and len(values) != len(names):
        raise UsageError(f"the program takes {len(names)} arrays ({', '.join(names)})")
    given = {n: as_array(v) for n, v in zip(names, values, strict=False)}
    return {**traced.bound.values, **given}


def execute(traced: Program, compiled: Any, values: Mapping[str, Array], step: int = 0) -> Any:
    """Run a compiled program: arrays for its arguments, parameters from their tensors."""
    given = {
        name: values[called] if (called := called_as(name, d)) in values else given_value(d.owner)
        for name, d in traced.assembled.inputs.items()
    }
    return finish(traced, compiled(given, seed=current_seed(), step=step))


def called_as(name: str, definition: Definition) -> str:
    """What an input of the program was called as an argument, if it was one."""
    return definition.owner.name if definition.owner.kind is Kind.INPUT else name


def finish(traced: Program, results: Mapping[str, Array]) -> Any:
    """What the function returns; parameters and states get their new values."""
    store_updates(results, traced.assembled)
    return returned(traced, results)


def returned(traced: Program, results: Mapping[str, Array]) -> Any:
    """What the function returns, with arrays in place of tensors."""
    if isinstance(traced.results, ir.Tensor) and not traced.results.halo:
        return results[traced.results.name]
    return rebuild(traced.results, lambda t: without_halo(results[t.name], t))


def without_halo(array: Array, tensor: ir.Tensor) -> Array:
    """A result in the tensor's shape: without the initial values of a recurrence."""
    if not tensor.halo:
        return array
    inside = zip(tensor.halo, tensor.shape, strict=True)
    return array[tuple(slice(low, low + n) for (low, _), n in inside)]


def rebuild(results: Any, get: Callable[[ir.Tensor], Any]) -> Any:
    """What a function returned, with arrays in place of tensors."""
    match results:
        case ir.Tensor():
            return get(results)
        case dict():
            return {k: rebuild(v, get) for k, v in results.items()}
        case tuple() | list():
            return type(results)(rebuild(v, get) for v in results)
    return results


def trace(f: Function, *args: Any, **kwargs: Any) -> Program:
    """The program of f(*args): arrays become inputs, named as f names its parameters.

    Nothing is computed; mistakes in the equations are found here.
    """
    bound = bind(f, args, kwargs)
    return trace_bound(f, bound)


def trace_bound(f: Function, bound: Bound) -> Program:
    running = scope.Trace()
    for tensor, name in tensor_names(bound.models).items():
        tensor.name = tensor.name or name  # messages need it while the equations are read
    with scope.tracing(running):
        call = inspect.BoundArguments(call_signature(f), OrderedDict(bound.arguments))
        returned = f(*call.args, **call.kwargs)
        outputs: list[Definition] = []
        names: dict[Definition, str] = {}
        results = name_results(returned, function_name(f), outputs, names)
    for tensor, name in tensor_names(bound.models).items():
        names[tensor.definition] = name
        tensor.name = name
    for name, tensor in bound.tensors.items():
        names.setdefault(tensor.definition, name)
    given = [t.definition for t in bound.tensors.values()]
    assembled = assemble(outputs, running.updates, names, given, function_name(f))
    assembled.program = compiler.source(assembled.program)
    results = rebuild_definitions(results, assembled)
    return Program(assembled.program, assembled, bound, results)


def name_results(
    returned: Any, name: str, outputs: list[Definition], names: dict[Definition, str]
) -> Any:
    """What a function returned, as definitions; open expressions keep their indices as axes."""
    match returned:
        case tuple() | list():
            return type(returned)(
                name_results(r, f"{name}_{n}", outputs, names) for n, r in enumerate(returned)
            )
        case dict():
            return {k: name_results(r, str(k), outputs, names) for k, r in returned.items()}
        case None:
            return None
        case Tensor():
            outputs.append(returned.definition)
            return returned.definition
    from phistar.language.expression import Element, lift

    e = lift(returned)
    if isinstance(e, Element) and e.target.rank == 0:
        outputs.append(e.definition)
        return e.definition
    made = Tensor(name if name != "function" else "output")
    made[e.open] = e
    outputs.append(made.definition)
    return made.definition


def rebuild_definitions(results: Any, assembled: Assembled) -> Any:
    match results:
        case Definition():
            return assembled.records[results]
        case dict():
            return {k: rebuild_definitions(v, assembled) for k, v in results.items()}
        case tuple() | list():
            return type(results)(rebuild_definitions(v, assembled) for v in results)
    return results


# A program inside a program -----------------------------------------------------------------------


class Spliced(Unit):
    """A program that was made by a transformation, standing among equations."""

    def __init__(
        self, program: ir.Program, inputs: Mapping[str, Definition], outputs: Sequence[ir.Tensor]
    ) -> None:
        self.number = scope.next_number()
        self.origin = None
        self.program = program
        self.inputs = dict(inputs)
        self.outputs: dict[str, Definition] = {}
        for tensor in outputs:
            made = Tensor(tensor.name, Kind.VALUE, list(tensor.shape), tensor.dtype)
            made.definition.halo = list(tensor.halo) or made.definition.halo
            made.definition.units.append(self)
            self.outputs[tensor.name] = made.definition

    def writes(self) -> Any:
        yield from self.outputs.values()

    def reads(self) -> Any:
        yield from self.inputs.values()

    def lower(self, records: Any) -> tuple[ir.Statement, ...]:
        from phistar.ir.walk import flat, map_assign, map_statements, replace_tensors

        names: dict[ir.Tensor, ir.Tensor] = {}
        prefix = next(iter(self.outputs.values())).uid
        for a in flat(self.program.statements):
            old = a.target.tensor
            if old not in names:
                names[old] = ir.Tensor(
                    f"{old.name}_{prefix}", old.shape, old.dtype, old.kind, old.halo
                )
        by_name = {t.name: t for t in tensors_of(self.program)}
        for name, definition in {**self.inputs, **self.outputs}.items():
            names[by_name[name]] = records(definition)
        return map_statements(
            self.program.statements, lambda a: (map_assign(a, lambda e: replace_tensors(e, names)),)
        )


def splice(traced: Program) -> Any:
    """Make a traced program part of the trace that is running; its results as tensors."""
    outputs = list(dict.fromkeys(traced.source.outputs))
    outer = traced.bound.outer
    inputs = {n: outer.get(d, d) for n, d in traced.assembled.inputs.items()}
    unit = Spliced(traced.source, inputs, outputs)
    made = {t.name: d.owner for t, d in zip(outputs, unit.outputs.values(), strict=True)}
    return rebuild(traced.results, lambda t: made[t.name])
