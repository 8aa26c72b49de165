"""Functions of functions: trace, grad, value_and_grad, jit, vmap, per_example_grad.

    f(*args) --trace--> source program --compile--> a function of arrays

A function is traced once for each combination of shapes, types and other arguments. Called inside
another traced function, a transformed function becomes part of that function's program, so all of
these compose, and derivatives have any order.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from phistar import compiler
from phistar.errors import ExpressionError, ModelError, UsageError
from phistar.ir import program as ir
from phistar.ir.program import Kind
from phistar.language import scope
from phistar.language.arguments import Bound, Function, bind, function_name
from phistar.language.evaluation import current_seed, given_value
from phistar.language.expression import Index
from phistar.language.models import Model, tensor_names
from phistar.language.tensors import Changes, Parameter, Tensor
from phistar.language.traced import (
    Program,
    called_as,
    execute,
    finish,
    rebuild,
    returned,
    splice,
    trace_bound,
)


def signature(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What tells calls with arrays and models apart, quickly."""
    return tuple([(a.shape, a.dtype) if type(a) is np.ndarray else id(a) for a in args])


def plain(args: tuple[Any, ...]) -> bool:
    """Nothing but arrays and models."""
    return all((type(a) is np.ndarray and a.dtype.isnative) or isinstance(a, Model) for a in args)


def contents(models: list[Model]) -> list[tuple[Any, tuple[Any, ...]]]:
    """The lists and dicts inside models, and what is in each: these change without notice."""
    found: list[tuple[Any, tuple[Any, ...]]] = []
    seen: set[int] = set()
    stack: list[Any] = list(models)
    while stack:
        holder = stack.pop()
        if not isinstance(holder, Model | list | tuple | dict) or id(holder) in seen:
            continue
        seen.add(id(holder))
        if isinstance(holder, Model):
            stack.extend(vars(holder).values())
            continue
        inside = flat_contents(holder)
        found.append((holder, inside))
        stack.extend(inside)
    return found


def flat_contents(holder: Any) -> tuple[Any, ...]:
    return (*holder.keys(), *holder.values()) if isinstance(holder, dict) else tuple(holder)


def unchanged(holder: Any, before: tuple[Any, ...]) -> bool:
    """The same objects are in it, in the same order."""
    now = flat_contents(holder)
    return len(now) == len(before) and all(map(operator.is_, now, before))


def one_by_one(arguments: Mapping[str, Any], count: int) -> bool:
    """Each argument has a name of its own (those of `*args` have not)."""
    return len(arguments) == count and all(
        isinstance(a, Tensor | Model) for a in arguments.values()
    )


class Known:
    """A call like one before, of arrays and models: nothing is to be found out again."""

    def __init__(
        self, traced: Program, compiled: Any, names: list[str], args: tuple[Any, ...], changes: int
    ) -> None:
        inputs = traced.assembled.inputs
        self.traced, self.compiled, self.changes = traced, compiled, changes
        called = {called_as(n, d): n for n, d in inputs.items()}
        arrays = [(n, name) for n, name in enumerate(names) if type(args[n]) is np.ndarray]
        self.arrays = [(n, called[name]) for n, name in arrays if name in called]
        kinds = {n: d.owner.kind for n, d in inputs.items()}
        self.updates = any(
            kinds.get(a.target.tensor.name) in (Kind.PARAMETER, Kind.STATE)
            for a in ir.assignments(traced.source.statements)
        )
        self.models = [a for a in args if isinstance(a, Model)]  # so that no other has their id
        self.contents = contents(self.models)
        given = {name for _, name in self.arrays}
        self.owners = [(n, d.owner) for n, d in inputs.items() if n not in given]

    def current(self) -> bool:
        """No model has changed since, and nothing is being traced."""
        if self.changes != Changes.count or scope.current_trace() is not None:
            return False
        return not self.contents or all(unchanged(*found) for found in self.contents)

    def __call__(self, args: tuple[Any, ...]) -> Any:
        values = {}
        for name, owner in self.owners:
            array = owner.data
            values[name] = given_value(owner) if array is None else array
        for n, name in self.arrays:
            values[name] = args[n]
        results = self.compiled(values, current_seed(), 0)
        return finish(self.traced, results) if self.updates else returned(self.traced, results)


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
        self.known: dict[tuple[Any, ...], Known] = {}

    def __repr__(self) -> str:
        return f"ph.{self.name}({function_name(self.f)})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        known = None if kwargs else self.known.get(signature(args))
        if known is not None and known.current():
            return known(args)
        bound = bind(self.f, args, kwargs)
        if bound.symbolic or (scope.current_trace() is not None):
            return splice(self.transform(trace_bound(self.f, self.prepare(bound))))
        values, bound.values = bound.values, {}  # a program must not keep the arrays alive
        if bound.key not in self.programs:
            traced = self.transform(trace_bound(self.f, self.prepare(bound)))
            self.programs[bound.key] = (traced, compiler.compile(traced.source, self.backend))
        traced, compiled = self.programs[bound.key]
        names = list(bound.arguments)
        if not kwargs and plain(args) and one_by_one(bound.arguments, len(args)):
            self.known[signature(args)] = Known(traced, compiled, names, args, Changes.count)
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
