"""Programs that the tests of the passes share, short constructors for them, and finite differences.

Everything is in float64, and run by the reference backend: it is the definition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from phistar.backends.reference import compile as compile_reference
from phistar.compiler import differentiate
from phistar.ir.build import apply, const, index_value, load, reduce, settle, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Program,
    Reduce,
    Statement,
    Tensor,
)
from phistar.ir.walk import flat, read_tensors

F64 = DType.F64
Arrays = Mapping[str, np.ndarray]


# Constructors -------------------------------------------------------------------------------------


def tensor(name: str, *shape: int, dtype: DType = F64, halo: tuple = ()) -> Tensor:
    return Tensor(name, shape, dtype, Kind.VALUE, halo)


def given(name: str, *shape: int, dtype: DType = F64) -> Tensor:
    return Tensor(name, shape, dtype, Kind.INPUT)


def state(name: str, *shape: int, dtype: DType = F64) -> Tensor:
    return Tensor(name, shape, dtype, Kind.STATE)


def param(name: str, *shape: int) -> Tensor:
    return Tensor(name, shape, F64, Kind.PARAMETER)


def affine(*terms: tuple[Index, int], offset: int = 0, group: bool = False) -> Affine:
    return Affine(terms, offset, group)


def define(t: Tensor, subscripts: tuple, e: Expr | float, condition: Expr | None = None) -> Assign:
    value = settle(const(e), t.dtype) if isinstance(e, int | float) else settle(e, t.dtype)
    return Assign(load(t, *subscripts), Op.SET, value, (), condition)


def add(t: Tensor, subscripts: tuple, e: Expr, over: tuple = (), condition=None) -> Assign:
    return Assign(load(t, *subscripts), Op.ADD, settle(e, t.dtype), over, condition)


def sigma(indices: Index | tuple[Index, ...], e: Expr, condition: Expr | None = None) -> Reduce:
    return reduction(Reduction.SUM, indices, e, condition)


def reduction(
    kind: Reduction, indices: Index | tuple[Index, ...], e: Expr, condition: Expr | None = None
) -> Reduce:
    return reduce(kind, (indices,) if isinstance(indices, Index) else indices, e, condition)


def f(name: str, *args: Expr | float) -> Expr:
    return apply(Primitive[name.upper()], *args)


def value(i: Index) -> Expr:
    return index_value(i)


def program(*statements: Statement, outputs: Iterable[Tensor] = ()) -> Program:
    """A program with its inputs found, and by default the last tensor defined as its output."""
    assigned = [a.target.tensor for a in flat(statements)]
    tensors = dict.fromkeys((*read_tensors(statements), *assigned))
    inputs = tuple(t for t in tensors if t.kind is not Kind.VALUE)
    return Program(statements, inputs, tuple(outputs) or (assigned[-1],))


# Running ------------------------------------------------------------------------------------------


def run(p: Program, values: Arrays) -> dict[str, np.ndarray]:
    return compile_reference(p)(dict(values), seed=7)


def random_values(p: Program, seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers for the inputs that have none yet: floats between 0.2 and 1.4, of either sign."""
    rng = np.random.default_rng(seed)
    out = {}
    for t in p.inputs:
        numbers = rng.uniform(0.2, 1.4, t.storage) * rng.choice([-1, 1], t.storage)
        chosen = numbers if t.dtype.is_float else rng.integers(0, 2, t.storage)
        out[t.name] = np.array(chosen, t.dtype.numpy)
    return out


def numeric_gradient(p: Program, loss: str, values: Arrays, wrt: str, step: float = 1e-5):
    """Central differences of a loss by every element of an input."""
    gradient = np.zeros_like(values[wrt])
    for place in np.ndindex(gradient.shape):
        sides = []
        for sign in (1, -1):
            moved = values[wrt].copy()
            moved[place] += sign * step
            sides.append(run(p, {**values, wrt: moved})[loss])
        gradient[place] = (sides[0] - sides[1]) / (2 * step)
    return gradient


def check_gradients(p: Program, values: Arrays, order: int = 1) -> None:
    """The backward program against central differences, for each float input; higher orders too."""
    (loss,) = p.outputs
    wrt = [t for t in p.inputs if t.dtype.is_float]
    result = differentiate(p, loss, wrt)
    found = run(result.program, values)
    for t in wrt:
        expected = numeric_gradient(p, loss.name, values, t.name)
        got = found[result.gradients[t].name]
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-7, err_msg=t.name)
    if order > 1:
        check_gradients(combined(result.program, result.gradients.values()), values, order - 1)


def combined(p: Program, tensors: Iterable[Tensor]) -> Program:
    """The program with one output: a sum of all elements of some tensors, each with a weight."""
    total = tensor("M")
    while total in {a.target.tensor for a in flat(p.statements)}:
        total = replace(total, name=total.name + "M")
    statements: list[Statement] = []
    for t in dict.fromkeys(tensors):
        indices = tuple(Index(f"n{k}", n) for k, n in enumerate(t.shape))
        weight: Expr = const(0.7)
        for i in indices:
            weight = weight + 0.3 * index_value(i)
        statements.append(add(total, (), whole(t, indices) * weight, indices))
    return replace(p, statements=(*p.statements, *statements), outputs=(total,))
