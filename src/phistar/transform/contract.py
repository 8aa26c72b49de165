"""Orders products of many factors: sums of three or more become sums of two, in a cheap order.

    y[b, k] += Σ_{i, j} x[b, i] * A[i, j] * B[j, k]
                                                        y.c1[b, j] += Σ_i x[b, i] * A[i, j]
                                                  ->    y[b, k] += Σ_j y.c1[b, j] * B[j, k]

opt_einsum finds the order from the indices of the factors and their sizes. What can be summed
inside one factor is summed there first. Literal factors, signs and divisors stay on the last sum.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from opt_einsum.paths import auto

from phistar.ir.build import apply, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Apply, Assign, Expr, Index, Load, Program, Scan, Statement, Tensor
from phistar.ir.walk import all_indices, free_indices, target_indices
from phistar.transform.guards import is_constant
from phistar.transform.names import Names, names_of

Wrap = Callable[[Expr], Expr]


def contract(program: Program) -> Program:
    """The flat program with products of three or more factors summed two at a time."""
    names = names_of(program)
    return replace(program, statements=contracted(program.statements, (), names))


def contracted(
    statements: tuple[Statement, ...], scans: tuple[Index, ...], names: Names
) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            out.append(replace(s, body=contracted(s.body, (*scans, s.index), names)))
        else:
            out.extend(in_order(s, scans, names))
    return tuple(out)


def in_order(a: Assign, scans: tuple[Index, ...], names: Names) -> list[Assign]:
    """The statements that compute a sum of a product in a good order; [a] if it is in one."""
    if a.op is not Op.ADD or not a.over or a.condition is not None:
        return [a]
    product = split(a.value)
    inner = [f for f in product.factors if set(free_indices(f)) - set(scans)]
    if len(inner) < 2 or any(i.size == 0 for i in all_indices(a)):
        return [a]
    outer = [f for f in product.factors if not set(free_indices(f)) - set(scans)]
    contraction = Contraction(a, scans, names)
    last = contraction.run(inner)
    if not contraction.before:
        return [a]
    value = wrapped(times([*outer, *last]), product.wraps)
    over = tuple(i for i in a.over if i not in contraction.done)
    return [*contraction.before, replace(a, value=value, over=over)]


# Factors ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Product:
    """The factors of a product, in order, and what else is done to it, innermost first."""

    factors: tuple[Expr, ...]
    wraps: tuple[Wrap, ...]


def split(e: Expr) -> Product:
    """e as a product: signs, literal factors and literal divisors apart."""
    factors: list[Expr] = []
    wraps: list[Wrap] = []
    stack = [e]
    while stack:
        match stack.pop():
            case Apply(Primitive.NEG, (x,)):
                wraps.append(partial(apply, Primitive.NEG))
                stack.append(x)
            case Apply(Primitive.MUL, (c, x)) if is_constant(c):
                wraps.append(partial(apply, Primitive.MUL, c))
                stack.append(x)
            case Apply(Primitive.MUL | Primitive.DIV as f, (x, c)) if is_constant(c):
                wraps.append(partial(then, f, c))
                stack.append(x)
            case Apply(Primitive.MUL, (x, y)):
                stack.extend((y, x))
            case factor:
                factors.append(factor)
    return Product(tuple(factors), tuple(reversed(wraps)))


def then(function: Primitive, c: Expr, e: Expr) -> Expr:
    """function(e, c)."""
    return apply(function, e, c)


def times(factors: Sequence[Expr]) -> Expr:
    """The product of one or more factors."""
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product


def wrapped(e: Expr, wraps: tuple[Wrap, ...]) -> Expr:
    for wrap in wraps:
        e = wrap(e)
    return e


# Steps --------------------------------------------------------------------------------------------


@dataclass
class Contraction:
    """The steps of one sum: `before` has the statements so far, `done` the indices they sum."""

    assign: Assign
    scans: tuple[Index, ...]
    names: Names
    before: list[Assign] = field(default_factory=list)
    done: set[Index] = field(default_factory=set)

    def run(self, factors: list[Expr]) -> list[Expr]:
        """The factors of the last sum, after all sums before it."""
        factors = [
            self.summed_alone(f, factors[:n] + factors[n + 1 :]) for n, f in enumerate(factors)
        ]
        if len(factors) < 3:
            return factors
        for pair in self.path(factors)[:-1]:
            some = [factors[n] for n in sorted(pair)]
            rest = [f for n, f in enumerate(factors) if n not in pair]
            factors = [*rest, self.step(some, rest)]
        together = self.indices(factors)
        return [self.materialised(f, together) for f in factors]

    def loops(self, e: Expr) -> frozenset[Index]:
        return frozenset(free_indices(e)) - set(self.scans)

    def indices(self, factors: Sequence[Expr]) -> frozenset[Index]:
        return frozenset().union(*map(self.loops, factors))

    def summable(self, some: frozenset[Index], rest: Sequence[Expr]) -> tuple[Index, ...]:
        """The reduced indices of `some` that nothing else needs."""
        needed = self.indices(rest)
        return tuple(i for i in self.assign.over if i in some and i not in needed)

    def summed_alone(self, factor: Expr, rest: list[Expr]) -> Expr:
        """A factor summed over what only it contains."""
        over = self.summable(self.loops(factor), rest)
        left = self.indices(rest) | set(target_indices(self.assign)) - set(self.scans)
        if not over or left <= self.loops(factor):
            return factor
        return self.define(factor, over)

    def path(self, factors: list[Expr]) -> list[tuple[int, ...]]:
        """Which factors to multiply, step by step; results go to the end of the list."""
        symbols = {i: chr(n) for n, i in enumerate(all_indices(self.assign), 0x100)}
        inputs = [frozenset(symbols[i] for i in self.loops(f)) for f in factors]
        left = target_indices(self.assign)
        output = frozenset(symbols[i] for i in left if i in self.indices(factors))
        sizes = {symbol: i.size for i, symbol in symbols.items()}
        return [tuple(step) for step in auto(inputs, output, sizes)]

    def step(self, some: list[Expr], rest: list[Expr]) -> Expr:
        """The product of some factors, summed over what the rest does not need."""
        together = self.indices(some)
        over = self.summable(together, rest)
        if not over:
            return times(some)
        return self.define(times([self.materialised(f, together) for f in some]), over)

    def materialised(self, factor: Expr, loops: frozenset[Index]) -> Expr:
        """A product as a tensor of its own, unless it needs every index of the loops."""
        if self.loops(factor) == loops or not isinstance(factor, Apply):
            return factor
        return self.define(factor, ()) if factor.function is Primitive.MUL else factor

    def define(self, e: Expr, over: tuple[Index, ...]) -> Load:
        """A load of a new tensor that holds e, summed over some indices."""
        axes = [i for i in all_indices(self.assign) if i in self.loops(e) and i not in over]
        indices = (*self.scans, *axes)
        assert isinstance(e.dtype, DType)
        name = self.names.numbered(f"{self.assign.target.tensor.name}.c")
        target = whole(Tensor(name, tuple(i.size for i in indices), e.dtype), indices)
        op = Op.ADD if over else Op.SET
        self.before.append(Assign(target, op, e, over, None, self.assign.origin))
        self.done.update(over)
        return target
