"""Small programs to run on every backend: short names for the IR, and values for the inputs."""

from dataclasses import dataclass, field

import numpy as np

from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Assign,
    Atom,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Quotient,
    Remainder,
    Statement,
    Tensor,
)
from phistar.ir.walk import flat, read_tensors

RNG = np.random.default_rng(7)

b, i, j, k = Index("b", 3), Index("i", 4), Index("j", 5), Index("k", 2)
t, u, h, d = Index("t", 6), Index("u", 6), Index("h", 2), Index("d", 3)
p, q, r, s = Index("p", 4), Index("q", 4), Index("r", 3), Index("s", 3)
c, n, m = Index("c", 2), Index("n", 4), Index("m", 8)
one, prime, none = Index("one", 1), Index("prime", 7), Index("none", 0)


@dataclass(frozen=True)
class Case:
    """A program, arrays for its inputs, and words that its NumPy plan must contain."""

    name: str
    program: Program
    values: dict[str, np.ndarray] = field(default_factory=dict)
    plan: tuple[str, ...] = ()


def given(name: str, *shape: int, dtype: DType = DType.F32, kind: Kind = Kind.INPUT) -> Tensor:
    return Tensor(name, shape, dtype, kind)


def value(name: str, *shape: int, dtype: DType = DType.F32) -> Tensor:
    return Tensor(name, shape, dtype)


def at(*terms: tuple[Atom, int], offset: int = 0) -> Affine:
    return Affine(terms, offset)


def half(index: Index, divisor: int = 2) -> Affine:
    return at((Quotient(at((index, 1)), divisor), 1))


def rest(index: Index, divisor: int = 2) -> Affine:
    return at((Remainder(at((index, 1)), divisor), 1))


def case(
    name: str, *statements: Statement, plan: str | tuple[str, ...] = (), **values: np.ndarray
) -> Case:
    """A case whose inputs and outputs are what its statements read and write."""
    touched = [*read_tensors(statements), *(a.target.tensor for a in flat(statements))]
    outside = tuple(dict.fromkeys(x for x in touched if x.kind is not Kind.VALUE))
    inside = tuple(dict.fromkeys(x for x in touched if x.kind is Kind.VALUE))
    made = {x.name: values.get(x.name, sample(x)) for x in outside}
    words = (plan,) if isinstance(plan, str) else plan
    return Case(name, Program(statements, outside, inside), made, words)


def sample(x: Tensor) -> np.ndarray:
    """Numbers around 0; whole numbers are small enough to be subscripts everywhere."""
    if x.dtype.is_float:
        return RNG.normal(size=x.storage).astype(x.dtype.numpy)
    if x.dtype.is_bool:
        return RNG.random(x.storage) > 0.5
    return RNG.integers(0, 3, x.storage).astype(x.dtype.numpy)


def set_(target: Load, e: Expr, condition: Expr | None = None) -> Assign:
    return Assign(target, Op.SET, e, (), condition)


def add(target: Load, e: Expr, *over: Index, where: Expr | None = None) -> Assign:
    return Assign(target, Op.ADD, e, over, where)


def reduce(op: Op, target: Load, e: Expr, *over: Index, where: Expr | None = None) -> Assign:
    return Assign(target, op, e, over, where)
