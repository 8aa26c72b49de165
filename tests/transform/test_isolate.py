from cases import add, affine, define, f, given, param, reduction, state, tensor, value

from phistar.ir.build import load
from phistar.ir.check import check
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_assign, print_statements
from phistar.ir.program import Index, Kind
from phistar.transform.isolate import isolate

b, i, j, t = Index("b", 3), Index("i", 4), Index("j", 2), Index("t", 5)
x, W, L = given("x", 4), param("W", 2, 4), tensor("L")


def test_loads_become_inputs_and_the_target_the_output():
    h = tensor("h", 2)
    isolated = isolate(add(h, (j,), load(W, j, i) * load(x, i), (i,)))
    check(isolated.forward)
    assert [str(s.name) for s in isolated.forward.inputs] == ["W", "x"]
    assert {s.kind for s in isolated.forward.inputs} == {Kind.INPUT}
    assert isolated.forward.outputs == (h,)
    assert set(isolated.origins.values()) == {W, x}
    assert print_statements(isolated.backward.statements).splitlines() == [
        "W.grad[j, i] = h.grad[j] * x[i]",
        "x.grad[i] += Σ_j h.grad[j] * W[j, i]",
    ]


def test_each_load_moves_alone_also_that_of_the_target():
    """In a recurrence the step before is an input like any other."""
    h = tensor("h", 5, halo=((1, 0),))
    before = affine((t, 1), offset=-1)
    a = define(h, (t,), load(h, before) * load(x, 0) + load(x, 0) * load(x, 1))
    isolated = isolate(a, (t,))
    assert [s.name for s in isolated.varied] == ["h.again", "x", "x.again"]
    assert [print_assign(isolated.shown(s)) for s in isolated.backward.statements] == [
        "h.grad[t - 1] += h.grad[t] * x[0]",
        "x.grad[0] += h.grad[t] * h[t - 1]",
        "x.grad[0] += h.grad[t] * x[1]",
        "x.grad[1] += h.grad[t] * x[0]",
    ]


def test_the_index_of_a_scan_is_reduced_if_the_target_does_not_have_it():
    isolated = isolate(add(L, (), load(x, t) * load(x, t)), (t,))
    assert print_assign(isolated.statement) == "L += Σ_t x[t] * x[t]"
    assert isolate(define(L, (), load(x, t)), (t,)) is None
    kept = isolate(define(L, (), load(x, 0)), (t,))
    assert print_assign(kept.statement) == "L = x[0]"


def test_what_is_stopped_stays_fixed():
    z = tensor("z", 4)
    a = define(z, (i,), load(x, i) * f("stop_gradient", load(x, i)), load(x, i) > 0)
    isolated = isolate(a)
    assert print_assign(isolated.statement) == (
        "z[i] = x[i] * stop_gradient(x.again[i]) if x[i] > 0"
    )
    assert [s.name for s in isolated.varied] == ["x"]


def test_gathers_are_fixed():
    word, z = given("word", 4, dtype=DType.I64), tensor("z", 4)
    isolated = isolate(define(z, (load(word, i),), load(W, 0, load(word, i)), value(i) > 1))
    assert [s.name for s in isolated.varied] == ["W"]
    assert len(isolated.forward.inputs) == 2


def test_softmax():
    s, P = given("s", 3, 4), tensor("P", 3, 4)
    isolated = isolate(define(P, (b, i), reduction(Reduction.SOFTMAX, i, load(s, b, i))))
    (statement,) = isolated.backward.statements
    assert "Σ_i' P.grad[b, i'] * P[b, i']" in print_assign(statement)


def test_what_has_no_derivative():
    n, m = tensor("n", 4, dtype=DType.I64), state("m", 4)
    assert isolate(define(n, (i,), value(i))) is None
    assert isolate(define(m, (i,), load(m, i) * 0.9)) is None
    assert not isolate(define(tensor("z", 4), (i,), value(i))).varied
