import numpy as np
import pytest

from phistar.ir.build import load
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Scan
from phistar.transform.lift import lift
from phistar.transform.prune import prune
from transform.cases import add, define, given, program, run, sigma, state, tensor
from transform.models import MODELS

i, t = Index("i", 4), Index("t", 4)
x, y, z, L = given("x", 4), tensor("y", 4), tensor("z", 4), tensor("L")


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    expected, found = run(p, values), run(prune(lift(p)), values)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-12)


def test_what_nobody_needs_goes():
    p = program(
        define(y, (i,), load(x, i) ** 2),
        define(z, (i,), load(y, i) + 1),
        define(L, (), sigma(i, load(y, i))),
    )
    assert print_statements(prune(p)) == "y[i] = x[i] ** 2\nL = Σ_i y[i]"


def test_updates_and_what_they_need_stay():
    m = state("m", 4)
    p = program(
        define(y, (i,), load(x, i) ** 2), add(m, (i,), load(y, i)), define(L, (), load(x, 0))
    )
    assert prune(p) == p


def test_inside_scans():
    body = (define(y, (t,), load(x, t)), define(z, (t,), load(x, t) * 2))
    p = program(Scan(t, body), define(L, (), load(y, 3)))
    assert print_statements(prune(p)) == "scan t:\n    y[t] = x[t]\nL = y[3]"
    p = program(Scan(t, body), define(L, (), load(x, 3)))
    assert print_statements(prune(p)) == "L = x[3]"
