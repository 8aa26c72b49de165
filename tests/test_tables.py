"""Every table has a row for every primitive and reduction; a missing one fails by name."""

import inspect

import numpy as np
import pytest

import phistar as ph
from phistar.backends import reference, special
from phistar.backends.arrays.elementwise import rules
from phistar.ir.build import apply, load, reduce
from phistar.ir.dtypes import DType
from phistar.ir.latex import latex_expr
from phistar.ir.primitives import OP_OF, REDUCTION_OF, Op, Primitive, Reduction, Typing
from phistar.ir.printer import print_expr
from phistar.ir.program import Expr, Index, Tensor
from phistar.transform.derivatives import PARTIALS

PRIMITIVES = pytest.mark.parametrize("primitive", Primitive, ids=str)
REDUCTIONS = pytest.mark.parametrize("reduction", Reduction, ids=str)
ARRAYS = rules(np, special.erf, special.erfc)
OPERATORS = {
    "add", "sub", "mul", "div", "floor_div", "mod", "pow", "neg", "less", "less_equal",
    "greater", "greater_equal", "and", "or", "not",
}  # fmt: skip
OTHER_NAMES = {"gelu_tanh": "gelu"}


def arguments(primitive: Primitive) -> list[Expr]:
    x = load(Tensor("x", ()))
    truth = load(Tensor("c", (), DType.BOOL))
    match primitive.typing:
        case Typing.LOGIC:
            return [truth] * primitive.arity
        case Typing.CHOICE:
            return [truth, x, x]
    return [x] * primitive.arity


@PRIMITIVES
def test_partials_have_one_entry_an_argument(primitive: Primitive) -> None:
    arities = [len(inspect.signature(f).parameters) for f in PARTIALS[primitive]]
    assert arities == [primitive.arity + 1] * primitive.arity


@PRIMITIVES
@pytest.mark.parametrize("table", [reference.FUNCTIONS, ARRAYS], ids=["reference", "arrays"])
def test_backends_have_a_row(primitive: Primitive, table: dict) -> None:
    assert callable(table[primitive])


@PRIMITIVES
def test_it_prints(primitive: Primitive) -> None:
    e = apply(primitive, *arguments(primitive))
    assert print_expr(e)
    assert latex_expr(e)


@PRIMITIVES
def test_users_can_write_it(primitive: Primitive) -> None:
    name = OTHER_NAMES.get(primitive.spelling, primitive.spelling)
    assert name in OPERATORS or callable(getattr(ph, name))


@REDUCTIONS
def test_reductions_have_rows(reduction: Reduction) -> None:
    assert callable(reference.REDUCTIONS[reduction])
    assert getattr(ph, reduction.spelling).reduction is reduction
    dtype = DType.BOOL if reduction in (Reduction.ANY, Reduction.ALL) else DType.F32
    i = Index("i", 3)
    e = reduce(reduction, (i,), load(Tensor("x", (3,), dtype), i))
    assert print_expr(e)
    assert latex_expr(e)


@pytest.mark.parametrize("op", [op for op in Op if op is not Op.SET], ids=str)
def test_accumulating_ops_are_reductions(op: Op) -> None:
    assert OP_OF[REDUCTION_OF[op]] is op
