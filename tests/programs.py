"""Random source programs, each with arrays for its inputs: `random_program(seed)`.

Every program is well defined (all ranges are proved) and ends in a scalar L that depends on all
that it computes. Its floats are f64.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from expressions import F64, I64, LIMIT, Expressions, Known, Loops, P, R, Value, affine, settings
from phistar.ir.build import apply, index_value, load, reduce, settle, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Pad,
    Program,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import free_indices, nodes


def random_program(seed: int) -> tuple[Program, dict[str, np.ndarray]]:
    """A source program and arrays for its inputs, a function of the seed."""
    return Writer(seed).program()


class Writer(Expressions):
    """What has been written so far."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.inputs: list[Tensor] = []
        self.values: dict[str, np.ndarray] = {}
        self.statements: list[Statement] = []
        self.numbers = np.random.default_rng(seed)

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


Rule = Callable[[Writer, str], None]
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
