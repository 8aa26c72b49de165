import numpy as np
import pytest
from cases import add, affine, define, f, given, program, reduction, run, state, tensor, value
from models import MODELS

from phistar.compiler import differentiate
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Distribution, Index, Pad, Random, Scan
from phistar.transform.flatten import flatten
from phistar.transform.lift import lift
from phistar.transform.reuse import reuse

b, i, j, k, t = Index("b", 3), Index("i", 4), Index("j", 4), Index("k", 3), Index("t", 4)
x, s = given("x", 4), given("s", 3, 4)
p, q, r = tensor("p", 4), tensor("q", 4), tensor("r", 4)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    model, values = MODELS[name]()
    wrt = [z for z in model.inputs if z.dtype.is_float]
    flat = flatten(lift(differentiate(model, model.outputs[0], wrt).program))
    expected, found = run(flat, values), run(reuse(flat), values)
    assert expected.keys() == found.keys()
    for output in expected:
        np.testing.assert_array_equal(found[output], expected[output])


def reused(*statements, outputs=()) -> str:
    return print_statements(reuse(program(*statements, outputs=outputs)))


def test_a_value_is_defined_once():
    a, c, d = tensor("a", 3, 4), tensor("c", 3, 4), tensor("d", 3, 4)
    text = reused(
        define(a, (b, j), f("exp", load(s, b, j))),
        define(c, (k, i), f("exp", load(s, k, i))),
        define(d, (b, j), load(a, b, j) * load(c, b, j)),
    )
    assert text == "a[b, j] = exp(s[b, j])\nd[b, j] = a[b, j] * a[b, j]"


def test_what_is_built_on_the_same_value_is_the_same():
    a, c, d = tensor("a"), tensor("c"), tensor("d")
    text = reused(
        add(a, (), load(x, i) ** 2, (i,)),
        define(p, (i,), load(x, i) / load(a)),
        add(c, (), load(x, j) ** 2, (j,)),
        define(q, (j,), load(x, j) / load(c)),
        add(d, (), load(p, i) * load(q, i), (i,)),
    )
    assert text == "a += Σ_i x[i] ** 2\np[i] = x[i] / a\nd += Σ_i p[i] * p[i]"


def different(first, second, outputs=(r,)) -> None:
    """Two definitions, of p and of q, that both stay."""
    product = define(r, (i,), load(p, i) * load(q, i))
    before = program(*first, *second, product, outputs=outputs)
    assert reuse(before) == before


def test_what_differs_stays():
    window = Pad(affine((i, 1)), 1, 0)
    other = Pad(affine((i, 1)), 1, 0, 0.5)
    base = define(p, (i,), load(x, i))
    different([base], [define(q, (i,), -load(x, i))])
    different([base], [define(q, (i,), load(x, i), value(i) > 1)])
    different([base], [define(q, (affine((i, -1), offset=3),), load(x, i))])
    different([base], [add(q, (i,), load(x, i))])
    different([base], [define(q, (i,), load(x, affine((i, -1), offset=3)))])
    different([define(p, (i,), load(x, window))], [define(q, (i,), load(x, other))])
    different([define(p, (i,), 0.0)], [define(q, (i,), -0.0)])
    different(
        [add(p, (i,), load(s, b, i), (b,))], [add(q, (i,), load(s, b, i), (b,), value(b) < 2)]
    )
    fields = [Random(Distribution.UNIFORM, place, (i,), x.dtype) for place in (0, 1)]
    different([define(p, (i,), fields[0])], [define(q, (i,), fields[1])])


def test_random_fields_of_one_place_are_the_same():
    field = Random(Distribution.NORMAL, 2, (i,), x.dtype)
    text = reused(
        define(p, (i,), field),
        define(q, (i,), field),
        define(r, (i,), load(p, i) + load(q, i)),
    )
    assert text == "p[i] = normal#2[i]\nr[i] = p[i] + p[i]"


def test_an_output_stays_as_a_copy():
    text = reused(
        define(p, (i,), load(x, i) ** 2),
        define(q, (j,), load(x, j) ** 2),
        define(r, (i,), load(p, i) + load(q, i)),
        outputs=(r, q),
    )
    assert text == "p[i] = x[i] ** 2\nq[j] = p[j]\nr[i] = p[i] + q[i]"


def test_an_output_that_is_summed_or_guarded_is_copied_whole():
    total = [add(t, (i,), load(s, b, i), (b,), value(b) < 2) for t in (p, q)]
    text = reused(*total, outputs=(p, q))
    assert text == "p[i] += Σ_{b : b < 2} s[b, i]\nq[i] = p[i]"


def test_an_output_that_is_a_copy_already_stays():
    different([define(p, (i,), load(x, i))], [define(q, (i,), load(x, i))], outputs=(r, q))


def test_a_value_that_is_defined_in_two_statements_stays():
    twice = [define(p, (i,), load(x, i)), add(p, (i,), load(x, i))]
    different(twice, [define(q, (i,), load(x, i))])


def test_what_was_updated_in_between_is_not_the_same():
    m = state("m", 4)
    update = define(m, (i,), load(m, i) * 0.9)
    different([define(p, (i,), load(m, i) ** 2), update], [define(q, (i,), load(m, i) ** 2)])


def test_what_is_read_before_it_is_defined_stays():
    """In a scan, q[t] is still 0 where p[t] is not."""
    o = tensor("o", 4)
    body = (
        define(p, (t,), load(x, t)),
        define(o, (t,), load(q, t)),
        define(q, (t,), load(x, t)),
    )
    before = program(Scan(t, body), add(tensor("L"), (), load(o, t) + load(q, t), (t,)))
    assert reuse(before) == before


def test_within_a_scan_but_not_across_it():
    o = tensor("o", 4)
    body = (
        define(p, (t,), load(x, t) ** 2),
        define(q, (t,), load(x, t) ** 2),
        define(o, (t,), load(p, t) + load(q, t) + load(r, t)),
    )
    text = reused(define(r, (t,), load(x, t) ** 2), Scan(t, body))
    assert text == (
        "r[t] = x[t] ** 2\nscan t:\n    p[t] = x[t] ** 2\n    o[t] = p[t] + p[t] + r[t]"
    )


def test_the_index_of_a_scan_is_not_like_another():
    a, c, z = tensor("a", 4, 4), tensor("c", 4, 4), tensor("z", 4)
    body = (
        define(a, (t, i), load(x, i)),
        define(c, (i, t), load(x, t)),
        define(z, (t,), load(a, t, 0) + load(c, t, 0)),
    )
    before = program(Scan(t, body))
    assert reuse(before) == before


def test_reductions_inside_expressions_count_too():
    lse = [reduction(Reduction.LOGSUMEXP, n, load(x, n)) for n in (i, j)]
    a, c, d = tensor("a"), tensor("c"), tensor("d")
    text = reused(
        define(a, (), lse[0]),
        define(c, (), lse[1]),
        define(d, (), load(a) + load(c)),
    )
    assert text == "a = logsumexp[i](x[i])\nd = a + a"


def test_gathers_on_the_left():
    word = given("word", 4, dtype=DType.I64)
    text = reused(
        add(p, (load(word, i),), load(x, i)),
        add(q, (load(word, j),), load(x, j)),
        define(r, (i,), load(p, i) + load(q, i)),
    )
    assert text == "p[word[i]] += x[i]\nr[i] = p[i] + p[i]"
