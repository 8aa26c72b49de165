import numpy as np
import pytest

from phistar.compiler import differentiate
from phistar.ir.build import load
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Scan
from phistar.transform.flatten import flatten
from phistar.transform.hoist import hoist
from phistar.transform.lift import lift
from transform.cases import (
    add,
    affine,
    define,
    f,
    given,
    param,
    program,
    reduction,
    run,
    sigma,
    tensor,
)
from transform.models import MODELS

b, i, j, t = Index("b", 3), Index("i", 4), Index("j", 2), Index("t", 5)
x, W = given("x", 3, 5, 4), param("W", 2, 4)
U = param("U", 2, 2)
k = Index("k", 2)
before, after = affine((t, 1), offset=-1), affine((t, 1), offset=1)
first = affine(offset=-1)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    p = differentiate(p, p.outputs[0], [s for s in p.inputs if s.dtype.is_float]).program
    expected, found = run(p, values), run(hoist(flatten(lift(p))), values)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-11, atol=1e-13)


def hoisted(*body, backwards=False) -> str:
    h = tensor("h", 3, 5, 2, halo=((0, 0), (1, 0), (0, 0)))
    p = program(define(h, (b, first, j), 0), Scan(t, body, backwards))
    return "\n".join(print_statements(hoist(lift(p))).splitlines()[1:])


def test_a_recurrent_layer_and_its_gradient():
    h, L = tensor("h", 3, 5, 2, halo=((0, 0), (1, 0), (0, 0))), tensor("L")
    linear = sigma(i, load(W, j, i) * load(x, b, t, i))
    score = linear + sigma(k, load(U, j, k) * load(h, b, before, k))
    p = program(
        define(h, (b, first, j), 0),
        Scan(t, (define(h, (b, t, j), f("tanh", score)),)),
        define(L, (), sigma((b, j), load(h, b, 4, j))),
    )
    p = differentiate(p, L, [W, U]).program
    assert print_statements(hoist(lift(p))) == (
        "h[b, first - 1, j] = 0\n"
        "h.pre[b, t, j] += Σ_i W[j, i] * x[b, t, i]\n"
        "scan t:\n"
        "    h.pre[b, t, j] += Σ_k U[j, k] * h[b, t - 1, k]\n"
        "    h[b, t, j] = tanh(h.pre[b, t, j])\n"
        "L += Σ_{b, j} h[b, 4, j]\n"
        "L.grad = 1\n"
        "h.grad[b, 4, j] += L.grad\n"
        "scan t backwards:\n"
        "    h.pre.grad[b, t, j] = h.grad[b, t, j] * (1 - square(h[b, t, j]))\n"
        "    h.grad[b, t - 1, k] += Σ_j h.pre.grad[b, t, j] * U[j, k]\n"
        "U.grad[j, k] += Σ_{t, b} h.pre.grad[b, t, j] * h[b, t - 1, k]\n"
        "W.grad[j, i] += Σ_{t, b} h.pre.grad[b, t, j] * x[b, t, i]"
    )


def test_a_scan_without_a_recurrence_is_none():
    y, z = tensor("y", 3, 5), tensor("z", 3, 5)
    assert (
        hoisted(define(y, (b, t), load(x, b, t, 0) ** 2), define(z, (b, t), load(y, b, t) + 1))
        == "y[b, t] = x[b, t, 0] ** 2\nz[b, t] = y[b, t] + 1"
    )


def test_what_is_read_before_it_is_complete_stays():
    """z sees only the steps so far; y is read at the next step, when it is not there yet."""
    total, z, y = tensor("total"), tensor("z", 5), tensor("y", 6)
    text = hoisted(add(total, (), load(x, 0, t, 0)), define(z, (t,), load(total)))
    assert text == "scan t:\n    total += x[0, t, 0]\n    z[t] = total"
    text = hoisted(define(z, (t,), load(y, after)), define(y, (t,), load(x, 0, t, 0)))
    assert text.startswith("scan t:")


def test_earlier_steps_are_complete_later_ones_are_not():
    y, z = tensor("y", 5, halo=((1, 1),)), tensor("z", 5)
    body = define(y, (t,), load(x, 0, t, 0)), define(z, (t,), load(y, before))
    assert "scan" not in hoisted(*body)
    assert hoisted(*body, backwards=True).startswith("scan t backwards:")
    body = define(z, (t,), load(y, after)), define(y, (t,), load(x, 0, t, 0))
    assert "scan" not in hoisted(*body, backwards=True)


def test_what_each_step_overwrites_stays():
    best = tensor("best")
    largest = reduction(Reduction.MAX, i, load(x, 0, t, i))
    assert hoisted(define(best, (), largest)) == (
        "best.max[t] max= max[i](x[0, t, i])\nscan t:\n    best = best.max[t]"
    )
