import math

import numpy as np
import pytest

from phistar.compiler import differentiate
from phistar.errors import ProgramError
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Assign, Index, Kind, Pad, Program, Scan
from phistar.transform.lift import lift
from phistar.transform.stabilise import stabilise
from phistar.transform.swap import swap
from transform.cases import (
    add,
    affine,
    check_gradients,
    define,
    f,
    given,
    param,
    program,
    random_values,
    reduction,
    run,
    sigma,
    state,
    tensor,
    value,
)
from transform.models import MODELS

R = Reduction
b, i, j, y = Index("b", 3), Index("i", 4), Index("j", 2), Index("y", 3)
t, u = Index("t", 4), Index("u", 4)
L = tensor("L")
x = given("x", 3, 4)


def backward_text(p: Program, *wrt, loss=None) -> str:
    lifted = lift(stabilise(p))
    backward = swap(lifted, loss or p.outputs[0], wrt or None)
    return print_statements(Program(backward.statements))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_agree_with_finite_differences(name):
    p, values = MODELS[name]()
    check_gradients(p, values, order=2)


@pytest.mark.parametrize("name", ["product_with_zeros", "products_and_quotients", "diagonal"])
def test_third_derivatives(name):
    p, values = MODELS[name]()
    check_gradients(p, values, order=3)


# The texts ----------------------------------------------------------------------------------------


def test_a_linear_layer_gives_two_statements():
    W, h = param("W", 2, 4), tensor("h", 3, 2)
    p = program(define(h, (b, j), sigma(i, load(W, j, i) * load(x, b, i))))
    assert backward_text(p) == (
        "W.grad[j, i] += Σ_b h.grad[b, j] * x[b, i]\nx.grad[b, i] += Σ_j h.grad[b, j] * W[j, i]"
    )


def test_mlp_reads_as_on_the_blackboard():
    p, _ = MODELS["mlp"]()
    wrt = [t for t in p.inputs if t.kind is Kind.PARAMETER]
    assert backward_text(p, *wrt) == (
        "s.grad[b, label[b]] += -(L.grad / 3)\n"
        "P.lse.grad[b] = L.grad / 3\n"
        "s.grad[b, y] += P.lse.grad[b] * exp(s[b, y] - P.lse[b])\n"
        "b1.grad[y] += Σ_b s.grad[b, y]\n"
        "W1.grad[y, j] += Σ_b s.grad[b, y] * h[b, j]\n"
        "h.grad[b, j] += Σ_y s.grad[b, y] * W1[y, j]\n"
        "h.pre.grad[b, j] = where(h[b, j] > 0, h.grad[b, j], 0)\n"
        "b0.grad[j] += Σ_b h.pre.grad[b, j]\n"
        "W0.grad[j, i] += Σ_b h.pre.grad[b, j] * x[b, i]"
    )


def test_softmax_has_its_own_rule_and_keeps_the_condition():
    s, P = given("s", 4, 4), tensor("P", 4, 4)
    p = program(define(P, (t, u), reduction(R.SOFTMAX, u, load(s, t, u), value(u) <= value(t))))
    assert backward_text(p) == (
        "s.grad[t, u] += P[t, u] * "
        "(P.grad[t, u] - Σ_{u' : u' <= t} P.grad[t, u'] * P[t, u']) if u <= t"
    )


def test_log_softmax_and_logsumexp():
    s, q, m = given("s", 3, 4), tensor("q", 3, 4), tensor("m", 3)
    p = program(define(q, (b, i), reduction(R.LOG_SOFTMAX, i, load(s, b, i))))
    assert backward_text(p) == ("s.grad[b, i] = q.grad[b, i] - exp(q[b, i]) * (Σ_i' q.grad[b, i'])")
    p = program(define(m, (b,), reduction(R.LOGSUMEXP, i, load(s, b, i))))
    assert backward_text(p) == "s.grad[b, i] = m.grad[b] * exp(s[b, i] - m[b])"


def test_max_has_one_winner():
    v, z, p_ = Index("v", 2), Index("z", 2), Index("p", 2)
    m, image = tensor("m", 3, 2), given("image", 3, 4, 2)
    rows = affine((p_, 2), (v, 1))
    p = program(define(m, (b, p_), reduction(R.MAX, (v, z), load(image, b, rows, z))))
    assert backward_text(p) == (
        "m.arg[b, p] argmax= argmax[v, z](image[b, 2*p + v, z])\n"
        "image.grad[b, 2*p + v, z] += "
        "where(equal(v * 2 + z, m.arg[b, p]), m.grad[b, p], 0)"
    )


def test_product_is_exact_at_zero():
    q = tensor("q", 3)
    p = program(define(q, (b,), reduction(R.PROD, i, load(x, b, i))))
    assert backward_text(p) == (
        "q.others[b, i] *= prod[i' : not_equal(i', i)](x[b, i'])\n"
        "x.grad[b, i] = q.grad[b] * q.others[b, i]"
    )


def test_padding_stays_on_the_left():
    r, p_ = Index("r", 3), Index("p", 4)
    K, o, c = param("K", 3), tensor("o", 3, 4), given("c", 3, 4)
    window = Pad(affine((p_, 1), (r, 1)), 1, 1, 0.5)
    p = program(define(o, (b, p_), sigma(r, load(K, r) * load(c, b, window))))
    assert backward_text(p) == (
        "K.grad[r] += Σ_{b, p} o.grad[b, p] * c[b, pad(p + r, 1, value=0.5)]\n"
        "c.grad[b, pad(p + r, 1)] += o.grad[b, p] * K[r]"
    )


def test_gather_accumulates_on_the_left():
    word, E, e = given("word", 3, dtype=DType.I64), param("E", 5, 2), tensor("e", 3, 2)
    p = program(define(e, (b, j), load(E, load(word, b), j)))
    assert backward_text(p) == "E.grad[word[b], j] += e.grad[b, j]"


def test_guards_stand_outermost():
    v, z = given("v", 4), tensor("z", 4)
    root = f("sqrt", load(v, i)) * 2
    p = program(define(z, (i,), f("where", load(v, i) > 0, root, 0.0)))
    assert backward_text(p) == (
        "v.grad[i] = where(v[i] > 0, z.grad[i] * 2 * (0.5 / sqrt(v[i])), 0)"
    )


def test_a_scan_runs_the_other_way():
    h = tensor("h", 4, halo=((1, 0),))
    v = given("v", 4)
    before = affine((t, 1), offset=-1)
    body = define(h, (t,), f("tanh", load(h, before) + load(v, t)))
    p = program(define(h, (affine(offset=-1),), 0), Scan(t, (body,)), define(L, (), load(h, 3)))
    assert backward_text(p) == (
        "h.grad[3] += L.grad\n"
        "scan t backwards:\n"
        "    h.grad[t - 1] += h.grad[t] * (1 - square(h[t]))\n"
        "    v.grad[t] = h.grad[t] * (1 - square(h[t]))"
    )


# Values where others get it wrong -----------------------------------------------------------------


def gradient(p: Program, values, of):
    result = differentiate(p, p.outputs[0], [of])
    return run(result.program, values)[result.gradients[of].name]


def test_the_root_at_zero_under_a_guard_has_gradient_zero():
    v, z = given("v", 4), tensor("z", 4)
    inner = f("where", load(v, i) > 0, f("sqrt", load(v, i)), 0.0)
    p = program(define(z, (i,), f("sin", inner)), define(L, (), sigma(i, load(z, i))))
    found = gradient(p, {"v": np.array([0.0, 1.0, 4.0, -1.0])}, v)
    expected = [0, math.cos(1) / 2, math.cos(2) / 4, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_sum_under_a_guard_is_not_differentiated_where_it_is_not_used():
    z = tensor("z", 3)
    inside = sigma(i, f("sqrt", load(x, b, i)))
    p = program(
        define(z, (b,), f("where", value(b) > 0, inside, 1.0)),
        define(L, (), sigma(b, load(z, b))),
    )
    values = {"x": np.stack([np.zeros(4), np.ones(4), np.full(4, 4.0)])}
    found = gradient(p, values, x)
    np.testing.assert_allclose(found, np.stack([np.zeros(4), np.full(4, 0.5), np.full(4, 0.25)]))


@pytest.mark.parametrize("kind", [R.MAX, R.MIN])
def test_of_equal_values_the_first_wins(kind):
    p = program(define(L, (), reduction(kind, (b, i), load(x, b, i))))
    found = gradient(p, {"x": np.ones((3, 4))}, x)
    expected = np.zeros((3, 4))
    expected[0, 0] = 1
    np.testing.assert_allclose(found, expected)


def test_relu_at_zero_and_maximum_at_a_tie():
    v, w = given("v", 4), given("w", 4)
    e = f("relu", load(v, i)) + 3 * f("maximum", load(v, i), load(w, i))
    p = program(define(L, (), sigma(i, e)))
    values = {"v": np.zeros(4), "w": np.zeros(4)}
    np.testing.assert_allclose(gradient(p, values, v), np.full(4, 3.0))
    np.testing.assert_allclose(gradient(p, values, w), np.zeros(4))


def test_an_empty_domain_has_no_gradient_and_no_nan():
    P = tensor("P", 3, 4)
    p = program(
        define(P, (b, i), reduction(R.SOFTMAX, i, load(x, b, i), value(i) < value(b))),
        define(L, (), sigma((b, i), load(P, b, i) * (value(i) + 1))),
    )
    found = gradient(p, random_values(p), x)
    np.testing.assert_allclose(found[0], 0)
    assert np.isfinite(found).all()


# What is computed, and what is not ----------------------------------------------------------------


def test_only_what_is_on_the_way_is_differentiated():
    W, h = param("W", 2, 4), tensor("h", 3, 2)
    other = tensor("other", 3)
    p = program(
        define(other, (b,), sigma(i, load(x, b, i))),
        define(h, (b, j), sigma(i, load(W, j, i) * load(x, b, i)) + load(other, b)),
        define(L, (), sigma((b, j), load(h, b, j))),
    )
    assert backward_text(p, W) == (
        "h.grad[b, j] = L.grad\nW.grad[j, i] += Σ_b h.grad[b, j] * x[b, i]"
    )


def test_what_the_loss_does_not_depend_on_has_gradient_zero():
    v, w = given("v", 4), given("w", 4)
    floor = tensor("floor", 4)
    p = program(
        define(floor, (i,), f("floor", load(w, i))),
        define(L, (), sigma(i, load(floor, i) * load(v, i))),
    )
    np.testing.assert_allclose(gradient(p, random_values(p), w), np.zeros(4))


def test_the_adjoint_of_the_loss_may_be_given():
    v, z = given("v", 4), tensor("z", 4)
    p = program(define(z, (i,), load(v, i) ** 2))
    result = differentiate(p, z, [v], given=True)
    assert result.loss_grad.kind is Kind.INPUT and result.loss_grad.name == "z.grad"
    numbers, weights = np.arange(4.0), np.array([1.0, 0, 2, 3])
    found = run(result.program, {"v": numbers, "z.grad": weights})
    np.testing.assert_allclose(found["v.grad"], 2 * numbers * weights)


def test_a_loss_that_is_read_again_gets_both_adjoints():
    """h is the loss, and its earlier elements are read on the way to its later ones."""
    v, h = given("v", 4), tensor("h", 4, halo=((1, 0),))
    before = affine((t, 1), offset=-1)
    p = program(
        define(h, (affine(offset=-1),), 0),
        Scan(t, (define(h, (t,), load(h, before) * 2 + load(v, t)),)),
    )
    result = differentiate(p, h, [v], given=True)
    assert result.loss_grad.name == "h.seed"
    found = run(result.program, {"v": np.ones(4), "h.seed": np.array([0.0, 1, 1, 1, 1])})
    np.testing.assert_allclose(found[result.gradients[v].name], [15, 7, 3, 1])


def test_origins_are_kept():
    p, _ = MODELS["mlp"]()
    lifted = lift(p)
    backward = swap(lifted, p.outputs[0])
    for forward, statements in backward.steps:
        assert forward in lifted.statements
        assert all(s.origin == forward.origin for s in statements)


# What is refused ----------------------------------------------------------------------------------


def test_an_update_on_the_way_is_refused():
    m = state("m", 4)
    p = program(define(m, (i,), load(m, i) * 2), define(L, (), sigma(i, load(m, i))), outputs=[L])
    with pytest.raises(ProgramError, match="m is updated and read again on the way to L"):
        swap(lift(p), L)


def test_a_value_overwritten_in_a_scan_is_refused():
    h, v = tensor("h"), given("v", 4)
    p = program(Scan(t, (define(h, (), load(v, t) ** 2),)), define(L, (), load(h)), outputs=[L])
    with pytest.raises(ProgramError, match="h is overwritten at each step of the scan over t"):
        swap(lift(p), L)


def test_a_sum_whose_earlier_values_matter_is_refused():
    total, v = tensor("total"), given("v", 4)
    squares = tensor("squares", 4)
    p = program(
        Scan(t, (add(total, (), load(v, t)), define(squares, (t,), load(total) ** 2))),
        define(L, (), sigma(t, load(squares, t))),
    )
    with pytest.raises(ProgramError, match="total changes at each step of the scan over t"):
        differentiate(p, L)


def test_a_maximum_from_two_places_is_refused():
    m, v = tensor("m"), given("v", 4)
    largest = Assign(load(m), Op.MAX, load(v, i), (i,))
    p = program(largest, Assign(load(m), Op.MAX, load(v, 0)), define(L, (), load(m)))
    with pytest.raises(ProgramError, match="m gets its value by max= from more than one place"):
        swap(lift(p), L)
