import numpy as np
import pytest

from phistar.ir.build import load
from phistar.ir.primitives import Op
from phistar.ir.printer import print_statements
from phistar.ir.program import Assign, Index, Scan
from phistar.transform.versions import commits, versions
from transform.cases import add, define, f, given, program, run, sigma, state, tensor, value
from transform.models import MODELS

i, j, t = Index("i", 4), Index("j", 2), Index("t", 4)
x, L = given("x", 4), tensor("L")
m, n = state("m", 4), state("n", 4)


def same_values(p, **given_values) -> None:
    rng = np.random.default_rng(1)
    values = {s.name: rng.normal(size=s.shape) for s in p.inputs} | given_values
    expected, found = run(p, values), run(versions(p), values)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    expected, found = run(p, values), run(versions(p), values)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12)


def test_an_update_that_is_read_becomes_a_value():
    p = program(define(m, (i,), load(m, i) + load(x, i)), define(L, (), sigma(i, load(m, i))))
    assert print_statements(versions(p)) == (
        "m.next[i] = m[i] + x[i]\nL = Σ_i m.next[i]\nm[n1] = m.next[n1]"
    )
    same_values(p)


def test_an_update_that_is_not_read_moves_to_the_end_as_it_is():
    p = program(add(m, (i,), load(x, i)), define(L, (), sigma(i, load(x, i))))
    assert print_statements(versions(p)) == "L = Σ_i x[i]\nm[i] += x[i]"
    before, updates = commits(versions(p).statements)
    assert (len(before), len(updates)) == (1, 1)


def test_updates_that_only_updates_read_stay_in_order():
    """Adam's form: m, then W by the new m."""
    p = program(
        define(L, (), sigma(i, load(m, i) * load(x, i))),
        define(m, (i,), load(m, i) * 0.9 + load(x, i)),
        add(n, (i,), -load(m, i)),
        outputs=[L],
    )
    assert versions(p) == p
    same_values(p)


def test_two_updates_of_one_state():
    p = program(
        define(m, (i,), load(m, i) * 2),
        add(n, (i,), load(m, i)),
        add(m, (i,), load(x, i)),
        define(L, (), sigma(i, load(m, i) ** 2)),
        outputs=[L],
    )
    assert print_statements(versions(p)) == (
        "m.next[i] = m[i] * 2\n"
        "m.next2[n1] = m.next[n1]\n"
        "m.next2[i] += x[i]\n"
        "L = Σ_i m.next2[i] ** 2\n"
        "m[n1] = m.next[n1]\n"
        "n[i] += m[i]\n"
        "m[n1] = m.next2[n1]"
    )
    same_values(p)


@pytest.mark.parametrize("op", [Op.MUL, Op.MAX, Op.MIN])
def test_other_ops_meet_the_old_value(op):
    p = program(
        Assign(load(m, i), op, load(x, i) * load(x, j), (j,)),
        define(L, (), sigma(i, load(m, i) ** 2)),
    )
    same_values(p)


def test_an_update_of_some_elements():
    p = program(define(m, (i,), load(x, i), value(i) > 1), define(L, (), sigma(i, load(m, i) ** 2)))
    assert "where(m.mask[n1], m.put[n1], m[n1])" in print_statements(versions(p))
    same_values(p)


def test_a_value_that_is_added_to_after_it_was_read():
    y, z = tensor("y", 4), tensor("z", 4)
    p = program(
        define(y, (i,), load(x, i)),
        define(z, (i,), load(y, i) ** 2),
        add(y, (i,), load(z, i)),
        define(L, (), sigma(i, f("sin", load(y, i)))),
    )
    assert print_statements(versions(p)) == (
        "y.before[i] = x[i]\n"
        "z[i] = y.before[i] ** 2\n"
        "y[n1] = y.before[n1]\n"
        "y[i] += z[i]\n"
        "L = Σ_i sin(y[i])"
    )
    same_values(p)


def test_other_elements_may_be_read_before():
    y = tensor("y", 4)
    p = program(add(y, (0,), load(x, 0)), add(y, (1,), load(y, 0) ** 2), outputs=[y])
    assert versions(p) == p


def test_states_updated_in_a_scan_stay():
    p = program(
        Scan(t, (define(m, (t,), load(m, t) + load(x, t)),)),
        define(L, (), sigma(i, load(m, i))),
    )
    assert versions(p) == p
