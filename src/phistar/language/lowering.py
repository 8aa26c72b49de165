"""From equations to statements of the intermediate representation.

Everything is known by now: sums, scopes, ranges. Names become records, `first` and `last` numbers,
sizes literals; types are made one by `ir.build`, and its refusals get the user's equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from phistar.errors import DTypeError, SubscriptError
from phistar.ir import build
from phistar.ir import program as ir
from phistar.ir.dtypes import AnyType, DType, Weak
from phistar.ir.primitives import Op, Reduction
from phistar.language.equations import Equation
from phistar.language.expression import (
    Argument,
    Call,
    CastTo,
    Element,
    Expr,
    Index,
    Literal,
    RandomField,
    Reduced,
    SizeOf,
)
from phistar.language.functions import ElementwiseFunction
from phistar.language.pieces import linear_of
from phistar.language.ranges import SizeUnknown, linearize, size_of, to_affine
from phistar.language.subscripts import Padded
from phistar.language.tensors import Definition

Records: TypeAlias = Callable[[Definition], ir.Tensor]


class Lowering:
    """The translation of one equation."""

    def __init__(
        self, equation: Equation, records: Records, weak: set[Definition] | None = None
    ) -> None:
        self.equation = equation
        self.sizes = equation.sizes
        self.records = records
        self.weak = weak or set()
        self.names: dict[Index, ir.Index] = {}
        self.used: dict[str, int] = {}
        self.arguments: dict[str, AnyType] = {}
        for block in equation.blocks:
            self.name(block.index, frozenset())
        for index in (*equation.left.values(), *equation.value.free.values()):
            self.name(index, frozenset())

    def name(self, index: Index, taken: frozenset[str]) -> ir.Index:
        """The record of an index: its name, primed if an index of another scope or size has it."""
        if index in self.names:
            return self.names[index]
        name, size = index.name, self.sizes[index]
        while name in taken or self.used.get(name, size) != size:
            name += "'"
        self.used[name] = size
        self.names[index] = ir.Index(name, size)
        return self.names[index]

    # Expressions ---------------------------------------------------------------------------------

    def expr(self, e: Expr, taken: frozenset[str]) -> ir.Expr:
        """The record of e; `taken` are the names of the indices that are in scope."""
        match e:
            case Literal():
                return build.const(e.value_)
            case Index():
                return build.index_value(self.names[e])
            case SizeOf():
                return build.const(self.size_of(e))
            case Argument():
                return ir.Argument(e.name, self.arguments[e.name])
            case Element():
                return self.element(e, taken)
            case RandomField():
                indices = tuple(self.names[i] for i in e.indices)
                return ir.Random(e.distribution, e.place, indices, Weak.FLOAT)
            case CastTo():
                return build.cast(self.expr(e.argument, taken), e.dtype)
            case Reduced():
                return self.reduced(e, taken)
            case Call():
                return self.call(e, taken)
        raise TypeError(f"not an expression: {e!r}")

    def size_of(self, e: SizeOf) -> int:
        try:
            return size_of(e.index, self.sizes)
        except SizeUnknown:
            self.equation.fail(
                SubscriptError,
                f"{e.index.name}.size is not known here",
                f"{e.index.name} does not run in this equation: declare it with a size",
            )

    def call(self, e: Call, taken: frozenset[str]) -> ir.Expr:
        args = tuple(self.expr(a, taken) for a in e.args)
        function = (
            self.own(e.function, args)
            if isinstance(e.function, ElementwiseFunction)
            else e.function
        )
        try:
            return build.apply(function, *args)
        except DTypeError as error:
            self.refuse_types(error, e.args)
            raise

    def own(self, function: ElementwiseFunction, args: tuple[ir.Expr, ...]) -> ir.Own:
        """An own function, its body typed by the arguments of this call."""
        outer = self.arguments
        self.arguments = dict(zip(function.parameters, (a.dtype for a in args), strict=True))
        body = self.expr(function.body(), frozenset())
        self.arguments["result"] = body.dtype
        partials = function.partials()
        lowered = None if partials is None else tuple(self.expr(p, frozenset()) for p in partials)
        self.arguments = outer
        return ir.Own(function.__name__, function.parameters, body, lowered)

    def refuse_types(self, error: DTypeError, marked: tuple[Expr, ...]) -> None:
        what, _, facts = str(error).partition(": ")
        self.equation.fail(DTypeError, what, facts, marked)

    def reduced(self, e: Reduced, taken: frozenset[str]) -> ir.Expr:
        if e.reduction.keeps_indices:
            bound, inner = tuple(self.names[i] for i in e.indices), taken
        else:
            bound = tuple(self.name(i, taken) for i in e.indices)
            inner = taken | {i.name for i in bound}
        body = self.expr(e.body, inner)
        condition = None if e.condition is None else self.truth(e.condition, inner)
        try:
            return build.reduce(e.reduction, bound, body, condition)
        except DTypeError as error:
            self.refuse_types(error, (e.body,))
            raise

    def truth(self, e: Expr, taken: frozenset[str]) -> ir.Expr:
        condition = self.expr(e, taken)
        if condition.dtype is not DType.BOOL:
            self.equation.fail(
                DTypeError, "a condition is a truth value", "compare, as in u <= t", (e,)
            )
        return condition

    def element(self, e: Element, taken: frozenset[str]) -> ir.Expr:
        if e.definition in self.weak:
            weak = e.definition.dtype
            return build.const(0.0 if weak is Weak.FLOAT else 0)
        return self.load(e, taken)

    def load(self, e: Element, taken: frozenset[str]) -> ir.Load:
        record = self.records(e.definition)
        subscripts = tuple(
            self.subscript(s, n, e, taken) for s, n in zip(e.subscripts, record.shape, strict=True)
        )
        return ir.Load(record, subscripts)

    def subscript(self, s: Any, size: int, e: Element, taken: frozenset[str]) -> ir.Subscript:
        if isinstance(s, Padded):
            linear = linearize(s.position, self.sizes)
            if linear is None:
                self.equation.fail(
                    SubscriptError, "ph.pad takes a position made of indices", "", (s.position,)
                )
            return ir.Pad(to_affine(linear, self.names), s.low, s.high, s.value)
        linear = linear_of(s, self.sizes, size)
        if linear is not None:
            affine = to_affine(linear, self.names)
            return ir.Affine(affine.terms, affine.offset, group=isinstance(s, tuple))
        gather = build.settled(self.expr(s, taken))
        if not (isinstance(gather.dtype, DType) and gather.dtype.is_integer):
            self.equation.fail(
                SubscriptError,
                f"a subscript of {e.target.shown_name} is {gather.dtype.value}, not a whole number",
                'to gather by it, write ph.cast(..., "i64")',
                (s,),
            )
        return gather


def scope_of(equation: Equation) -> frozenset[str]:
    names = {i.name for i in equation.left.values()}
    return frozenset(names | {b.index.name for b in equation.blocks})


def lower_equation(equation: Equation, records: Records) -> ir.Assign:
    """The assignment an equation is."""
    lowering = Lowering(equation, records)
    target = lowering.load(equation.target, scope_of(equation))
    value = lowering.expr(equation.value, scope_of(equation))
    try:
        value = build.convert(value, target.dtype)
    except DTypeError as error:
        lowering.refuse_types(error, (equation.value,))
    return assign(target, Op(equation.op), value, equation)


def assign(target: ir.Load, op: Op, value: ir.Expr, equation: Equation) -> ir.Assign:
    """The canonical form: `T += Σ_i e` reduces by its own op."""
    over: tuple[ir.Index, ...] = ()
    condition = None
    if op is Op.ADD and isinstance(value, ir.Reduce) and value.reduction is Reduction.SUM:
        over, condition, value = value.indices, value.condition, value.body
    return ir.Assign(target, op, value, over, condition, origin=equation.origin)


def type_of_value(equation: Equation, weak: set[Definition]) -> AnyType:
    """The type of an equation's right side; definitions in `weak` have none of their own yet."""
    return Lowering(equation, provisional, weak).expr(equation.value, scope_of(equation)).dtype


def provisional(definition: Definition) -> ir.Tensor:
    """A record for a definition while no program is made: the name does not matter."""
    return ir.Tensor(
        definition.owner.shown_name,
        definition.shape or (),
        definition.strong_dtype,
        definition.owner.kind,
        halo_of(definition),
    )


def halo_of(definition: Definition) -> tuple[tuple[int, int], ...]:
    return tuple(definition.halo) if any(h != (0, 0) for h in definition.halo) else ()
