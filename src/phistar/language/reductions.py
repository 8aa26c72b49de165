"""Reductions over indices: `ph.sum[i, j](e)`, `ph.max[u : u <= t](e)`, `ph.softmax[y](e)`.

    reduction ::= name[index, ... ](expr) | name[index, ... : condition](expr)

The slice reads "u such that". On plain Python values `ph.sum`, `ph.max` and so on are Python's;
`ph.max(a, b)` on expressions is elementwise.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import reduce as fold
from typing import Any

from phistar.errors import ExpressionError, SubscriptError
from phistar.ir.primitives import Primitive, Reduction
from phistar.language.expression import Expr, Index, Operators, Reduced, call, lift


class Reducer:
    """A reduction without its indices yet: `ph.sum`."""

    def __init__(self, reduction: Reduction, plain: Callable[..., Any] | None, doc: str) -> None:
        self.reduction = reduction
        self.plain = plain
        self.__doc__ = doc

    def __repr__(self) -> str:
        return f"ph.{self.reduction.spelling}"

    def __getitem__(self, indices: Any) -> Callable[[Any], Expr]:
        bound, condition = split(indices, self.reduction)
        if condition is not None and self.reduction is Reduction.CUMSUM:
            raise SubscriptError("cumsum takes one index and no condition: ph.cumsum[t](e)")

        def of(e: Any) -> Expr:
            return Reduced(self.reduction, bound, lift(e), condition)

        return of

    def __call__(self, *args: Any, **options: Any) -> Any:
        name = self.reduction.spelling
        if builtins.any(isinstance(a, Operators) for a in args):
            return self.elementwise(*args)
        if self.plain is None:
            raise ExpressionError(f"ph.{name} wants its indices in brackets: ph.{name}[i](...)")
        return self.plain(*args, **options)

    def elementwise(self, *args: Any) -> Expr:
        """max(a, b) of expressions; every other call without indices is a mistake."""
        pairwise = {Reduction.MAX: Primitive.MAXIMUM, Reduction.MIN: Primitive.MINIMUM}
        name = self.reduction.spelling
        if self.reduction not in pairwise or len(args) < 2:
            raise ExpressionError(f"over which index? write ph.{name}[i]({args[0]})")
        return fold(lambda a, b: call(pairwise[self.reduction], a, b), args[1:], lift(args[0]))


def split(indices: Any, reduction: Reduction) -> tuple[tuple[Index, ...], Expr | None]:
    """The indices and the condition of `[i, j]` or `[i, u : u <= t]`."""
    name = reduction.spelling
    parts = indices if isinstance(indices, tuple) else (indices,)
    bound: list[Index] = []
    conditions: list[Expr] = []
    for part in parts:
        if isinstance(part, slice):
            if part.step is not None or part.stop is None:
                raise SubscriptError(f"a domain is written {name}[u : u <= t], u such that u <= t")
            conditions.append(lift(part.stop))
            part = part.start
        if not isinstance(part, Index):
            raise SubscriptError(f"ph.{name}[...] takes indices, not {part!r}")
        bound.append(part)
    if not bound or len({i.name for i in bound}) < len(bound):
        raise SubscriptError(f"ph.{name}[...] takes one or more different indices")
    if reduction is Reduction.CUMSUM and len(bound) > 1:
        raise SubscriptError("cumsum takes one index and no condition: ph.cumsum[t](e)")
    return tuple(bound), fold(lambda a, b: a & b, conditions) if conditions else None


# fmt: off
sum         = Reducer(Reduction.SUM,  builtins.sum, "The sum over the indices; over nothing, 0.")
prod        = Reducer(Reduction.PROD, None,         "The product; over nothing, 1.")
max         = Reducer(Reduction.MAX,  builtins.max, "The largest value; over nothing, -inf.")
min         = Reducer(Reduction.MIN,  builtins.min, "The smallest value; over nothing, inf.")
mean        = Reducer(Reduction.MEAN, None,         "The average; over nothing, 0.")
any         = Reducer(Reduction.ANY,  builtins.any, "Whether one holds; over nothing, False.")
all         = Reducer(Reduction.ALL,  builtins.all, "Whether all hold; over nothing, True.")
argmax      = Reducer(Reduction.ARGMAX, None, "The row-major position of the first largest value.")
argmin      = Reducer(Reduction.ARGMIN, None, "The row-major position of the first smallest value.")
logsumexp   = Reducer(Reduction.LOGSUMEXP, None, "ln of the sum of e^x, stable.")
softmax     = Reducer(Reduction.SOFTMAX, None, "e^x over its sum, stable; keeps its indices.")
log_softmax = Reducer(Reduction.LOG_SOFTMAX, None, "ln of the softmax, stable; keeps its indices.")
cumsum      = Reducer(Reduction.CUMSUM, None, "The sum up to and with this; keeps its index.")
# fmt: on
