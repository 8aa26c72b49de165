import numpy as np
import pytest

from phistar.ir.build import load
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Assign, Index, Reduce
from phistar.ir.walk import expressions, flat, nodes
from phistar.transform.guards import is_constant
from phistar.transform.lift import NORMALISED, is_bare, lift
from transform.cases import (
    define,
    f,
    given,
    param,
    program,
    reduction,
    run,
    sigma,
    state,
    tensor,
    value,
)
from transform.models import MODELS

R = Reduction
b, i, j, k = Index("b", 3), Index("i", 4), Index("j", 2), Index("k", 5)
x, W, c = given("x", 3, 4), param("W", 2, 4), param("c", 2)


def text(*statements) -> str:
    return print_statements(lift(program(*statements)))


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    expected, found = run(p, values), run(lift(p), values)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_reduces_but_the_normalised_forms(name):
    p, _ = MODELS[name]()
    for a in flat(lift(p).statements):
        value = a.value
        if isinstance(value, Reduce):
            assert value.reduction in NORMALISED and is_bare(value.body)
            value = value.body
        inside = (n for e in (value, *list(expressions(a))[1:]) for n in nodes(e))
        assert not any(isinstance(n, Reduce) for n in inside)


@pytest.mark.parametrize("name", MODELS)
def test_lifting_twice_is_lifting_once(name):
    p, _ = MODELS[name]()
    assert lift(lift(p)) == lift(p)


def test_a_pre_activation_has_a_name():
    h = tensor("h", 3, 2)
    linear = sigma(i, load(W, j, i) * load(x, b, i)) + load(c, j)
    assert text(define(h, (b, j), f("relu", linear))) == (
        "h.pre[b, j] += Σ_i W[j, i] * x[b, i]\nh.pre[b, j] += c[j]\nh[b, j] = relu(h.pre[b, j])"
    )


def test_terms_without_a_sum_stay_together_in_the_users_order():
    z = tensor("z", 3)
    total = load(x, b, 0) - sigma(i, load(x, b, i)) + load(x, b, 1) - load(x, b, 2)
    assert text(define(z, (b,), total)) == (
        "z[b] += x[b, 0] + x[b, 1] - x[b, 2]\nz[b] += Σ_i -x[b, i]"
    )


def test_constants_move_inside_and_means_are_sums():
    L = tensor("L")
    inner = sigma(i, load(x, b, i)) / 2 + load(x, b, 0)
    assert text(define(L, (), -reduction(R.MEAN, b, inner))) == (
        "L += Σ_{b, i} -(x[b, i] / 2 / 3)\nL += Σ_b -(x[b, 0] / 3)"
    )


def test_factors_get_names_unless_they_are_loads_or_need_every_index():
    D, A, C = tensor("D", 3, 5), given("A", 3, 2), given("C", 2, 5)
    e = sigma(j, f("tanh", load(A, b, j)) * (load(C, j, k) + 1) * 2)
    assert text(define(D, (b, k), e)) == (
        "D.f1[b, j] = tanh(A[b, j])\n"
        "D.f2[k, j] = C[j, k] + 1\n"
        "D[b, k] += Σ_j D.f1[b, j] * D.f2[k, j] * 2"
    )
    s = tensor("s", 3)
    e = sigma(i, load(x, b, i) * (load(x, b, i) - load(x, b, 0)))
    assert text(define(s, (b,), e)) == "s[b] += Σ_i x[b, i] * (x[b, i] - x[b, 0])"


def test_equal_reductions_share_one_temporary():
    z = tensor("z", 3, 4)
    largest = reduction(R.MAX, i, load(x, b, i))
    assert text(define(z, (b, i), (load(x, b, i) - largest) / largest)) == (
        "z.max[b] max= max[i'](x[b, i'])\nz[b, i] = (x[b, i] - z.max[b]) / z.max[b]"
    )


def test_softmax_of_more_than_a_load_is_named():
    P = tensor("P", 3, 4)
    e = reduction(R.SOFTMAX, i, load(x, b, i) / 2, value(i) <= value(b))
    assert text(define(P, (b, i), e)) == (
        "P.pre[b, i] = x[b, i] / 2\nP[b, i] = softmax[i : i <= b](P.pre[b, i])"
    )


def test_cumsum_is_a_sum_up_to_here():
    z = tensor("z", 3, 4)
    assert text(define(z, (b, i), reduction(R.CUMSUM, i, load(x, b, i)))) == (
        "z[b, i] += Σ_{i' : i' <= i} x[b, i']"
    )


def test_updates_are_not_split():
    m = state("m", 4)
    e = load(m, i) * 0.9 + sigma(b, load(x, b, i))
    assert text(define(m, (i,), e)) == ("m.sum[i] += Σ_b x[b, i]\nm[i] = m[i] * 0.9 + m.sum[i]")


def test_a_risky_expression_takes_its_guard_along():
    z = tensor("z", 3)
    risky = sigma(i, f("sqrt", load(x, b, i)))
    safe = sigma(i, load(x, b, i) * 2)
    assert text(define(z, (b,), f("where", value(b) > 0, risky, safe))) == (
        "z.sum[b] += Σ_{i : b > 0} sqrt(x[b, i])\n"
        "z.sum2[b] += Σ_i x[b, i] * 2\n"
        "z[b] = where(b > 0, z.sum[b], z.sum2[b])"
    )


def test_origin_and_root_names_are_kept():
    h = tensor("h", 3)
    e = f("exp", f("log", sigma(i, f("exp", reduction(R.MEAN, j, load(W, j, i))))))
    lifted = lift(program(define(h, (b,), e)))
    names = [a.target.tensor.name for a in flat(lifted.statements)]
    assert names == ["h.pre3", "h.pre2", "h.pre", "h"]
    assert all(isinstance(a, Assign) for a in lifted.statements)
    assert is_constant(f("sqrt", 2.0))
