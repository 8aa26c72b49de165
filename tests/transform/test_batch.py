import numpy as np
import pytest
from cases import add, define, f, given, param, program, reduction, run, sigma, state, tensor
from models import MODELS

from phistar.errors import ModelError, UsageError
from phistar.ir.build import load
from phistar.ir.check import check
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Distribution, Index, Kind, Origin, Random
from phistar.transform.batch import batch
from phistar.transform.lift import lift

i, j = Index("i", 4), Index("j", 2)
x, W = given("x", 4), param("W", 2, 4)
h, L = tensor("h", 2), tensor("L")
UPDATED = ("updated_state", "partly_updated_state")


def batched(*statements, inputs=("x",), outputs=()) -> str:
    p = batch(program(*statements, outputs=outputs), "b", 3, inputs)
    check(p)
    return print_statements(p)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in (*UPDATED, "dropout")])
def test_every_example_gives_what_it_gives_alone(name):
    p, values = MODELS[name]()
    names = [t.name for t in p.inputs if t.kind is Kind.INPUT]
    many = {n: np.stack([values[n], values[n], values[n]]) for n in names}
    for n in names:
        if many[n].dtype.kind == "f":
            many[n] *= np.array([1.0, 1.25, 0.5]).reshape(3, *[1] * (many[n].ndim - 1))
    together = batch(p, "b", 3, names)
    check(lift(together))
    found = run(together, {**values, **many})
    for example in range(3):
        alone = run(p, {**values, **{n: array[example] for n, array in many.items()}})
        for before, after in zip(p.outputs, together.outputs, strict=True):
            np.testing.assert_allclose(found[after.name][example], alone[before.name], rtol=1e-13)


def test_only_what_depends_on_an_example_gets_the_index():
    V, s = tensor("V", 2, 4), tensor("s", 2)
    assert batched(
        define(V, (j, i), load(W, j, i) ** 2),
        define(h, (j,), f("relu", sigma(i, load(V, j, i) * load(x, i)))),
        define(s, (j,), reduction(Reduction.SOFTMAX, j, load(h, j))),
        define(L, (), -f("log", load(s, 0))),
    ).splitlines() == [
        "V[j, i] = W[j, i] ** 2",
        "h[b, j] = relu(Σ_i V[j, i] * x[b, i])",
        "s[b, j] = softmax[j](h[b, j])",
        "L[b] = -log(s[b, 0])",
    ]


def test_the_index_gets_a_name_that_is_free():
    b, other = Index("b", 4), Index("b'", 4)
    text = batched(
        define(L, (), sigma(b, load(x, b) * reduction(Reduction.MAX, other, load(x, other))))
    )
    assert text == "L[b''] = Σ_b x[b'', b] * max[b'](x[b'', b'])"


def test_gathers_and_scatters():
    word, E, count = given("word", 4, dtype=DType.I64), param("E", 3), tensor("count", 3)
    scatter = add(count, (load(word, i),), load(E, load(word, i)))
    assert batched(scatter, inputs=("word",)) == "count[b, word[b, i]] += E[word[b, i]]"


def test_random_fields_get_the_index_first():
    field = Random(Distribution.UNIFORM, 1, (i,), DType.F64)
    z, n = tensor("z", 4), tensor("n", 4)
    text = batched(define(n, (i,), field), define(z, (i,), load(x, i) * load(n, i)))
    assert text == "n[b, i] = uniform#1[b, i]\nz[b, i] = x[b, i] * n[b, i]"


def test_outputs_without_the_index_are_repeated():
    V, z = tensor("V", 2, 4), tensor("z", 4)
    text = batched(
        define(V, (j, i), load(W, j, i) ** 2),
        define(z, (i,), load(x, i) * load(V, 0, i)),
        outputs=(V, z, W, V),
    )
    assert text.splitlines() == [
        "V.one[j, i] = W[j, i] ** 2",
        "z[b, i] = x[b, i] * V.one[0, i]",
        "V[b, n1, n2] = V.one[n1, n2]",
        "W.all[b, n1, n2] = W[n1, n2]",
    ]
    p = batch(program(define(V, (j, i), load(W, j, i) ** 2), outputs=(V, W, V)), "b", 3, ())
    assert [t.shape for t in p.outputs] == [(3, 2, 4)] * 3
    assert p.outputs[0] == p.outputs[2]


def test_updates_that_differ_are_refused():
    m = state("m", 4)
    update = define(m, (i,), load(m, i) * 0.9 + load(x, i))
    with pytest.raises(ModelError, match=r"m is one for all examples.*\n  m\[i\] = m\[i\]"):
        batch(program(update), "b", 3, ["x"])
    written = program(add(m, (i,), load(x, i)))
    (a,) = written.statements
    a = type(a)(a.target, a.op, a.value, a.over, a.condition, Origin("m.py", 3, "m[i] += x[i]"))
    with pytest.raises(ModelError, match=r"\n  m\[i\] \+= x\[i\]\n"):
        batch(program(a), "b", 3, ["x"])


def test_updates_that_are_the_same_for_all_stay():
    m = state("m", 4)
    text = batched(define(m, (i,), load(m, i) * 0.9), define(L, (), load(x, 0) * load(m, 0)))
    assert text == "m[i] = m[i] * 0.9\nL[b] = x[b, 0] * m[0]"


def test_a_name_that_is_no_input():
    with pytest.raises(UsageError, match="'z' is no input of program: it has x"):
        batch(program(define(L, (), load(x, 0))), "b", 3, ["z"])
