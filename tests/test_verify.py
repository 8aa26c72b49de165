"""`ph.check_gradients`: a verdict on every backward statement, and wrong ones are found."""

import sys
from pathlib import Path

import numpy as np
import pytest

from phistar import verify
from phistar.errors import GradientMismatch
from phistar.ir.build import apply, const, load
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import Argument, Index, Own, Scan
from phistar.transform import swap
from phistar.transform.derivatives import PARTIALS

sys.path.insert(0, str(Path(__file__).parent / "transform"))

from cases import add, affine, define, f, given, param, program, reduction, sigma, tensor
from models import MODELS

b, i, j, t = Index("b", 3), Index("i", 4), Index("j", 2), Index("t", 4)
x, W, h, L = given("x", 3, 4), param("W", 2, 4), tensor("h", 3, 2), tensor("L")
OK, KINK, MISMATCH = verify.Status.OK, verify.Status.KINK, verify.Status.MISMATCH


def network(activation: str):
    score = sigma(i, load(W, j, i) * load(x, b, i))
    return program(
        define(h, (b, j), f(activation, score)),
        define(L, (), sigma((b, j), load(h, b, j) ** 2)),
    )


def numbers(p, **given_ones):
    rng = np.random.default_rng(1)
    return {t.name: rng.normal(size=t.storage) for t in p.inputs} | given_ones


@pytest.mark.parametrize("name", MODELS)
def test_models_are_right(name):
    p, values = MODELS[name]()
    report = verify.check_program(p, values, seed=7)
    report.raise_for_mismatch()
    assert report.ok
    assert report.verdicts


def test_one_verdict_for_each_statement():
    p = network("tanh")
    report = verify.check_program(p, numbers(p))
    assert [v.statement for v in report.verdicts] == [
        "h.grad[b, j] = L.grad * (2 * h[b, j])",
        "h.pre.grad[b, j] = h.grad[b, j] * (1 - square(h[b, j]))",
        "W.grad[j, i] += Σ_b h.pre.grad[b, j] * x[b, i]",
        "x.grad[b, i] += Σ_j h.pre.grad[b, j] * W[j, i]",
        "W.grad, the gradient of L",
        "x.grad, the gradient of L",
    ]
    assert {v.status for v in report.verdicts} == {OK}
    assert report.verdicts[2].forward == "h.pre[b, j] += Σ_i W[j, i] * x[b, i]"
    lines = str(report).splitlines()
    assert lines[0] == "verdict    error  backward statement"
    assert len(lines) == 7
    assert all(line.startswith("ok ") for line in lines[1:])


def test_a_wrong_partial_is_found(monkeypatch):
    monkeypatch.setitem(PARTIALS, Primitive.TANH, (lambda y, a: 1 - y,))
    p = network("tanh")
    report = verify.check_program(p, numbers(p))
    assert not report.ok
    assert report.mismatches[0].statement == "h.pre.grad[b, j] = h.grad[b, j] * (1 - h[b, j])"
    assert [v.status for v in report.verdicts] == [OK, MISMATCH, OK, OK, MISMATCH, MISMATCH]
    with pytest.raises(GradientMismatch, match=r"disagrees with finite diff.*\n  h\.pre\.grad"):
        report.raise_for_mismatch()
    with pytest.raises(
        GradientMismatch, match=r"from  h\[b, j\] = tanh.*\n.* finite differences gi"
    ):
        report.raise_for_mismatch()


def test_a_partial_that_is_wrongly_zero_is_found(monkeypatch):
    monkeypatch.setitem(PARTIALS, Primitive.TANH, (lambda y, a: const(0),))
    p = network("tanh")
    report = verify.check_program(p, numbers(p))
    assert report.mismatches[0].statement == "h.pre.grad[b, j] = tanh(h.pre[b, j])"


def test_a_missing_sum_is_found(monkeypatch):
    """The swap rule without the primed index of softmax."""
    monkeypatch.setattr(swap, "primed", lambda indices, taken: ({}, indices[:0]))
    s = tensor("s", 3, 4)
    p = program(
        define(s, (b, i), reduction(Reduction.SOFTMAX, i, load(x, b, i))),
        define(L, (), sigma((b, i), load(s, b, i) ** 2)),
    )
    report = verify.check_program(p, numbers(p))
    assert report.mismatches


def test_one_wrong_element_among_many_is_found(monkeypatch):
    wrong = lambda y, a: apply(Primitive.WHERE, a > 2.9, 0.9, const(1)) * (1 - y * y)
    monkeypatch.setitem(PARTIALS, Primitive.TANH, (wrong,))
    z, n = given("z", 200), Index("n", 200)
    o = tensor("o", 200)
    p = program(define(o, (n,), f("tanh", load(z, n))), add(L, (), load(o, n) ** 2, (n,)))
    values = np.linspace(-1, 1, 200)
    assert verify.check_program(p, {"z": values}).ok
    values[77] = 3
    assert not verify.check_program(p, {"z": values}).ok


def test_an_own_function_with_a_wrong_derivative_is_found():
    z = Argument("z", x.dtype)
    own = Own("cube", ("z",), z**3, (2 * z**2,))
    p = program(define(L, (), sigma((b, i), apply(own, load(x, b, i)))))
    report = verify.check_program(p, numbers(p))
    assert report.mismatches[0].statement == "x.grad[b, i] = L.grad * (2 * x[b, i] ** 2)"


def test_kinks_are_recognised():
    p = network("relu")
    values = numbers(p, x=np.zeros((3, 4)))
    report = verify.check_program(p, values)
    status = {v.statement: v.status for v in report.verdicts}
    assert status["h.pre.grad[b, j] = where(h[b, j] > 0, h.grad[b, j], 0)"] is KINK
    assert report.ok
    assert str(report).count("kink") == 1


def test_a_wrong_element_beside_a_kink_is_found(monkeypatch):
    monkeypatch.setitem(
        PARTIALS, Primitive.RELU, (lambda y, a: apply(Primitive.WHERE, a > 0, 0.5, 0),)
    )
    p = network("relu")
    values = numbers(p)
    values["x"][0] = 0
    report = verify.check_program(p, values)
    assert report.mismatches[0].statement.startswith("h.pre.grad[b, j] = ")


def test_ties_of_max_are_kinks():
    m = tensor("m", 3)
    p = program(
        define(m, (b,), reduction(Reduction.MAX, i, load(x, b, i))),
        define(L, (), sigma(b, load(m, b))),
    )
    report = verify.check_program(p, {"x": np.ones((3, 4))})
    assert KINK in {v.status for v in report.verdicts}
    assert report.ok


def test_where_a_value_is_infinite_a_statement_has_no_slope():
    s, e = tensor("s", 3, 4), tensor("e", 3, 4)
    p = program(
        define(s, (b, i), f("log", load(x, b, i))),
        define(e, (b, i), f("exp", load(s, b, i))),
        define(L, (), sigma((b, i), load(e, b, i) * load(x, b, i))),
    )
    values = {"x": np.array([[0.0, 1, 2, 3], [1, 2, 3, 4], [0, 0, 1, 2]])}
    report = verify.check_program(p, values)
    status = {v.statement: v.status for v in report.verdicts}
    assert status["s.grad[b, i] = e.grad[b, i] * e[b, i]"] is OK
    assert status["x.grad[b, i] += s.grad[b, i] / x[b, i]"] is KINK


def test_a_gradient_that_is_nan_where_there_is_a_slope_is_wrong():
    z = Argument("z", x.dtype)
    own = Own("squared", ("z",), z * z, (2 * z * z / z,))
    p = program(define(L, (), sigma((b, i), apply(own, load(x, b, i)))))
    values = numbers(p)
    assert verify.check_program(p, values).ok
    values["x"][1, 2] = 0
    with np.errstate(invalid="ignore"):
        assert not verify.check_program(p, values).ok


def test_stopped_gradients_are_not_expected():
    stopped = f("stop_gradient", load(x, b, i)) * load(x, b, i)
    p = program(define(L, (), sigma((b, i), stopped)))
    report = verify.check_program(p, numbers(p))
    assert report.ok
    assert [v.statement for v in report.verdicts] == [
        "x.grad[b, i] = L.grad * stop_gradient(x[b, i])"
    ]


def test_a_scan_is_checked_statement_by_statement():
    z, w = given("z", 4), param("w")
    g, total = tensor("g", 4, halo=((1, 0),)), tensor("total")
    before = affine((t, 1), offset=-1)
    p = program(
        define(g, (affine(offset=-1),), 0.3),
        Scan(
            t,
            (
                define(g, (t,), f("tanh", load(g, before) * load(w) + load(z, t))),
                add(total, (), load(g, t) ** 2),
            ),
        ),
        define(L, (), load(total) * load(w)),
    )
    report = verify.check_program(p, numbers(p))
    assert report.ok
    assert [v.statement for v in report.verdicts][2:6] == [
        "g.grad[t] += total.grad * (2 * g[t])",
        "g.grad[t - 1] += g.grad[t] * (1 - square(g[t])) * w",
        "w.grad += g.grad[t] * (1 - square(g[t])) * g[t - 1]",
        "z.grad[t] = g.grad[t] * (1 - square(g[t]))",
    ]


def test_float32_values_are_checked_in_float64():
    p = network("gelu")
    values = {name: a.astype(np.float32) for name, a in numbers(p).items()}
    assert verify.check_program(p, values).ok


def test_what_does_not_lead_to_the_output_is_not_checked():
    """A metric: no backward statement, and nothing that could not be differentiated matters."""
    hits = tensor("hits")
    p = program(
        define(L, (), sigma((b, i), load(x, b, i))),
        add(hits, (), apply(Primitive.WHERE, load(x, b, i) > 0, 1.0, 0.0), (b, i)),
        outputs=(L, hits),
    )
    assert len(verify.check_program(p, numbers(p)).verdicts) == 2


def test_the_reference_backend_will_do():
    p = network("silu")
    assert verify.check_program(p, numbers(p), backend="reference", elements=3).ok
