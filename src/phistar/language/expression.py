"""The nodes of what a user writes: expressions over elements of tensors and indices.

    expr ::= literal | index | index.size | tensor[subscript, ...] | function(expr, ...)
           | cast(expr) | reduction[index, ... : condition](expr) | random field | argument

Nodes are immutable and compared by identity; `==` builds a comparison. Each knows its free indices
(by name, in order) and its depth, so that nobody has to walk an expression to ask.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from phistar.errors import ExpressionError, IndexRangeError
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import Distribution

if TYPE_CHECKING:
    from phistar.language.functions import ElementwiseFunction
    from phistar.language.tensors import Tensor

Number: TypeAlias = float | int | bool
Operand: TypeAlias = "Expr | Tensor | float | int | bool"

TRUTH_REMEDY = (
    "an expression has no truth value while a program is written: "
    "use ph.where(condition, a, b) for `if`, & | ~ for `and`, `or`, `not`, "
    "(a < b) & (b < c) for a < b < c, and ph.max(a, b) or ph.maximum for the builtin max"
)


class Operators:
    """What tensors without axes and expressions share: Python's operators build nodes."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __add__(self, other: Operand) -> Expr:
        return call(Primitive.ADD, self, other)

    def __radd__(self, other: Operand) -> Expr:
        return call(Primitive.ADD, other, self)

    def __sub__(self, other: Operand) -> Expr:
        return call(Primitive.SUB, self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return call(Primitive.SUB, other, self)

    def __mul__(self, other: Operand) -> Expr:
        return call(Primitive.MUL, self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return call(Primitive.MUL, other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return call(Primitive.DIV, self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return call(Primitive.DIV, other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return call(Primitive.FLOOR_DIV, self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return call(Primitive.FLOOR_DIV, other, self)

    def __mod__(self, other: Operand) -> Expr:
        return call(Primitive.MOD, self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return call(Primitive.MOD, other, self)

    def __pow__(self, other: Operand) -> Expr:
        return call(Primitive.POW, self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return call(Primitive.POW, other, self)

    def __neg__(self) -> Expr:
        return call(Primitive.NEG, self)

    def __pos__(self) -> Expr:
        return lift(self)

    def __abs__(self) -> Expr:
        return call(Primitive.ABS, self)

    def __lt__(self, other: Operand) -> Expr:
        return call(Primitive.LESS, self, other)

    def __le__(self, other: Operand) -> Expr:
        return call(Primitive.LESS_EQUAL, self, other)

    def __gt__(self, other: Operand) -> Expr:
        return call(Primitive.GREATER, self, other)

    def __ge__(self, other: Operand) -> Expr:
        return call(Primitive.GREATER_EQUAL, self, other)

    def __and__(self, other: Operand) -> Expr:
        return call(Primitive.AND, self, other)

    def __rand__(self, other: Operand) -> Expr:
        return call(Primitive.AND, other, self)

    def __or__(self, other: Operand) -> Expr:
        return call(Primitive.OR, self, other)

    def __ror__(self, other: Operand) -> Expr:
        return call(Primitive.OR, other, self)

    def __invert__(self) -> Expr:
        return call(Primitive.NOT, self)

    def __bool__(self) -> bool:
        raise ExpressionError(TRUTH_REMEDY)

    def __iter__(self) -> Iterator[Any]:
        raise ExpressionError(f"{self} cannot be iterated: write an equation over an index instead")

    def __float__(self) -> float:
        raise ExpressionError(f"{self} is not a number yet: ask for its .value")

    __int__ = __index__ = __float__
    __array_ufunc__ = None  # NumPy scalars and arrays leave the operators to us


class Expr(Operators):
    """Base of the nodes. One without free indices is itself a tensor without axes."""

    __slots__ = (
        "__weakref__",
        "_open",
        "_tensor",
        "depth",
        "free",
        "has_ellipsis",
        "reads",
        "written",
    )

    def __init__(self, children: Iterable[Expr], bound: frozenset[str] = frozenset()) -> None:
        free: dict[str, Index] = {}
        depth = 0
        has_ellipsis = False
        reads = False
        for child in children:
            depth = max(depth, child.depth)
            has_ellipsis = has_ellipsis or child.has_ellipsis
            reads = reads or child.reads
            for name, index in child.free.items():
                if name not in bound:
                    free[name] = same_index(free.get(name, index), index)
        self.free: dict[str, Index] = free
        self.depth: int = depth + 1
        self.has_ellipsis: bool = has_ellipsis
        self.reads: bool = reads  # whether a tensor or a random field is read in it
        self._tensor: Tensor | None = None
        self._open: tuple[Index, ...] | None = None
        self.written: Expr = self  # the node the user wrote, if this one is a rewriting of it

    @property
    def children(self) -> tuple[Expr, ...]:
        return ()

    @property
    def open(self) -> tuple[Index, ...]:
        """The free indices that no product inside sums: the axes of this expression."""
        if not self.free:
            return ()
        if self._open is None:
            from phistar.language.summation import open_indices

            self._open = open_indices(self)
        return self._open

    @property
    def closed(self) -> bool:
        """True if no index and no `...` is open here: then this is a tensor without axes."""
        return not self.has_ellipsis and not self.open

    def __eq__(self, other: Operand) -> Expr:  # type: ignore[override]
        return call(Primitive.EQUAL, self, other)

    def __ne__(self, other: Operand) -> Expr:  # type: ignore[override]
        return call(Primitive.NOT_EQUAL, self, other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        from phistar.language.notation import show

        return show(self)

    # An expression without free indices is a tensor without axes ---------------------------------

    def __getitem__(self, subscripts: Any) -> Expr:
        if subscripts is Ellipsis or (isinstance(subscripts, tuple) and not subscripts):
            return self
        raise ExpressionError(
            f"{self} is an expression, not a tensor: give it a name first, T[...] = {self}"
        )

    @property
    def tensor(self) -> Tensor:
        """The tensor without axes that this expression is; ExpressionError if an index is free."""
        from phistar.language.closed import tensor_of

        return tensor_of(self)

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """The value: a NumPy array without axes."""
        return self.tensor.value

    @property
    def grad(self) -> Any:
        """The derivative of the last loss that was sent backward, by this expression."""
        return self.tensor.grad

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    def backward(self) -> None:
        """Set the grad of every tensor this expression was computed from; its own is 1."""
        from phistar.language.gradients import backward

        backward(self, sys._getframe(1))


def same_index(a: Index, b: Index) -> Index:
    """The one index that two objects of one name are; IndexRangeError if their sizes differ."""
    if a.declared is None or b.declared is None:
        return b if a.declared is None else a
    if a.declared != b.declared:
        raise IndexRangeError(
            f"two indices are named {a.name}, declared with sizes {a.declared} and {b.declared}"
        )
    return a


class Literal(Expr):
    """A Python number."""

    __slots__ = ("value_",)

    def __init__(self, value: Number) -> None:
        super().__init__(())
        self.value_ = value


class Index(Expr):
    """A loop variable; outside a subscript, its integer value."""

    __slots__ = ("declared", "name")

    def __init__(self, name: str, declared: int | None = None) -> None:
        super().__init__(())
        self.name = name
        self.declared = declared
        self.free = {name: self}

    @property
    def size(self) -> Expr | int:
        """The length of the index's range: a number if it was declared, else known later."""
        return SizeOf(self) if self.declared is None else self.declared


class SizeOf(Expr):
    """The length of an index's range; it does not count as an occurrence of the index."""

    __slots__ = ("index",)

    def __init__(self, index: Index) -> None:
        super().__init__(())
        self.index = index


class Element(Expr):
    """tensor[subscripts]: one element for each setting of the indices in the subscripts."""

    __slots__ = ("definition", "subscripts", "target")

    def __init__(self, target: Tensor, subscripts: tuple[Any, ...]) -> None:
        from phistar.language.subscripts import subscript_expressions

        super().__init__(subscript_expressions(subscripts))
        self.reads = True
        self.target = target
        self.definition = target.definition  # the tensor as it is now: it may be defined again
        self.subscripts = subscripts
        self.has_ellipsis = self.has_ellipsis or any(s is Ellipsis for s in subscripts)

    @property
    def children(self) -> tuple[Expr, ...]:
        from phistar.language.subscripts import subscript_expressions

        return subscript_expressions(self.subscripts)

    def _accumulate(self, op: str, value: Operand) -> Accumulate:
        return Accumulate(self, op, lift(value))

    def __iadd__(self, value: Operand) -> Accumulate:  # type: ignore[override]
        return self._accumulate("+=", value)

    def __isub__(self, value: Operand) -> Accumulate:  # type: ignore[override]
        return self._accumulate("+=", -lift(value))

    def __imul__(self, value: Operand) -> Accumulate:  # type: ignore[override]
        return self._accumulate("*=", value)


class Accumulate:
    """What `T[...] += e` hands to T: not a value, but the wish to accumulate."""

    __slots__ = ("element", "op", "value")

    def __init__(self, element: Element, op: str, value: Expr) -> None:
        self.element = element
        self.op = op
        self.value = value


class Call(Expr):
    """A function of numbers, elementwise: a primitive, or one of the user's own."""

    __slots__ = ("args", "function")

    def __init__(self, function: Primitive | ElementwiseFunction, args: tuple[Expr, ...]) -> None:
        super().__init__(args)
        self.function = function
        self.args = args

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args


class CastTo(Expr):
    """An explicit change of type."""

    __slots__ = ("argument", "dtype")

    def __init__(self, argument: Expr, dtype: DType) -> None:
        super().__init__((argument,))
        self.argument = argument
        self.dtype = dtype

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.argument,)


class Reduced(Expr):
    """reduction[indices : condition](body); softmax and its like keep their indices free."""

    __slots__ = ("body", "condition", "implicit", "indices", "reduction")

    def __init__(
        self,
        reduction: Reduction,
        indices: tuple[Index, ...],
        body: Expr,
        condition: Expr | None = None,
        implicit: bool = False,
    ) -> None:
        inside = (body,) if condition is None else (body, condition)
        keeps = reduction.keeps_indices
        super().__init__(inside, frozenset() if keeps else frozenset(i.name for i in indices))
        if keeps:  # the index is on this expression even where the body does not mention it
            self.free = self.free | {i.name: self.free.get(i.name, i) for i in indices}
        self.reduction = reduction
        self.indices = indices
        self.body = body
        self.condition = condition
        self.implicit = implicit

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,) if self.condition is None else (self.body, self.condition)


class RandomField(Expr):
    """One random number for each setting of the indices."""

    __slots__ = ("distribution", "indices", "place")

    def __init__(self, distribution: Distribution, indices: tuple[Index, ...], place: int) -> None:
        super().__init__(indices)
        self.reads = True
        self.distribution = distribution
        self.indices = indices
        self.place = place

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.indices


class Argument(Expr):
    """A parameter of an own function, inside its body."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(())
        self.name = name


def lift(x: Any) -> Expr:
    """x as an expression; ExpressionError says what may stand there."""
    if isinstance(x, Expr):
        return x
    if isinstance(x, bool | int | float):
        return Literal(x)
    if isinstance(x, np.generic) and x.dtype.kind in "biuf":
        return Literal(x.item())
    if isinstance(x, np.ndarray) and x.shape == () and x.dtype.kind in "biuf":
        return Literal(x.item())
    from phistar.language.tensors import Tensor

    if isinstance(x, Tensor):
        return x.as_expression()
    if isinstance(x, Accumulate):
        raise ExpressionError("+= makes a statement, not a value: write it on a line of its own")
    if isinstance(x, np.ndarray):
        raise ExpressionError(
            f"an array of shape {x.shape} cannot stand in an expression: "
            "make it a tensor, t = ph.tensor(array), and give it subscripts, t[b, i]"
        )
    raise ExpressionError(f"{x!r} ({type(x).__name__}) cannot stand in an expression")


def call(function: Primitive | ElementwiseFunction, *args: Any) -> Expr:
    """function(args) as a node."""
    return Call(function, tuple(lift(a) for a in args))


def with_children(e: Expr, new: tuple[Expr, ...]) -> Expr:
    """e with other children (not for elements, whose children stand in subscripts)."""
    made = e
    match e:
        case Call():
            made = Call(e.function, new)
        case CastTo():
            made = CastTo(new[0], e.dtype)
        case Reduced():
            condition = new[1] if e.condition is not None else None
            made = Reduced(e.reduction, e.indices, new[0], condition, e.implicit)
    made.written = e.written
    return made
