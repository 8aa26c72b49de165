"""Functions of functions: trace, grad, value_and_grad, jit, vmap, per_example_grad.

    f(*args) --trace--> source program --compile--> a function of arrays

A function is traced once for each combination of shapes, types and other arguments. Called inside
another traced function, a transformed function becomes part of that function's program, so all of
these compose, and derivatives have any order.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phistar import compiler
from phistar.errors import ExpressionError, ModelError, UsageError
from phistar.ir import program as ir
from phistar.ir.dtypes import DEFAULT_FLOAT, as_dtype
from phistar.ir.program import Kind
from phistar.language import scope
from phistar.language.assembly import Assembled, assemble
from phistar.language.closed import tensor_of
from phistar.language.equations import Unit
from phistar.language.evaluation import current_seed, given_value, store_updates
from phistar.language.expression import Expr, Index
from phistar.language.models import Model, submodels, tensor_names
from phistar.language.tensors import Definition, Parameter, Tensor, as_array

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


# Arguments ----------------------------------------------------------------------------------------


@dataclass
class Bound:
    """A call's arguments, sorted into models, tensors and everything else."""

    arguments: dict[str, Any]  # as the function gets them
    tensors: dict[str, Tensor] = field(default_factory=dict)  # by name
    models: dict[str, Model] = field(default_factory=dict)
    key: tuple[Any, ...] = ()
    symbolic: bool = False  # some argument belongs to a trace that is running
    values: dict[str, Array] = field(default_factory=dict)  # of the tensors, where given
    batch: int = 0  # under vmap, the length of the axis that was taken off
    outer: dict[Definition, Definition] = field(
        default_factory=dict
    )  # under vmap, whose axis it was

    @property
    def floating(self) -> list[Tensor]:
        return [t for t in self.tensors.values() if t.dtype.is_float]


def bind(f: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Bound:
    """Sort the arguments of f(*args, **kwargs); arrays become inputs named as f names them."""
    signature = call_signature(f)
    try:
        call = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(f"{function_name(f)}: {error}") from None
    bound = Bound(dict(call.arguments))
    # Python floats have no type of their own: they take that of the arrays beside them.
    numbers = {n: v for n, v in call.arguments.items() if type(v) is float}
    for name, value in call.arguments.items():
        if name not in numbers:
            bound.arguments[name] = take(value, name, bound)
    common = {t.dtype for t in bound.floating} | {
        t.dtype for m in bound.models.values() for t in m.named_tensors().values()
    }
    dtype = common.pop() if len(common) == 1 else DEFAULT_FLOAT
    for name, value in numbers.items():
        bound.arguments[name] = take(np.asarray(value, dtype.numpy), name, bound)
    bound.tensors = {
        n: bound.tensors[n] for n in sorted(bound.tensors, key=position_in(call.arguments))
    }
    return bound


def position_in(names: Mapping[str, Any]) -> Callable[[str], int]:
    """The order of arguments; `x.0` stands where x stands."""
    order = {name: n for n, name in enumerate(names)}
    return lambda name: order[name.partition(".")[0]]


def call_signature(f: Function) -> inspect.Signature:
    return inspect.signature(f.__call__ if isinstance(f, Model) else f)


def take(value: Any, name: str, bound: Bound) -> Any:
    """One argument as the function gets it; notes it in `bound`."""
    if isinstance(value, Model):
        bound.models[name] = value
        state = tuple((id(m), m.training) for m in submodels(value))
        bound.key += ((name, "model", state),)
        return value
    if isinstance(value, Expr) and not isinstance(value, Index):
        value = tensor_of(value)
    if isinstance(value, Tensor) and (
        value.data is None or isinstance(value, Parameter) or scope.current_trace() is not None
    ):
        bound.symbolic = True
        bound.tensors[name] = value
        return value
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, tuple | dict) or (isinstance(value, list) and holds_arrays(value)):
        return take_nested(value, name, bound)
    if isinstance(value, float | np.ndarray | np.generic | list):
        array = as_array(value)
        bound.key += ((name, array.shape, array.dtype.name),)
        made = Tensor(name, Kind.INPUT, list(array.shape), as_dtype(array.dtype))
        bound.values[name] = array
        bound.tensors[name] = made
        return made
    bound.key += ((name, value if isinstance(value, int | str | None) else id(value)),)
    return value


def holds_arrays(values: list[Any]) -> bool:
    return any(isinstance(v, np.ndarray | Tensor | Expr | Model | dict | tuple) for v in values)


def take_nested(value: Any, name: str, bound: Bound) -> Any:
    if isinstance(value, dict):
        return {k: take(v, f"{name}.{k}", bound) for k, v in value.items()}
    return type(value)(take(v, f"{name}.{n}", bound) for n, v in enumerate(value))


def function_name(f: Function) -> str:
    name = getattr(f, "__name__", None) or type(f).__name__
    return name if name.isidentifier() else "function"


# Tracing ------------------------------------------------------------------------------------------


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
        name: values[name] if name in values else given_value(definition.owner)
        for name, definition in traced.assembled.inputs.items()
    }
    results = compiled(given, seed=current_seed(), step=step)
    store_updates(results, traced.assembled)
    return rebuild(traced.results, lambda t: results[t.name])


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
    with scope.tracing(running):
        returned = f(**bound.arguments) if keywordable(f) else f(*bound.arguments.values())
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


def keywordable(f: Function) -> bool:
    kinds = {p.kind for p in call_signature(f).parameters.values()}
    return kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


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


# The transformations ------------------------------------------------------------------------------


class Transformed:
    """A function whose program is traced, transformed and compiled when it is called.

    Programs are kept by shapes, types and static arguments.
    """

    def __init__(
        self, f: Function, transform: Callable[[Program], Program], backend: str | None, name: str
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.transform = transform
        self.backend = backend
        self.name = name
        self.programs: dict[tuple[Any, ...], tuple[Program, Any]] = {}
        self.prepare: Callable[[Bound], Bound] = lambda bound: bound

    def __repr__(self) -> str:
        return f"ph.{self.name}({function_name(self.f)})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = bind(self.f, args, kwargs)
        if bound.symbolic or (scope.current_trace() is not None):
            return splice(self.transform(trace_bound(self.f, self.prepare(bound))))
        values, bound.values = bound.values, {}  # a program must not keep the arrays alive
        if bound.key not in self.programs:
            traced = self.transform(trace_bound(self.f, self.prepare(bound)))
            self.programs[bound.key] = (traced, compiler.compile(traced.source, self.backend))
        traced, compiled = self.programs[bound.key]
        return execute(traced, compiled, values)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        """The program for these arguments, transformed."""
        return self.transform(trace_bound(self.f, self.prepare(bind(self.f, args, kwargs))))


def jit(f: Function, *, backend: str | None = None) -> Transformed:
    """f as one compiled program for each combination of argument shapes; returns NumPy arrays."""
    return Transformed(f, lambda traced: traced, backend, "jit")


def value_and_grad(f: Function, *, backend: str | None = None) -> Transformed:
    """A function that returns (f(...), gradients).

    The gradients are of a Model's parameters, as a dict by name, if a Model is among the arguments;
    else of the floating arguments in order (one: the array itself). f returns a number; one that
    keeps an index is refused.
    """
    return Transformed(
        f, functools.partial(differentiate, with_value=True), backend, "value_and_grad"
    )


def grad(f: Function, *, backend: str | None = None) -> Transformed:
    """A function that returns the gradients of f: see `value_and_grad`."""
    return Transformed(f, functools.partial(differentiate, with_value=False), backend, "grad")


def differentiate(traced: Program, with_value: bool) -> Program:
    """The traced program followed by its backward statements."""
    loss = the_loss(traced)
    wrt, shape = variables(traced)
    made = compiler.differentiate(traced.source, loss, wrt, outputs=(loss,) if with_value else ())
    gradients = rebuild(shape, lambda t: made.gradients[t])
    results = (traced.results, gradients) if with_value else gradients
    return Program(made.program, traced.assembled, traced.bound, results)


def the_loss(traced: Program) -> ir.Tensor:
    loss = traced.results
    if not isinstance(loss, ir.Tensor):
        raise ExpressionError(f"{traced.source.name} must return one number to be differentiated")
    if loss.shape != ():
        raise ExpressionError(
            f"{traced.source.name} returns a tensor with {len(loss.shape)} axes, not a number: "
            "reduce it, ph.mean[b](...) or ph.sum[b](...)"
        )
    if not loss.dtype.is_float:
        raise ExpressionError(
            f"{traced.source.name} returns {loss.dtype.value}: nothing to differentiate"
        )
    return loss


def variables(traced: Program) -> tuple[list[ir.Tensor], Any]:
    """What gradients are taken of, and the structure in which they are returned."""
    records = traced.assembled.records
    if traced.bound.models:
        named = {
            name: records[t.definition]
            for t, name in tensor_names(traced.bound.models).items()
            if isinstance(t, Parameter)
            and t.kind is Kind.PARAMETER
            and t.trainable
            and t.definition in records
        }
        if not named:
            raise ModelError(f"{traced.source.name} uses no trainable parameter of its model")
        return list(named.values()), named
    tensors = [t for t in traced.bound.floating]
    if not tensors:
        raise ExpressionError(f"{traced.source.name} has no floating argument to differentiate by")
    wrt = [records_of(traced, t) for t in tensors]
    return wrt, wrt[0] if len(wrt) == 1 else tuple(wrt)


def records_of(traced: Program, tensor: Tensor) -> ir.Tensor:
    """The record of an argument, also of one that the function does not use."""
    record = traced.assembled.records.get(tensor.definition)
    if record is None:
        record = ir.Tensor(tensor.name, tensor.shape, tensor.dtype, Kind.INPUT)
        traced.assembled.records[tensor.definition] = record
    return record


def vmap(f: Function, index: Index, *, backend: str | None = None) -> Transformed:
    """f for a batch: minibatching adds a batch index to every tensor but the parameters.

    Array arguments and results get one axis more, in front; models and their parameters do not.
    """
    from phistar.transform.batch import batch

    if not isinstance(index, Index):
        raise UsageError(f'ph.vmap wants an index: ph.vmap(f, ph.index("b")), not {index!r}')

    def transform(traced: Program) -> Program:
        size = traced.bound.batch
        names = [t.name for t in traced.source.inputs if t.kind is Kind.INPUT]
        program = batch(traced.source, index.name, size, names)
        new = dict(zip(traced.source.outputs, program.outputs, strict=True))
        results = rebuild(traced.results, lambda t: new[t])
        return Program(program, traced.assembled, traced.bound, results)

    made = Transformed(f, transform, backend, "vmap")
    made.prepare = functools.partial(unbatched, index=index, name=function_name(f))
    return made


def unbatched(bound: Bound, index: Index, name: str) -> Bound:
    """The arguments without their first axis, for tracing; its length is the batch size."""
    sizes: dict[str, int] = {}
    for argument, tensor in bound.tensors.items():
        if not tensor.shape:
            raise UsageError(f"ph.vmap({name}): {argument} has no axis to be the batch axis")
        sizes[argument] = tensor.shape[0]
    if len(set(sizes.values())) > 1:
        facts = ", ".join(f"{a} has {n}" for a, n in sizes.items())
        raise UsageError(f"ph.vmap({name}): the batch axes differ: {facts}")
    if not sizes:
        raise UsageError(f"ph.vmap({name}) wants at least one array to batch over")
    size = next(iter(sizes.values()))
    if index.declared is not None and index.declared != size:
        raise UsageError(
            f"ph.vmap({name}): {index.name} was declared with size {index.declared}, "
            f"but the arrays have {size}"
        )
    inner = Bound({}, {}, bound.models, bound.key, bound.symbolic, bound.values, size)
    new: dict[int, Tensor] = {}
    for argument, tensor in bound.tensors.items():
        made = Tensor(argument, Kind.INPUT, list(tensor.shape[1:]), tensor.dtype)
        new[id(tensor)] = made
        inner.tensors[argument] = made
        inner.outer[made.definition] = tensor.definition
    inner.arguments = {k: replace_nested(v, new) for k, v in bound.arguments.items()}
    return inner


def replace_nested(value: Any, new: Mapping[int, Tensor]) -> Any:
    """value with tensors replaced, inside tuples, lists and dicts too."""
    match value:
        case dict():
            return {k: replace_nested(v, new) for k, v in value.items()}
        case tuple() | list():
            return type(value)(replace_nested(v, new) for v in value)
    return new.get(id(value), value)


def per_example_grad(f: Function, *, backend: str | None = None) -> Transformed:
    """The gradients of f with the sum over the batch left out: one for each example.

    Like `grad`, but each gradient has the batch axis in front; their sum is the batch's gradient.
    """
    from phistar.transform.per_example import per_example_gradients

    def transform(traced: Program) -> Program:
        loss = the_loss(traced)
        wrt, shape = variables(traced)
        batched = [t.name for t in traced.source.inputs if t.kind is Kind.INPUT and t.shape]
        program, adjoints = per_example_gradients(traced.source, loss, wrt, batched)
        results = rebuild(shape, lambda t: adjoints[t])
        return Program(program, traced.assembled, traced.bound, results)

    return Transformed(f, transform, backend, "per_example_grad")
