"""The records of the intermediate representation: one statement form.

    program   ::= statement*
    statement ::= assign | scan index { statement* }
    assign    ::= target op expr over indices [if condition]
                                          op is one of  =  +=  *=  max=  min=  argmax=  argmin=
    expr      ::= const | index | load | random | argument | cast | function(expr, ...)
                | reduction[indices : condition](expr)           (none is left after `flatten`)
    load      ::= tensor[subscript, ...]
    subscript ::= affine | pad(affine, low, high, value) | integer expr      (a gather)
    affine    ::= integer + sum of integer * atom
    atom      ::= index | affine // integer | affine % integer

An assignment runs over its target's indices and, inside those, over its `over` indices, which its
op reduces. A tensor that is not a parameter, a state or an input holds the identity of the op that
touches it first (`=` and `+=`: 0), so nothing is ever uninitialised. Where a condition is false,
nothing is assigned. All ranges start at 0. A scan runs its body once for each value of its index,
in order; everything else has no order but that of the statements.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from phistar.ir.dtypes import AnyType, DType
from phistar.ir.primitives import Op, Primitive, Reduction


@dataclass(frozen=True)
class Index:
    """A loop variable of one statement: 0, 1, ..., size - 1."""

    name: str
    size: int


class Kind(Enum):
    """Where a tensor's value comes from."""

    INPUT = "input"  # given by the caller
    PARAMETER = "param"  # kept by a model, trained
    STATE = "state"  # kept by a model or an optimizer, updated by equations
    VALUE = "value"  # defined by a statement of the program

    def __repr__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Tensor:
    """A named array. Axis n is subscripted from -halo[n][0] to shape[n] - 1 + halo[n][1].

    The halo holds the initial values of a recurrence (`first - 1`, `last + 1`); it is empty, (),
    for a tensor that has none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType = DType.F32
    kind: Kind = Kind.VALUE
    halo: tuple[tuple[int, int], ...] = ()

    def bounds(self, axis: int) -> tuple[int, int]:
        """The first and the last position of an axis."""
        low, high = self.halo[axis] if self.halo else (0, 0)
        return -low, self.shape[axis] - 1 + high

    @property
    def storage(self) -> tuple[int, ...]:
        """The shape of the array that holds the tensor, its halo included."""
        if not self.halo:
            return self.shape
        return tuple(n + low + high for n, (low, high) in zip(self.shape, self.halo, strict=True))


@dataclass(frozen=True)
class Quotient:
    """affine // divisor, rounded down."""

    affine: "Affine"
    divisor: int


@dataclass(frozen=True)
class Remainder:
    """affine % divisor, from 0 to divisor - 1."""

    affine: "Affine"
    divisor: int


Atom: TypeAlias = Index | Quotient | Remainder


@dataclass(frozen=True)
class Affine:
    """offset + sum of coefficient * atom; no atom twice, no coefficient 0.

    `group` says that the user wrote a flattened group `(h, d)`; it only matters to printers.
    """

    terms: tuple[tuple[Atom, int], ...] = ()
    offset: int = 0
    group: bool = field(default=False, compare=False)

    @property
    def bare(self) -> Index | None:
        """The index, if this is nothing but one index."""
        match self.terms:
            case ((Index() as index, 1),) if self.offset == 0:
                return index
        return None


@dataclass(frozen=True)
class Pad:
    """A position on an axis that has `low` and `high` extra elements of `value` at its ends.

    `position` counts from the first extra element. On the left of an assignment, what falls on an
    extra element is dropped.
    """

    position: Affine
    low: int
    high: int
    value: float = 0.0


class Expr:
    """Base of the expression nodes. The operators only build: simplification is a pass."""

    dtype: AnyType

    def __add__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.ADD, self, other)

    def __radd__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.ADD, other, self)

    def __sub__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.SUB, self, other)

    def __rsub__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.SUB, other, self)

    def __mul__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.MUL, self, other)

    def __rmul__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.MUL, other, self)

    def __truediv__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.DIV, self, other)

    def __rtruediv__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.DIV, other, self)

    def __pow__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.POW, self, other)

    def __rpow__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.POW, other, self)

    def __neg__(self) -> "Apply":
        return _apply(Primitive.NEG, self)

    def __lt__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.LESS, self, other)

    def __le__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.LESS_EQUAL, self, other)

    def __gt__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.GREATER, self, other)

    def __ge__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.GREATER_EQUAL, self, other)

    def __and__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.AND, self, other)

    def __or__(self, other: "Operand") -> "Apply":
        return _apply(Primitive.OR, self, other)

    def __invert__(self) -> "Apply":
        return _apply(Primitive.NOT, self)


Operand: TypeAlias = Expr | float | int | bool


def _apply(function: Primitive, *args: "Operand") -> "Apply":
    from phistar.ir.build import apply  # build imports the records, so it comes later

    return apply(function, *args)


Subscript: TypeAlias = Affine | Pad | Expr


@dataclass(frozen=True)
class Const(Expr):
    """A literal. Every NaN is the one object math.nan, so that records with NaN compare equal."""

    value: float | int | bool
    dtype: AnyType

    def __post_init__(self) -> None:
        if self.value != self.value:
            object.__setattr__(self, "value", math.nan)


@dataclass(frozen=True)
class IndexValue(Expr):
    """The value of an index as a number."""

    index: Index
    dtype: AnyType


@dataclass(frozen=True)
class Load(Expr):
    """One element of a tensor."""

    tensor: Tensor
    subscripts: tuple[Subscript, ...] = ()

    @property
    def dtype(self) -> DType:  # type: ignore[override]
        return self.tensor.dtype


class Distribution(Enum):
    """What a random field's numbers are drawn from."""

    UNIFORM = "uniform"  # [0, 1)
    NORMAL = "normal"  # mean 0, standard deviation 1

    def __repr__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Random(Expr):
    """One number of a random field: Philox of (seed, step, place, position among the indices)."""

    distribution: Distribution
    place: int
    indices: tuple[Index, ...]
    dtype: AnyType


@dataclass(frozen=True)
class Argument(Expr):
    """A parameter of an own function, inside its body; `result` is what the function returned."""

    name: str
    dtype: AnyType


@dataclass(frozen=True)
class Own:
    """An elementwise function of the user's: a scope of its own, maybe derivatives of its own.

    `partials` has one expression a parameter, over the parameters and Argument("result").
    """

    spelling: str
    parameters: tuple[str, ...]
    body: Expr
    partials: tuple[Expr, ...] | None = None

    def __repr__(self) -> str:
        return self.spelling


@dataclass(frozen=True)
class Apply(Expr):
    """A function of numbers, elementwise."""

    function: Primitive | Own
    args: tuple[Expr, ...]
    dtype: AnyType


@dataclass(frozen=True)
class Cast(Expr):
    """A change of type; implicit where phistar itself turns an integer into a float."""

    argument: Expr
    dtype: DType
    implicit: bool = False


@dataclass(frozen=True)
class Reduce(Expr):
    """A reduction of `body` over all settings of `indices` for which `condition` holds."""

    reduction: Reduction
    indices: tuple[Index, ...]
    body: Expr
    dtype: AnyType
    condition: Expr | None = None


@dataclass(frozen=True)
class Origin:
    """Where the user wrote a statement: `text` is the equation in the user's notation."""

    file: str
    line: int
    text: str = ""


@dataclass(frozen=True)
class Assign:
    """target op value, over every setting of `over` for which `condition` holds."""

    target: Load
    op: Op
    value: Expr
    over: tuple[Index, ...] = ()
    condition: Expr | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)
    note: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Scan:
    """The body, once for each value of the index: 0, 1, ... or, backwards, size - 1, ..., 0."""

    index: Index
    body: tuple["Statement", ...]
    backwards: bool = False
    origin: Origin | None = field(default=None, compare=False, repr=False)


Statement: TypeAlias = Assign | Scan


@dataclass(frozen=True)
class Program:
    """Statements, and the tensors that come in from and go out to the caller.

    `inputs` lists every tensor that is not a VALUE (inputs, parameters, states); `outputs` are the
    tensors whose values the caller asks for. Updated states are outputs of a kind of their own:
    they are written in place.
    """

    statements: tuple[Statement, ...]
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    name: str = field(default="program", compare=False)

    def __str__(self) -> str:
        from phistar.ir.printer import print_program

        return print_program(self)


def assignments(statements: "tuple[Statement, ...]") -> Iterator[Assign]:
    """Every assignment, in order, those inside scans included."""
    stack: list[Statement] = list(reversed(statements))
    while stack:
        statement = stack.pop()
        if isinstance(statement, Scan):
            stack.extend(reversed(statement.body))
        else:
            yield statement
