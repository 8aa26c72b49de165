import numpy as np
import pytest
from cases import (
    affine,
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
from models import MODELS

from phistar.compiler import differentiate
from phistar.errors import ModelError, ShapeError, UsageError
from phistar.ir.build import load
from phistar.ir.check import check
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Kind, Origin, Scan
from phistar.transform.per_example import per_example_gradients

b, c, i, j, t = Index("b", 3), Index("c", 3), Index("i", 4), Index("j", 2), Index("t", 5)
x, W, L = given("x", 3, 4), param("W", 2, 4), tensor("L")
MIXED = ("backwards_scan", "recurrence_over_layers", "sum_along_a_scan", "partly_updated_state")


def gradients(*statements, wrt=(W,), batched=("x",)):
    """The program of the gradients of each example, checked against those of the whole batch."""
    p = program(*statements)
    made, found = per_example_gradients(p, p.outputs[0], wrt, batched)
    check(made)
    return made, found


def backward(*statements, wrt=(W,), batched=("x",)) -> list[str]:
    made, _ = gradients(*statements, wrt=wrt, batched=batched)
    lines = print_statements(made).splitlines()
    return lines[lines.index("L.grad = 1") + 1 :]


@pytest.mark.parametrize("name", [n for n in MODELS if n not in MIXED])
def test_they_add_up_to_the_gradient(name):
    p, values = MODELS[name]()
    given_ones = [t for t in p.inputs if t.kind is Kind.INPUT and t.shape]
    batched = [t.name for t in given_ones if t.shape[0] == given_ones[0].shape[0]]
    wrt = [t for t in p.inputs if t.dtype.is_float]
    made, found = per_example_gradients(p, p.outputs[0], wrt, batched)
    check(made)
    whole = differentiate(p, p.outputs[0], wrt)
    expected, results = run(whole.program, values), run(made, values)
    for s in wrt:
        total = results[found[s].name]
        if s.name not in batched:
            assert total.shape == (given_ones[0].shape[0], *s.shape)
            total = total.sum(axis=0)
        want = expected[whole.gradients[s].name]
        np.testing.assert_allclose(total, want, rtol=1e-9, atol=1e-11)


def test_each_is_the_gradient_of_one_example_alone():
    p, values = MODELS["mlp"]()
    params = [t for t in p.inputs if t.kind is Kind.PARAMETER]
    made, found = per_example_gradients(p, p.outputs[0], params, ["x", "label"])
    results = run(made, values)
    whole = differentiate(p, p.outputs[0], params)
    for example in range(3):
        alone = {n: np.repeat(values[n][example : example + 1], 3, axis=0) for n in ("x", "label")}
        expected = run(whole.program, {**values, **alone})
        for s in params:
            got = results[found[s].name][example] * 3  # the loss is a mean of three
            np.testing.assert_allclose(got, expected[whole.gradients[s].name], rtol=1e-12)


def test_the_sum_over_the_batch_is_left_out():
    h = tensor("h", 3, 2)
    assert backward(
        define(h, (b, j), sigma(i, load(W, j, i) * load(x, b, i))),
        define(L, (), sigma((b, j), load(h, b, j) ** 2)),
    ) == [
        "h.grad[b, j] = L.grad * (2 * h[b, j])",
        "W.grad[b, j, i] += h.grad[b, j] * x[b, i]",
    ]


def test_functions_of_parameters_carry_the_axis_and_regularisers_are_spread():
    V, h = tensor("V", 2, 4), tensor("h", 3)
    assert backward(
        define(V, (j, i), f("exp", load(W, j, i))),
        define(h, (b,), sigma((j, i), load(V, j, i) * load(x, b, i))),
        define(L, (), sigma(b, load(h, b)) + sigma((j, i), load(W, j, i) ** 2)),
    ) == [
        "W.grad[b', j, i] += L.grad * (2 * W[j, i]) / 3",
        "h.grad[b] = L.grad",
        "V.grad[b, j, i] += h.grad[b] * x[b, i]",
        "W.grad[b', j, i] += V.grad[b', j, i] * V[j, i]",
    ]


def test_statistics_of_the_batch_stay_plain():
    mu, z, g = tensor("mu", 4), tensor("z", 3, 4), param("g", 4)
    text = backward(
        define(mu, (i,), reduction(Reduction.MEAN, b, load(x, b, i))),
        define(z, (b, i), load(g, i) * (load(x, b, i) - load(mu, i))),
        define(L, (), sigma((b, i), load(z, b, i) ** 3)),
        wrt=(g, x),
    )
    assert "g.grad[b, i] += z.grad[b, i] * (x[b, i] - mu[i])" in text
    assert "mu.grad[i] += Σ_b -(z.grad[b, i] * g[i])" in text


def test_a_sum_that_shows_no_example():
    """Σ_b W[0, 0]: that there is a b in it is only seen in the forward statement."""
    z = tensor("z", 3)
    text = backward(
        define(z, (b,), load(x, b, 0) + load(W, 0, 0)),
        define(L, (), sigma(b, load(z, b) * load(x, b, 1))),
    )
    assert text[-1] == "W.grad[b, 0, 0] += z.grad[b]"
    text = backward(define(L, (), sigma(b, load(x, b, 0) + load(W, 0, 0))))
    assert text == ["W.grad[b, 0, 0] += L.grad"]


def test_inside_a_scan():
    z, w = given("z", 3, 5, 2), param("w", 2)
    h = tensor("h", 3, 5, 2, halo=((0, 0), (1, 0), (0, 0)))
    before = affine((t, 1), offset=-1)
    step = f("tanh", load(h, b, before, j) * load(w, j) + load(z, b, t, j))
    text = backward(
        define(h, (b, affine(offset=-1), j), 0),
        Scan(t, (define(h, (b, t, j), step),)),
        define(L, (), sigma((b, j), load(h, b, 4, j))),
        wrt=(w,),
        batched=("z",),
    )
    assert any("w.grad[b, j] += " in line for line in text)


def test_gathers():
    word, E = given("word", 3, dtype=DType.I64), param("E", 5, 2)
    text = backward(
        define(L, (), sigma((b, j), load(E, load(word, b), j) ** 2)), wrt=(E,), batched=("word",)
    )
    assert text == ["E.grad[b, word[b], j] += L.grad * (2 * E[word[b], j])"]


def test_what_the_loss_does_not_depend_on_has_gradient_zero():
    v = param("v", 2)
    made, found = gradients(define(L, (), sigma(b, load(x, b, 0))), wrt=(v, x))
    assert found[v].shape == (3, 2)
    assert found[x].shape == (3, 4)
    np.testing.assert_array_equal(run(made, {"x": np.ones((3, 4))})[found[v].name], 0)


def test_updates_are_kept():
    m = state("m", 4)
    made, _ = gradients(
        define(m, (i,), load(m, i) * 0.5),
        define(L, (), sigma(b, load(x, b, 0) * load(W, 0, 0))),
    )
    assert "m[i] = m[i] * 0.5" in print_statements(made)


def test_several_examples_in_one_product():
    s = tensor("s", 3, 3)
    scores = sigma(i, load(x, b, i) * load(x, c, i) * load(W, 0, i))
    with pytest.raises(ModelError, match=r"several examples at a time.*b and c both run over them"):
        gradients(define(s, (b, c), scores), define(L, (), sigma((b, c), load(s, b, c) ** 2)))


def test_an_example_that_no_index_tells():
    shifted = load(x, affine((j, 1), offset=1), 0)
    p = program(define(L, (), sigma(j, shifted * load(W, j, 0))))
    a = p.statements[0]
    with pytest.raises(ModelError, match=r"no one index runs over them\n  W.grad\[j, 0\]"):
        gradients(a)
    a = type(a)(a.target, a.op, a.value, a.over, a.condition, Origin("m.py", 3, "L = x * W"))
    with pytest.raises(ModelError, match=r"\n  L = x \* W$"):
        gradients(a)


def test_examples_in_a_group_with_something_else():
    z = tensor("z", 12)
    place = affine((b, 4), (i, 1), group=True)
    n = Index("n", 12)
    with pytest.raises(ModelError, match="no one index runs over them"):
        gradients(
            define(z, (place,), load(x, b, i)),
            define(L, (), sigma(n, load(z, n) * load(W, 0, 0) * value(n))),
        )


def test_the_batch_must_be_there():
    p = program(define(L, (), sigma(b, load(x, b, 0))))
    with pytest.raises(UsageError, match="'z' is no input of program with an axis for the batch"):
        per_example_gradients(p, L, [], ["z"])
    with pytest.raises(UsageError, match="program has no batched input"):
        per_example_gradients(p, L, [], [])


def test_the_batch_axes_must_agree():
    p = program(define(L, (), sigma(b, load(x, b, 0)) + load(given("z", 5), 0)))
    with pytest.raises(ShapeError, match="the batch axes of program differ: x has 3, z has 5"):
        per_example_gradients(p, L, [], ["x", "z"])
