"""Random source programs, each with arrays for its inputs: `random_program(seed)`.

Every program is well defined (all ranges are proved) and ends in a scalar L that depends on all it
computes. Its floats are f64. A bound on the size of every value keeps numbers tame; a value that may
be -inf (an empty max, log_softmax outside its domain) is only read as exp(value).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp
from random import Random as Dice

import numpy as np

from phistar.ir.build import apply, cast, const, index_value, load, reduce, settle, whole
from phistar.ir.dtypes import DType, Weak
from phistar.ir.primitives import Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Argument,
    Assign,
    Distribution,
    Expr,
    Index,
    Kind,
    Load,
    Own,
    Pad,
    Program,
    Quotient,
    Random,
    Reduce,
    Remainder,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import affine_bounds, free_indices, nodes

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


def random_program(seed: int) -> tuple[Program, dict[str, np.ndarray]]:
    """A source program and arrays for its inputs, a function of the seed."""
    return Writer(seed).program()


class Writer:
    """What has been written so far."""

    def __init__(self, seed: int) -> None:
        self.dice = Dice(seed)
        self.known: list[Known] = []
        self.integers: list[tuple[Tensor, int]] = []  # and a number that all values are less than
        self.truths: list[Tensor] = []
        self.inputs: list[Tensor] = []
        self.values: dict[str, np.ndarray] = {}
        self.statements: list[Statement] = []
        self.numbers = np.random.default_rng(seed)
        self.used: dict[str, Index] = {}
        self.scans: Loops = ()
        self.own = self.dice.random() < 0.2

    def program(self) -> tuple[Program, dict[str, np.ndarray]]:
        for n in range(self.dice.randint(2, 4)):
            self.new_input(f"x{n}")
        self.integer_input()
        if self.chance(0.3):
            self.truth_input()
        for n in range(self.dice.randint(1, 4)):
            self.dice.choices(*KINDS)[0](self, f"T{n}")
        if self.chance(0.15):
            self.update()
        loss = self.loss()
        used = {load.tensor for a in every(self.statements) for load in loads_of(a)}
        inputs = tuple(t for t in self.inputs if t in used)
        values = {t.name: self.values[t.name] for t in inputs}
        return Program(tuple(self.statements), inputs, (loss,), "random"), values

    # Dice -----------------------------------------------------------------------------------------

    def chance(self, p: float) -> bool:
        return self.dice.random() < p

    def size(self) -> int:
        return self.dice.choice((1, 2, 2, 3, 3, 4, 5))

    def shape(self, most: int = 3) -> tuple[int, ...]:
        rank = self.dice.choices((0, 1, 2, 3)[: most + 1], (1, 4, 4, 1)[: most + 1])[0]
        return tuple(self.size() for _ in range(rank))

    # Inputs ---------------------------------------------------------------------------------------

    def new_input(self, name: str) -> None:
        kind = self.dice.choice((Kind.INPUT, Kind.INPUT, Kind.PARAMETER, Kind.STATE))
        t = Tensor(name, self.shape(), F64, kind)
        sign = self.numbers.choice([-1, 1], t.shape)
        self.give(t, self.numbers.uniform(0.2, 1.5, t.shape) * sign)
        self.known.append(Known(t, 1.5))

    def integer_input(self) -> None:
        limit = self.size()
        t = Tensor("g", tuple(self.size() for _ in range(self.dice.randint(1, 2))), I64, Kind.INPUT)
        self.give(t, self.numbers.integers(0, limit, t.shape))
        self.integers.append((t, limit))

    def truth_input(self) -> None:
        t = Tensor("c", (self.size(),), DType.BOOL, Kind.INPUT)
        self.give(t, self.numbers.random(t.shape) < 0.6)
        self.truths.append(t)

    def give(self, t: Tensor, array: np.ndarray) -> None:
        self.inputs.append(t)
        self.values[t.name] = np.array(array, t.dtype.numpy)

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

    # Statements -----------------------------------------------------------------------------------

    def define(self, t: Tensor, v: Value, log: bool = False) -> None:
        self.known.append(Known(t, v.bound, log))

    def target(self, name: str) -> tuple[Tensor, Loops]:
        loops = tuple(self.index(n) for n in self.shape())
        return Tensor(name, tuple(i.size for i in loops), F64), loops

    def equation(self, name: str) -> None:
        """T[...] = e."""
        self.statement()
        t, loops = self.target(name)
        v = self.value(loops, 3)
        self.statements.append(Assign(whole(t, loops), Op.SET, settle(v.e, F64)))
        self.define(t, v)

    def normalised(self, name: str) -> None:
        """softmax, log_softmax, cumsum."""
        self.statement()
        t, loops = self.target(name)
        if not loops:
            return self.equation(name)
        which = self.dice.choice((R.SOFTMAX, R.SOFTMAX, R.LOG_SOFTMAX, R.CUMSUM))
        some = tuple(self.dice.sample(loops, self.dice.randint(1, len(loops))))
        some = some[:1] if which is R.CUMSUM else some
        condition = None if which is R.CUMSUM else self.domain(loops, (), 0.4)
        body = self.value(loops, 2)
        e: Expr = reduce(which, some, settle(body.e, F64), condition)
        if which is R.SOFTMAX and self.chance(0.2):
            e = e * self.leaf(loops).e
        self.statements.append(Assign(whole(t, loops), Op.SET, e))
        bound = {R.SOFTMAX: 6.0, R.LOG_SOFTMAX: 0.0}.get(which, body.bound * settings(some))
        self.define(t, Value(e, bound), which is R.LOG_SOFTMAX)
        if which is R.SOFTMAX and condition is None and not isinstance(e, Reduce):
            return
        if which is R.SOFTMAX and condition is None and self.chance(0.5):
            self.statement()
            u, loops = self.target(f"{name}l")
            log = apply(P.LOG, self.element(t, loops))
            if not any(isinstance(s, Pad) for s in log.args[0].subscripts):  # type: ignore
                self.statements.append(Assign(whole(u, loops), Op.SET, log))
                self.define(u, Value(log, 20), True)

    def accumulation(self, name: str) -> None:
        """T[s] += e, with a scatter; or *=, max=, min= over an index."""
        self.statement()
        t, loops = self.target(name)
        over = self.over(loops)
        inside = (*loops, *over)
        v = self.value(inside, 2)
        condition = self.domain(loops, over)
        if self.chance(0.3):
            op, identity = self.dice.choice(((Op.MAX, True), (Op.MIN, True), (Op.MUL, False)))
            a = Assign(whole(t, loops), op, settle(v.e, F64), over, None if identity else condition)
            n = settings(over)
            self.statements.append(a)
            self.define(t, Value(a.value, v.bound if identity else max(1, v.bound) ** n))
            return
        times = self.dice.choice((1, 1, 2))
        for n in range(times):
            left = Load(t, tuple(self.subscript(n, inside) for n in t.shape))
            reduced = tuple(i for i in inside if i not in free_indices(left))
            value = settle(v.e, F64)
            if not reduced and isinstance(value, Reduce):
                value = value * 0.5
            self.statements.append(Assign(left, Op.ADD, value, reduced, condition))
            if n + 1 < times:
                v = self.value(inside, 1)
        self.define(t, Value(v.e, (v.bound + LIMIT) * settings(inside) * 2))

    def pieces(self, name: str) -> None:
        """A concatenation: two equations for one tensor."""
        self.statement()
        first, second = self.index(self.size()), self.index(self.size())
        t = Tensor(name, (first.size + second.size,), F64)
        a, b = self.value((first,), 2), self.value((second,), 2)
        at = Affine(((second, 1),), first.size)
        self.statements.append(Assign(load(t, first), Op.SET, settle(a.e, F64)))
        self.statements.append(Assign(load(t, at), Op.SET, settle(b.e, F64)))
        self.define(t, Value(b.e, max(a.bound, b.bound)))

    def recurrence(self, name: str) -> None:
        """A scan with a halo, forwards or backwards, maybe with a sum beside it."""
        self.statement()
        steps, backwards = self.index(self.dice.randint(2, 4)), self.chance(0.3)
        loops = tuple(self.index(self.size()) for _ in range(self.dice.randint(0, 1)))
        halo = ((0, 1) if backwards else (1, 0), *((0, 0) for _ in loops))
        h = Tensor(name, (steps.size, *(i.size for i in loops)), F64, halo=halo)
        start = Affine((), steps.size if backwards else -1)
        v = self.value(loops, 1)
        self.statements.append(Assign(load(h, start, *loops), Op.SET, settle(v.e, F64)))
        self.scans = (steps,)
        body = self.step(h, steps, Affine(((steps, 1),), 1 if backwards else -1), name)
        self.scans = ()
        self.statements.append(Scan(steps, tuple(body), backwards))
        self.known.append(Known(h, max(1, v.bound)))

    def step(self, h: Tensor, t: Index, before: Affine, name: str) -> list[Statement]:
        """g[t, ...] = ..., h[t, ...] = tanh(...), total += ..."""
        body, now = list[Statement](), affine(t)
        self.statement()
        last = Known(h, LIMIT)
        if self.chance(0.5):
            loops = tuple(self.index(n) for n in self.shape(1))
            g = Tensor(f"{name}g", (t.size, *(i.size for i in loops)), F64)
            v = self.recurrent((t, *loops), last, before)
            body.append(Assign(load(g, t, *loops), Op.SET, settle(v.e, F64)))
            self.known.append(Known(g, v.bound, at=now))
            self.statement()
        loops = tuple(self.index(n) for n in h.shape[1:])
        v = self.recurrent((t, *loops), last, before)
        squashed = apply(self.dice.choice((P.TANH, P.SIN, P.SIGMOID)), v.e)
        body.append(Assign(load(h, t, *loops), Op.SET, squashed))
        totals = []
        if self.chance(0.4):
            self.statement()
            total = Tensor(f"{name}s", (), F64)
            some = tuple(self.index(n) for n in h.shape[1:])
            e = load(h, t, *some) * self.value((t, *some), 1).e
            body.append(Assign(load(total), Op.ADD, settle(e, F64), some))
            totals = [Known(total, LIMIT * LIMIT)]
        self.known = [*(replace(k, at=None) for k in self.known), *totals]
        return body

    def recurrent(self, loops: Loops, last: Known, before: Affine) -> Value:
        """An expression with the value of the step before in it."""
        old = self.element(last.tensor, loops[1:], before)
        v = self.value(loops, 1)
        kind = self.dice.random()
        if kind < 0.3:
            return Value(old + v.e, v.bound + 1)
        if kind < 0.6:
            return Value(old * v.e, v.bound)
        over = self.over(loops)
        old = self.element(last.tensor, (*loops[1:], *over), before)
        weight = self.leaf((*loops, *over))
        e = reduce(R.SUM, over, old * weight.e)
        return Value(e + v.e, v.bound + weight.bound * settings(over))

    def update(self) -> None:
        """A parameter or state gets a new value, from which the loss is computed."""
        ours = [t for t in self.inputs if t.kind in (Kind.STATE, Kind.PARAMETER)]
        if not ours:
            return
        self.statement()
        t = self.dice.choice(ours)
        loops = tuple(self.index(n) for n in t.shape)
        v = self.value(loops, 2)
        op, e = self.dice.choice(((Op.SET, v.e), (Op.ADD, v.e * 0.1)))
        self.statements.append(Assign(whole(t, loops), op, settle(e, F64)))
        self.known = [k for k in self.known if k.tensor != t] + [Known(t, v.bound + LIMIT)]

    def loss(self) -> Tensor:
        """L: a weighted sum of all elements of all tensors that were defined."""
        L = Tensor("L", (), F64)
        made = {a.target.tensor for a in every(self.statements)}
        for known in self.known:
            if known.tensor not in made or known.tensor.dtype is not F64:
                continue
            self.statement()
            loops = tuple(self.index(n) for n in known.tensor.shape)
            e: Expr = whole(known.tensor, loops)
            e = apply(P.EXP, e) if known.log else e
            for i in loops[:2]:
                e = e * (0.6 + 0.3 * index_value(i))
            self.statements.append(Assign(load(L), Op.ADD, e, loops))
        return L


Rule = Callable[..., object]
FORMS: tuple[tuple[Rule, ...], tuple[float, ...]] = (
    (
        Writer.sum,
        Writer.product,
        Writer.quotient,
        Writer.function,
        Writer.choice,
        Writer.contraction,
        Writer.reduction,
        Writer.test,
    ),
    (4, 4, 2, 6, 3, 6, 4, 1),
)
KINDS: tuple[tuple[Rule, ...], tuple[float, ...]] = (
    (
        Writer.equation,
        Writer.normalised,
        Writer.accumulation,
        Writer.pieces,
        Writer.recurrence,
    ),
    (6, 2, 3, 1, 3),
)


def affine(i: Index, coefficient: int = 1) -> Affine:
    return Affine(((i, coefficient),))


def settings(indices: Loops) -> int:
    n = 1
    for i in indices:
        n *= i.size
    return n


def every(statements: list[Statement]) -> list[Assign]:
    """Every assignment, those in scans included."""
    out: list[Assign] = []
    for s in statements:
        out.extend(every(list(s.body)) if isinstance(s, Scan) else [s])
    return out


def loads_of(a: Assign) -> list[Load]:
    """Every load of an assignment, its target included."""
    parts = (a.target, a.value, *(() if a.condition is None else (a.condition,)))
    return [node for part in parts for node in nodes(part) if isinstance(node, Load)]
