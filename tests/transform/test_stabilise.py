import numpy as np
import pytest

from phistar.compiler import differentiate
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Pad
from phistar.transform.stabilise import stabilise
from transform.cases import define, f, given, program, reduction, run, sigma, tensor, value
from transform.models import MODELS

R = Reduction
b, i, y, u = Index("b", 3), Index("i", 2), Index("y", 4), Index("u", 3)
s, label = given("s", 3, 4), given("label", 3, dtype=DType.I64)
P, L = tensor("P", 3, 4), tensor("L")
softmax = define(P, (b, y), reduction(R.SOFTMAX, y, load(s, b, y)))


def text(*statements) -> str:
    return print_statements(stabilise(program(*statements)))


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    expected, found = run(p, values), run(stabilise(p), values)
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12)


def test_cross_entropy():
    loss = reduction(R.MEAN, b, -f("log", load(P, b, load(label, b))))
    assert text(softmax, define(L, (), loss)) == (
        "P[b, y] = softmax[y](s[b, y])\n"
        "P.lse[b] = logsumexp[y](s[b, y])\n"
        "L = mean[b](-(s[b, label[b]] - P.lse[b]))  # log of P, a softmax: stable form"
    )


def test_a_score_that_is_more_than_a_load_gets_a_name():
    W = given("W", 4, 2)
    x = given("x", 3, 2)
    score = sigma(i, load(W, y, i) * load(x, b, i))
    defined = define(P, (b, y), reduction(R.SOFTMAX, y, score))
    assert text(defined, define(L, (), sigma(b, f("log", load(P, b, 0))))) == (
        "P.pre[b, y] = Σ_i W[y, i] * x[b, i]\n"
        "P[b, y] = softmax[y](P.pre[b, y])\n"
        "P.lse[b] = logsumexp[y](P.pre[b, y])\n"
        "L = Σ_b (P.pre[b, 0] - P.lse[b])  # log of P, a softmax: stable form"
    )


def test_the_log_outside_the_domain_is_minus_infinity():
    Q, z = tensor("Q", 3, 3), tensor("z", 3, 3)
    a = given("a", 3, 3)
    masked = reduction(R.SOFTMAX, u, load(a, b, u), value(u) <= value(b))
    p = program(define(Q, (b, u), masked), define(z, (b, u), f("log", load(Q, b, u))))
    assert "where(u <= b, a[b, u] - Q.lse[b], -inf)" in print_statements(stabilise(p))
    values = {"a": np.arange(9.0).reshape(3, 3)}
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(run(stabilise(p), values)["z"], run(p, values)["z"])


def test_log_softmax_in_one_expression():
    z = tensor("z", 3, 4)
    e = f("log", reduction(R.SOFTMAX, y, load(s, b, y)))
    assert text(define(z, (b, y), e)) == "z[b, y] = log_softmax[y](s[b, y])"


def test_what_is_not_a_softmax_is_left_alone():
    x, z = tensor("x", 3, 4), tensor("z", 3, 4)
    p = program(define(x, (b, y), load(s, b, y) ** 2), define(z, (b, y), f("log", load(x, b, y))))
    assert stabilise(p) == p
    padded = f("log", load(P, b, Pad(load(s, 0, y).subscripts[1], 1, 0)))
    p = program(softmax, define(z, (b, y), padded))
    assert stabilise(p) == p


def test_a_probability_that_rounds_to_zero_has_a_gradient():
    loss = sigma(b, -f("log", load(P, b, load(label, b))))
    p = program(softmax, define(L, (), loss))
    scores = np.zeros((3, 4))
    scores[:, 1] = 2000
    result = differentiate(p, L, [s])
    found = run(result.program, {"s": scores, "label": np.array([0, 1, 2])})
    expected = np.zeros((3, 4))
    expected[0, :2], expected[2, 1:3] = (-1, 1), (1, -1)
    np.testing.assert_allclose(found["s.grad"], expected)
