import numpy as np

from phistar.ir.build import apply, load
from phistar.ir.dtypes import DType
from phistar.ir.printer import print_statements
from phistar.ir.program import Argument, Index, Own
from phistar.transform.inline import inline
from transform.cases import define, f, given, program, run, tensor

i = Index("i", 4)
x, y = given("x", 4), tensor("y", 4)
a = Argument("a", DType.F64)
double = Own("double", ("a",), a + a)
quadruple = Own("quadruple", ("a",), apply(double, apply(double, a)) * f("exp", a))


def test_own_functions_inside_own_functions():
    p = program(define(y, (i,), apply(quadruple, load(x, i)), apply(double, load(x, i)) > 0))
    assert print_statements(inline(p)) == (
        "y[i] = (x[i] + x[i] + (x[i] + x[i])) * exp(x[i]) if x[i] + x[i] > 0"
    )
    values = {"x": np.array([0.1, -1.0, 2.0, 0.0])}
    np.testing.assert_allclose(run(inline(p), values)["y"], run(p, values)["y"])


def test_a_program_without_them_is_the_same():
    p = program(define(y, (i,), load(x, i) ** 2))
    assert inline(p) == p
