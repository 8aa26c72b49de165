import numpy as np
import pytest

from phistar.ir.build import load
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Apply, Index, Own, Reduce
from phistar.ir.walk import expressions, flat, nodes
from phistar.transform.flatten import flatten
from phistar.transform.lift import lift
from transform.cases import define, given, program, reduction, run, tensor, value
from transform.models import MODELS

R = Reduction
b, y = Index("b", 3), Index("y", 4)
s = given("s", 3, 4)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept_and_nothing_is_left_to_reduce(name):
    p, values = MODELS[name]()
    flat_program = flatten(lift(p))
    for a in flat(flat_program.statements):
        for e in expressions(a):
            for node in nodes(e):
                assert not isinstance(node, Reduce)
                assert not (isinstance(node, Apply) and isinstance(node.function, Own))
    expected, found = run(p, values), run(flat_program, values)
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12)


def test_softmax_as_elementary_statements():
    P = tensor("P", 3, 4)
    p = program(define(P, (b, y), reduction(R.SOFTMAX, y, load(s, b, y))))
    assert print_statements(flatten(lift(p))) == (
        "P.max[b] max= max[y](s[b, y])\n"
        "P.shift[b] = where(abs(P.max[b]) < inf, P.max[b], 0)\n"
        "P.exp[b, y] = exp(s[b, y] - P.shift[b])\n"
        "P.sum[b] += Σ_y P.exp[b, y]\n"
        "P[b, y] = P.exp[b, y] / P.sum[b]"
    )


@pytest.mark.parametrize("kind", [R.SOFTMAX, R.LOG_SOFTMAX, R.LOGSUMEXP])
@pytest.mark.parametrize("masked", [False, True])
def test_large_and_infinite_values(kind, masked):
    T = tensor("T", 3, 4) if kind.keeps_indices else tensor("T", 3)
    condition = value(y) < value(b) + 1 if masked else None
    e = reduction(kind, y, load(s, b, y), condition)
    p = program(define(T, (b, y) if kind.keeps_indices else (b,), e))
    rows = [[1000.0, 999, -1000, 3], [-np.inf, 2, 1, -np.inf], [-1e30, 0, 1e3, 1]]
    values = {"s": np.array(rows)}
    np.testing.assert_allclose(run(flatten(lift(p)), values)["T"], run(p, values)["T"], rtol=1e-12)


def test_a_row_of_minus_infinity_has_logsumexp_minus_infinity():
    T = tensor("T", 3)
    p = program(define(T, (b,), reduction(R.LOGSUMEXP, y, load(s, b, y))))
    found = run(flatten(lift(p)), {"s": np.full((3, 4), -np.inf)})
    np.testing.assert_allclose(found["T"], np.full(3, -np.inf))


def test_an_empty_domain():
    P, Q, m = tensor("P", 3, 4), tensor("Q", 3, 4), tensor("m", 3)
    none = value(y) < 0
    p = program(
        define(P, (b, y), reduction(R.SOFTMAX, y, load(s, b, y), none)),
        define(Q, (b, y), reduction(R.LOG_SOFTMAX, y, load(s, b, y), none)),
        define(m, (b,), reduction(R.LOGSUMEXP, y, load(s, b, y), none)),
        outputs=(P, Q, m),
    )
    found = run(flatten(lift(p)), {"s": np.ones((3, 4))})
    np.testing.assert_allclose(found["P"], np.zeros((3, 4)))
    np.testing.assert_allclose(found["Q"], np.full((3, 4), -np.inf))
    np.testing.assert_allclose(found["m"], np.full(3, -np.inf))
