"""From `T[...] = expr` to an equation whose sums, ranges and types are known.

    define -> expand `...` -> place sums -> give bound indices scopes -> find ranges -> type

Outside a scan this happens when the statement is made; inside one, when the scan ends, for all its
equations together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

from phistar.errors import DefinitionError, PhistarError, SubscriptError, SummationError
from phistar.ir.dtypes import AnyType, DType, Weak, join
from phistar.ir.primitives import Primitive
from phistar.ir.program import Kind, Origin
from phistar.language import scope
from phistar.language.expression import Element, Expr, Index, Reduced, call, lift
from phistar.language.notation import Text, equation_text, explain, written_at
from phistar.language.rewriting import expand_ellipsis, give_scopes, shallow
from phistar.language.subscripts import Edge, Padded
from phistar.language.summation import place_sums

if TYPE_CHECKING:
    from phistar.ir.program import Statement
    from phistar.language.lowering import Records
    from phistar.language.scans import ScanBlock
    from phistar.language.tensors import Definition, Tensor


@dataclass(eq=False)
class Access:
    """One subscript of one element: what the solver of ranges looks at."""

    element: Element
    axis: int
    subscript: Any
    is_target: bool
    conditions: tuple[Expr, ...]

    @property
    def definition(self) -> Definition:
        return self.element.definition


class Unit:
    """What is written at one place in the order of statements: an equation, a scan, a program."""

    number: int
    origin: Origin | None

    def writes(self) -> Iterator[Definition]:
        raise NotImplementedError

    def reads(self) -> Iterator[Definition]:
        raise NotImplementedError

    def lower(self, records: Records) -> tuple[Statement, ...]:
        """The statements of the intermediate representation."""
        raise NotImplementedError


class Equation(Unit):
    """One statement; in `value` every sum is written out and every index has one scope."""

    def __init__(self, target: Element, op: str, value: Expr, origin: Origin, text: Text) -> None:
        self.number = scope.next_number()
        self.target = target
        self.op = op
        self.value = value
        self.text = text
        self.origin = replace(origin, text=str(text))
        self.sizes: dict[Index, int] = {}
        self.blocks: tuple[ScanBlock, ...] = ()
        self.settled = False
        self.dtype: AnyType = Weak.INT
        self.accesses = tuple(self._accesses())

    @property
    def definition(self) -> Definition:
        return self.target.definition

    @property
    def is_update(self) -> bool:
        return self.target.target.kind is not Kind.VALUE

    @property
    def left(self) -> dict[str, Index]:
        return self.target.free

    def _accesses(self) -> Iterator[Access]:
        yield from accesses_of(self.target, True, ())
        yield from accesses_in(self.value, ())
        for s in self.target.subscripts:
            if isinstance(s, Expr):
                yield from accesses_in(s, ())

    def writes(self) -> Iterator[Definition]:
        yield self.definition

    def reads(self) -> Iterator[Definition]:
        for access in elements(self.value):
            yield access.definition
        for s in self.target.subscripts:
            if isinstance(s, Expr):
                for access in elements(s):
                    yield access.definition

    def lower(self, records: Records) -> tuple[Statement, ...]:
        from phistar.language.lowering import lower_equation

        return (lower_equation(self, records),)

    def fail(
        self,
        error: type[PhistarError],
        what: str,
        facts: str = "",
        marked: tuple[Expr, ...] = (),
    ) -> NoReturn:
        raise error(explain(what, self.text, self.origin, facts, marked))


def accesses_of(
    element: Element, is_target: bool, conditions: tuple[Expr, ...]
) -> Iterator[Access]:
    for axis, subscript in enumerate(element.subscripts):
        yield Access(element, axis, subscript, is_target, conditions)


def accesses_in(e: Expr, conditions: tuple[Expr, ...]) -> Iterator[Access]:
    """Every subscript of every element in e, with the conditions under which it is read."""
    match e:
        case Element():
            yield from accesses_of(e, False, conditions)
        case Reduced() if e.condition is not None:
            yield from accesses_in(e.body, (*conditions, *conjuncts(e.condition)))
            yield from accesses_in(e.condition, conditions)
            return
    for child in e.children:
        yield from accesses_in(child, conditions)


def conjuncts(e: Expr) -> tuple[Expr, ...]:
    from phistar.language.expression import Call

    if isinstance(e, Call) and e.function is Primitive.AND:
        return tuple(c for a in e.args for c in conjuncts(a))
    return (e,)


def elements(e: Expr) -> Iterator[Element]:
    """Every element read in e, in the order in which it is written."""
    stack = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, Element):
            yield node
        stack.extend(reversed(node.children))


# Making an equation -------------------------------------------------------------------------------


def define(target: Tensor, subscripts: tuple[Any, ...], op: str, value: Expr) -> None:
    """Give a tensor its value, or part of it; update a parameter or a state."""
    origin = written_at()
    value = under_condition(target, subscripts, op, value)
    value = shallow(value, frozenset(_names(subscripts)))
    text = equation_text(target.shown_name, subscripts, op, value)
    if target.kind is Kind.INPUT:
        raise DefinitionError(
            explain(
                f"{target.shown_name} is given from outside: it is not defined again", text, origin
            )
        )
    open_definition(target, subscripts, op)
    equation = make_equation(target, subscripts, op, value, origin, text)
    block = scope.current_scan()
    if block is not None:
        block.add(equation)
        return
    from phistar.language.solving import settle

    settle([equation], None)
    publish(equation)


def under_condition(target: Tensor, subscripts: tuple[Any, ...], op: str, value: Expr) -> Expr:
    """The value of an update that changes nothing where the condition of all updates is false."""
    trace = scope.current_trace()
    if target.kind is Kind.VALUE or trace is None or trace.condition is None:
        return value
    unchanged = {"+=": lift(0), "*=": lift(1)}
    otherwise = unchanged[op] if op in unchanged else Element(target, subscripts)
    return call(Primitive.WHERE, trace.condition, value, otherwise)


def publish(unit: Unit) -> None:
    """Enter a finished unit into its definitions, or let its updates happen."""
    from phistar.language.evaluation import run_update

    updates = [d for d in unit.writes() if d.owner.kind is not Kind.VALUE]
    for definition in unit.writes():
        if definition.owner.kind is Kind.VALUE and unit not in definition.units:
            definition.units.append(unit)
            definition.cache = None
    if updates:
        trace = scope.current_trace()
        if trace is not None:
            trace.updates.append(unit)
        else:
            run_update(unit)


def open_definition(target: Tensor, subscripts: tuple[Any, ...], op: str) -> None:
    """Outside a traced function, defining a tensor again starts a new definition of it."""
    from phistar.language.pieces import overlaps

    definition = target.definition
    if target.kind is not Kind.VALUE or op != "=" or scope.current_trace() is not None:
        return
    if definition.equations and overlaps(definition, subscripts):
        again = type(definition)(target, None, None)
        if definition.declared:
            again = type(definition)(target, list(definition.sizes or ()), None)
        target.definition = again


def make_equation(
    target: Tensor,
    subscripts: tuple[Any, ...],
    op: str,
    value: Expr,
    origin: Origin,
    text: Text,
) -> Equation:
    """An equation with `...` expanded, sums placed and scopes given; ranges come later."""

    def fail(
        error: type[PhistarError], what: str, facts: str, marked: tuple[Expr, ...]
    ) -> NoReturn:
        raise error(explain(what, text, origin, facts, marked))

    def refuse(what: str, facts: str, marked: tuple[Expr, ...], single: str = "") -> NoReturn:
        fail(SummationError, what, facts, marked)

    left, value = expand_ellipsis(target, subscripts, value, fail)
    check_left(left, op, fail)
    value = place_sums(value, frozenset(left.free) | scope_names(), refuse)
    left, value = give_scopes(left, value, scope_indices())
    check_ranks(left, value, fail)
    return Equation(left, op, value, origin, text)


def scope_indices() -> dict[str, Index]:
    """The indices of the scans that are open, by name."""
    found: dict[str, Index] = {}
    block = scope.current_scan()
    while block is not None:
        found.setdefault(block.index.name, block.index)
        block = block.outer
    return found


def scope_names() -> frozenset[str]:
    return frozenset(scope_indices())


def _names(subscripts: tuple[Any, ...]) -> Iterator[str]:
    from phistar.language.subscripts import subscript_expressions

    for e in subscript_expressions(subscripts):
        yield from e.free
    yield from scope_names()


def check_left(left: Element, op: str, fail: Any) -> None:
    """On the left of `=` stand distinct bare indices, constants, index + offset and groups."""
    name = left.target.shown_name
    seen: set[str] = set()
    for s in left.subscripts:
        if op == "=" and not is_plain(s):
            fail(
                SubscriptError,
                f"{name} has a subscript on the left that `=` does not allow",
                "on the left of = stand indices, constants, index + offset and groups (h, d); "
                "to accumulate at computed positions use +=",
                (s,) if isinstance(s, Expr) else (),
            )
        for index in s if isinstance(s, tuple) else _free(s):
            if op == "=" and index.name in seen:
                fail(
                    SubscriptError,
                    f"index {index.name} is named twice on the left",
                    "each axis of a definition needs an index of its own",
                    (index,),
                )
            seen.add(index.name)


def _free(s: Any) -> tuple[Index, ...]:
    e = s.position if isinstance(s, Padded) else s.offset if isinstance(s, Edge) else s
    return tuple(e.free.values()) if isinstance(e, Expr) else ()


def is_plain(s: Any) -> bool:
    """Whether a subscript may stand on the left of `=`."""
    from phistar.language.ranges import Linear, SizeUnknown, linearize

    match s:
        case tuple():
            return True
        case Edge():
            return not s.offset.free
        case Expr():
            try:
                linear = linearize(s, {})
            except SizeUnknown:
                return len(s.free) <= 1
            if not isinstance(linear, Linear):
                return False
            return not linear.terms or (
                len(linear.terms) == 1
                and set(linear.terms.values()) == {1}
                and all(isinstance(a, Index) for a in linear.terms)
            )
    return False


def check_ranks(left: Element, value: Expr, fail: Any) -> None:
    """Every tensor that is read is defined, and has as many subscripts as axes."""
    for element in (left, *elements(value), *_subscript_elements(left)):
        definition, tensor = element.definition, element.target
        name, n = tensor.shown_name, len(element.subscripts)
        if definition.rank is None:
            if element is left or tensor.kind in (Kind.PARAMETER, Kind.STATE):
                definition.set_rank(n)
            else:
                fail(
                    DefinitionError,
                    f"{name} is read before it is defined",
                    f"define it first: {name}[...] = ...",
                    (element,),
                )
        elif definition.rank != n:
            fail(
                SubscriptError,
                f"{name} has {axes(definition.rank)}, but {subscripts_text(n)} here",
                f"{name} has shape {shape_text(definition)}",
                (element,),
            )


def _subscript_elements(left: Element) -> Iterator[Element]:
    for s in left.subscripts:
        if isinstance(s, Expr):
            yield from elements(s)


def axes(n: int | None) -> str:
    return f"{n} axis" if n == 1 else f"{n} axes"


def subscripts_text(n: int) -> str:
    return f"{n} subscript" if n == 1 else f"{n} subscripts"


def shape_text(definition: Definition) -> str:
    sizes = definition.sizes or []
    inside = ", ".join("?" if n is None else str(n) for n in sizes)
    return f"({inside},)" if len(sizes) == 1 else f"({inside})"


def join_dtypes(definition: Definition, dtype: AnyType, equation: Equation) -> None:
    """Let a definition's type follow from one more equation; refuse what does not fit."""
    from phistar.errors import DTypeError

    old = definition.dtype
    name = definition.owner.shown_name
    if old is None or (isinstance(old, Weak) and isinstance(dtype, DType)):
        definition.dtype = dtype
    elif isinstance(old, Weak) and isinstance(dtype, Weak):
        definition.dtype = join(old, dtype)
    elif isinstance(dtype, DType) and dtype is not old and join_or_none(old, dtype) is not old:
        equation.fail(
            DTypeError,
            f"{name} is {old.value}, but this equation gives {dtype.value}",
            f'write ph.cast(..., "{old.value}")',
        )
    elif dtype is Weak.FLOAT and isinstance(old, DType) and not old.is_float:
        equation.fail(
            DTypeError,
            f"{name} is {old.value}, but this equation gives a float",
            f'write ph.cast(..., "{old.value}")',
        )


def join_or_none(a: AnyType, b: AnyType) -> AnyType | None:
    from phistar.errors import DTypeError

    try:
        return join(a, b)
    except DTypeError:
        return None


def closed_equation(target: Tensor, value: Expr, origin: Origin) -> Equation:
    """The equation of a tensor without axes that is an expression."""
    text = equation_text(target.shown_name, (), "=", value)
    return make_equation(target, (), "=", lift(value), origin, text)
