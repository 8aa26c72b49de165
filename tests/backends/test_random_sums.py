"""Random sums of products, with windows, groups, padding and conditions on both sides."""

from random import Random

import numpy as np
from agreement import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

from phistar.backends import reference
from phistar.backends.arrays import numpy as numpy_backend
from phistar.ir.build import apply, index_value
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as F
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Pad,
    Program,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import affine_bounds

COMPARISONS = (F.LESS, F.LESS_EQUAL, F.GREATER, F.GREATER_EQUAL)


def subscript(chance: Random, indices: list[Index]) -> tuple[Subscript, int]:
    """A subscript with the last one or two of the indices, and a length for its axis."""
    if len(indices) < 2 or chance.random() < 0.6:
        index = indices.pop()
        return Affine(((index, 1),)), index.size
    one, two = indices.pop(), indices.pop()
    if chance.random() < 0.3:
        return Affine(((one, two.size), (two, 1))), one.size * two.size
    slope = Affine(((one, chance.choice([1, 2, 3])), (two, chance.choice([1, 2, -1]))))
    low, high = affine_bounds(slope)
    affine, length = Affine(slope.terms, -low), high - low + 1
    if length < 3 or chance.random() < 0.6:
        return affine, length + chance.randint(0, 1)
    return Pad(affine, 1, 1), length - 2


def load(chance: Random, name: str, indices: list[Index], kind: Kind) -> Load:
    """A tensor with a subscript for some of the indices at each axis."""
    indices = list(indices)
    chance.shuffle(indices)
    subscripts: list[Subscript] = []
    shape: list[int] = []
    while indices:
        s, length = subscript(chance, indices)
        subscripts.append(s)
        shape.append(length)
    return Load(Tensor(name, tuple(shape), DType.F32, kind), tuple(subscripts))


def random_sum(chance: Random) -> Program:
    """target += a product of two or three loads, perhaps conditioned, perhaps in a scan."""
    indices = [Index(name, chance.randint(1, 5)) for name in "abcde"[: chance.randint(3, 5)]]
    scan = [chance.choice(indices)] if chance.random() < 0.2 else []
    left = chance.sample(indices, chance.randint(0, len(indices) - 1))
    over = tuple(index for index in indices if index not in left and index not in scan)
    used = list(dict.fromkeys([*left, *over, *scan]))
    factors = [
        load(chance, f"x{n}", [i for i in used if chance.random() < 0.7], Kind.INPUT)
        for n in range(chance.randint(2, 3))
    ]
    value: Expr = factors[0]
    for factor in factors[1:]:
        value = value * factor
    condition: Expr | None = None
    if chance.random() < 0.3 and len(used) > 1:
        one, two = (index_value(index) for index in chance.sample(used, 2))
        condition = apply(chance.choice(COMPARISONS), one, two)
    target = load(chance, "T", left, Kind.VALUE)
    statement: Statement = Assign(target, Op.ADD, value, over, condition)
    if scan:
        statement = Scan(scan[0], (statement,), chance.random() < 0.5)
    return Program((statement,), tuple(f.tensor for f in factors), (target.tensor,))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_numpy_agrees_with_the_reference(seed: int) -> None:
    program = random_sum(Random(seed))
    numbers = np.random.default_rng(seed)
    values = {x.name: numbers.integers(-4, 5, x.shape).astype("f4") for x in program.inputs}
    result = numpy_backend.compile(program)(values)["T"]
    assert_same(result, reference.compile(program)(values)["T"])
