"""Random expressions: loads that are sure to be in range, and values that stay small.

A bound on the size of every value keeps numbers tame. A value that may be -inf (log_softmax outside
its domain) is only read as exp(value).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp
from random import Random as Dice

from phistar.ir.build import apply, cast, const, index_value, reduce, settle
from phistar.ir.dtypes import DType, Weak
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Argument,
    Distribution,
    Expr,
    Index,
    Load,
    Own,
    Pad,
    Quotient,
    Random,
    Remainder,
    Subscript,
    Tensor,
)
from phistar.ir.walk import affine_bounds

F64, I64 = DType.F64, DType.I64
NAMES = "bijkmnopqruvyz"
P, R = Primitive, Reduction
Loops = tuple[Index, ...]

# Smooth functions of any number, and how large their results get.
BOUNDED = {P.TANH: 1.0, P.SIN: 1.0, P.COS: 1.0, P.SIGMOID: 1.0, P.ERF: 1.0, P.SOFTSIGN: 1.0}
GENTLE = (P.RELU, P.SILU, P.GELU, P.GELU_TANH, P.SOFTPLUS, P.MISH, P.SELU, P.ABS, P.LOG_SIGMOID)
GENTLE += (P.HARDTANH, P.RELU6, P.HARD_SIGMOID, P.HARD_SWISH, P.STOP_GRADIENT, P.ARCTAN)
SLOPED = (P.LEAKY_RELU, P.ELU, P.CELU)
COMPARISONS = (P.LESS, P.LESS_EQUAL, P.GREATER, P.GREATER_EQUAL, P.EQUAL, P.NOT_EQUAL)
LIMIT = 6.0  # values that may be larger than this are squashed

Z, W = Argument("z", F64), Argument("w", F64)
OWN = (
    Own("swish", ("z",), Z * apply(P.SIGMOID, Z)),
    Own("soft", ("z",), apply(P.SOFTPLUS, Z), (1 - apply(P.EXP, -Argument("result", F64)),)),
    Own("blend", ("z", "w"), apply(P.TANH, Z) * apply(P.COS, W)),
)


@dataclass(frozen=True)
class Known:
    """A tensor that can be read: its values stay within +-bound; `log` ones may be -inf.

    Inside the scan that defines it, it is only read at the step `at`.
    """

    tensor: Tensor
    bound: float
    log: bool = False
    at: Affine | None = None


@dataclass(frozen=True)
class Value:
    """An expression, and a bound on its size."""

    e: Expr
    bound: float


class Expressions:
    """What can be read, and the indices of the statement that is being written."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed)
        self.known: list[Known] = []
        self.integers: list[tuple[Tensor, int]] = []  # and a number that all values are less than
        self.truths: list[Tensor] = []
        self.used: dict[str, Index] = {}
        self.scans: Loops = ()
        self.own = self.dice.random() < 0.2

    # Dice -----------------------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return self.dice.random() < p

    def size(self) -> int:
        return self.dice.choice((1, 2, 2, 3, 3, 4, 5))

    def shape(self, most: int = 3) -> tuple[int, ...]:
        rank = self.dice.choices((0, 1, 2, 3)[: most + 1], (1, 4, 4, 1)[: most + 1])[0]
        return tuple(self.size() for _ in range(rank))

    # Indices and subscripts -----------------------------------------------------------------------

    def statement(self) -> None:
        """The start of a statement: names are free again, but for those of the scans."""
        self.used = {i.name: i for i in self.scans}

    def index(self, size: int) -> Index:
        """An index that the statement does not have yet."""
        names = [n for n in (*NAMES, *(f"{n}2" for n in NAMES)) if n not in self.used]
        index = Index(self.dice.choice(names[:10]), size)
        self.used[index.name] = index
        return index

    def element(self, t: Tensor, loops: Loops, at: Affine | None = None) -> Load:
        """A load of t with subscripts that are in range; `at` is the first, if it is given."""
        subscripts = [self.subscript(n, loops) for n in t.shape]
        return Load(t, tuple(subscripts if at is None else [at, *subscripts[1:]]))

    def subscript(self, n: int, loops: Loops) -> Subscript:
        """A subscript for an axis of n elements."""
        same = [i for i in loops if i.size == n]
        if same and self.chance(0.75):
            return affine(self.dice.choice(same))
        kind = self.dice.random()
        if kind < 0.2 and self.integers:
            fitting = [t for t, limit in self.integers if limit <= n]
            if fitting:
                return self.element(self.dice.choice(fitting), loops)
        if kind < 0.3:
            position = self.fitting(n + 2, loops)
            low, high = self.dice.choice(((1, 1), (2, 0), (0, 2)))
            return Pad(position, low, high, self.dice.choice((0.0, 0.0, 0.5)))
        if kind < 0.36 and self.integers and loops:
            t, _ = self.integers[0]
            number = self.element(t, loops) + index_value(self.dice.choice(loops))
            return apply(P.MOD, number, n)
        return self.fitting(n, loops)

    def fitting(self, n: int, loops: Loops) -> Affine:
        """An affine subscript that stays within 0..n - 1."""
        tried = [self.form(loops, n) for _ in range(4)] if loops else []
        for a in tried:
            low, high = affine_bounds(a)
            if high - low < n:
                return replace(a, offset=a.offset - low + self.dice.randint(0, n - 1 - high + low))
        return Affine((), self.dice.randint(0, n - 1))

    def form(self, loops: Loops, n: int) -> Affine:
        i, j = self.dice.choice(loops), self.dice.choice(loops)
        kind = self.dice.randint(0, 6)
        if kind == 0:
            return affine(i, -1)
        if kind == 1 and i != j:
            return Affine(((i, self.dice.choice((1, 2))), (j, self.dice.choice((1, 1, 2, -1)))))
        if kind == 2:
            return Affine(((Quotient(affine(i), 2), 1),))
        if kind == 3:
            return Affine(((Remainder(affine(i), min(n, 2)), 1),))
        if kind == 4 and i != j and n == i.size * j.size:
            return Affine(((i, j.size), (j, 1)), 0, True)
        return affine(i, self.dice.choice((1, 1, 2)))

    # Expressions ----------------------------------------------------------------------------------

    def value(self, loops: Loops, depth: int = 2) -> Value:
        """An expression over the loops."""
        if depth == 0 or self.chance(0.15):
            return self.leaf(loops)
        return self.tame(self.dice.choices(*FORMS)[0](self, loops, depth - 1))

    def tame(self, v: Value) -> Value:
        if v.bound <= LIMIT:
            return v
        if self.chance(0.5):
            return Value(v.e / round(v.bound, 1), 1.1)
        return Value(apply(self.dice.choice((P.TANH, P.SIN, P.SIGMOID)), v.e), 1)

    def leaf(self, loops: Loops) -> Value:
        kind = self.dice.random()
        if kind < 0.08:
            return Value(const(round(self.dice.uniform(-2, 2), 2)), 2)
        if kind < 0.13 and loops:
            i = self.dice.choice(loops)
            return Value(index_value(i), i.size)
        if kind < 0.17 and loops:
            some = tuple(self.dice.sample(loops, self.dice.randint(1, min(2, len(loops)))))
            which = self.dice.choice((Distribution.UNIFORM, Distribution.NORMAL))
            return Value(Random(which, self.dice.randint(0, 2), some, Weak.FLOAT), 6)
        known = self.dice.choice(self.known)
        e: Expr = self.element(known.tensor, loops, known.at)
        if known.log:
            return Value(apply(P.EXP, e), exp(known.bound))
        return Value(e, known.bound)

    def sum(self, loops: Loops, depth: int) -> Value:
        a, b = self.value(loops, depth), self.value(loops, depth)
        return Value(a.e + b.e if self.chance(0.6) else a.e - b.e, a.bound + b.bound)

    def product(self, loops: Loops, depth: int) -> Value:
        a, b = self.value(loops, depth), self.value(loops, depth)
        return Value(a.e * b.e, a.bound * b.bound)

    def quotient(self, loops: Loops, depth: int) -> Value:
        a, b = self.value(loops, depth), self.value(loops, depth)
        if self.chance(0.4):
            return Value(a.e / 2.5, a.bound / 2.5)
        return Value(a.e / (b.e**2 + 0.5), a.bound * 2)

    def function(self, loops: Loops, depth: int) -> Value:
        a = self.value(loops, depth)
        kind = self.dice.random()
        if kind < 0.4:
            f = self.dice.choice(tuple(BOUNDED))
            return Value(apply(f, a.e), BOUNDED[f])
        if kind < 0.7:
            return Value(apply(self.dice.choice(GENTLE), a.e), 2 * a.bound + 1)
        if kind < 0.76:
            return Value(apply(self.dice.choice(SLOPED), a.e, 0.3), a.bound)
        if kind < 0.84:
            f = self.dice.choice((P.LOG, P.SQRT, P.RSQRT, P.RECIPROCAL, P.LOG1P))
            return Value(apply(f, apply(P.SQUARE, a.e) + 0.5), a.bound + 2)
        if kind < 0.9 and a.bound <= 3:
            return Value(apply(self.dice.choice((P.EXP, P.EXPM1)), a.e), exp(a.bound))
        if self.own:
            own = self.dice.choice(OWN)
            args = [a, *(self.value(loops, depth) for _ in own.parameters[1:])]
            return Value(apply(own, *(settle(x.e, F64) for x in args)), a.bound + 1)
        return Value(-a.e if self.chance(0.5) else a.e**2, max(a.bound, a.bound**2))

    def choice(self, loops: Loops, depth: int) -> Value:
        a, b = self.value(loops, depth), self.value(loops, depth)
        kind = self.dice.random()
        bound = max(a.bound, b.bound)
        if kind < 0.6:
            return Value(apply(P.WHERE, self.condition(loops, a), a.e, b.e), bound)
        if kind < 0.8:
            return Value(apply(self.dice.choice((P.MAXIMUM, P.MINIMUM)), a.e, b.e), bound)
        return Value(apply(P.CLIP, a.e, -0.7, 0.9), 1)

    def condition(self, loops: Loops, about: Value | None = None) -> Expr:
        kind = self.dice.random()
        if kind < 0.15 and self.truths:
            return self.element(self.truths[0], loops)
        if kind < 0.35 and about is not None:
            return about.e > round(self.dice.uniform(-0.5, 0.5), 2)
        if kind < 0.45 or not loops:
            t, limit = self.integers[0]
            return self.element(t, loops) <= self.dice.randint(0, limit)
        i, j = self.dice.choice(loops), self.dice.choice(loops)
        other = index_value(j) if i != j else const(self.dice.randint(0, i.size))
        test = apply(self.dice.choice(COMPARISONS), index_value(i), other)
        return ~test if self.chance(0.1) else test

    # Reductions -----------------------------------------------------------------------------------

    def over(self, loops: Loops) -> Loops:
        """New indices to reduce over, a few elements in all."""
        few = 1 if len(loops) > 2 or self.chance(0.7) else 2
        return tuple(self.index(min(self.size(), 4)) for _ in range(few))

    def domain(self, loops: Loops, over: Loops, p: float = 0.3) -> Expr | None:
        return self.condition((*loops, *over)) if self.chance(p) else None

    def contraction(self, loops: Loops, depth: int) -> Value:
        """Σ of a product of loads."""
        over = self.over(loops)
        inside = (*loops, *over)
        factors = [self.leaf(inside) for _ in range(self.dice.choice((1, 2, 2, 2, 3, 4)))]
        e, bound = factors[0].e, factors[0].bound
        for f in factors[1:]:
            e, bound = e * f.e, bound * f.bound
        total = reduce(R.SUM, over, e, self.domain(loops, over, 0.2))
        return Value(total, bound * settings(over))

    def reduction(self, loops: Loops, depth: int) -> Value:
        over = self.over(loops)
        body = self.value((*loops, *over), min(depth, 1))
        which = self.dice.choice((R.SUM, R.MEAN, R.MAX, R.MIN, R.PROD, R.LOGSUMEXP, R.MEAN))
        can_be_empty = which not in (R.MAX, R.MIN, R.LOGSUMEXP)
        condition = self.domain(loops, over) if can_be_empty else None
        e = reduce(which, over, body.e, condition)
        n = settings(over)
        bounds = {R.SUM: body.bound * n, R.PROD: max(1, body.bound) ** n}
        return Value(e, bounds.get(which, body.bound + 2))

    def test(self, loops: Loops, depth: int) -> Value:
        """any, all, argmax and argmin, which have no derivative, inside something that has one."""
        over = self.over(loops)
        body = self.value((*loops, *over), 1)
        a = self.value(loops, 1)
        if self.chance(0.5):
            which = self.dice.choice((R.ANY, R.ALL))
            e = reduce(which, over, body.e > 0.3, self.domain(loops, over))
            return Value(apply(P.WHERE, e, a.e, -a.e), a.bound)
        winner = reduce(self.dice.choice((R.ARGMAX, R.ARGMIN)), over, body.e)
        n = settings(over)
        if self.chance(0.5):
            return Value(a.e * cast(winner, F64), a.bound * n)
        fitting = [k for k in self.known if k.tensor.shape[:1] >= (n,) and not (k.log or k.at)]
        if not fitting:
            number = winner if a.e.dtype is F64 else cast(winner, F64)
            return Value(a.e + number, a.bound + n)
        known = self.dice.choice(fitting)
        rest = tuple(self.subscript(m, loops) for m in known.tensor.shape[1:])
        return Value(Load(known.tensor, (winner, *rest)), known.bound)


Form = Callable[[Expressions, Loops, int], Value]
FORMS: tuple[tuple[Form, ...], tuple[float, ...]] = (
    (
        Expressions.sum,
        Expressions.product,
        Expressions.quotient,
        Expressions.function,
        Expressions.choice,
        Expressions.contraction,
        Expressions.reduction,
        Expressions.test,
    ),
    (4, 4, 2, 6, 3, 6, 4, 1),
)


def affine(i: Index, coefficient: int = 1) -> Affine:
    return Affine(((i, coefficient),))


def settings(indices: Loops) -> int:
    n = 1
    for i in indices:
        n *= i.size
    return n
