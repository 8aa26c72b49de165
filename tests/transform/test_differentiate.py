import numpy as np

from phistar.ir.build import load
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Kind
from phistar.transform.differentiate import differentiate
from transform.cases import add, define, given, param, program, run, sigma, state, tensor

i = Index("i", 4)
x, w, unused = given("x", 4), param("w"), param("unused", 4)
m, L = state("m", 4), tensor("L")


def example():
    return program(
        add(m, (i,), load(x, i)),
        define(L, (), sigma(i, load(w) * load(x, i) ** 2)),
        outputs=[L],
    )


def test_forward_backward_updates():
    result = differentiate(example(), L, [w, unused])
    assert print_statements(result.program) == (
        "L += Σ_i w * x[i] ** 2\n"
        "L.grad = 1\n"
        "w.grad += Σ_i L.grad * x[i] ** 2\n"
        "unused.grad[n1] = 0\n"
        "m[i] += x[i]"
    )
    assert [t.name for t in result.program.outputs] == ["L", "w.grad", "unused.grad"]
    assert {t.name: grad.name for t, grad in result.gradients.items()} == {
        "w": "w.grad",
        "unused": "unused.grad",
    }


def test_everything_by_default():
    result = differentiate(example(), L)
    assert {t.name for t in result.gradients} == {"L", "w", "x"}


def test_the_outputs_may_be_chosen():
    result = differentiate(example(), L, [w], outputs=[])
    assert [t.name for t in result.program.outputs] == ["w.grad"]


def test_a_given_adjoint_is_an_input():
    result = differentiate(example(), L, [w], given=True)
    assert result.loss_grad.kind is Kind.INPUT and result.loss_grad in result.program.inputs
    values = {"x": np.ones(4), "w": np.array(2.0), "m": np.zeros(4), "L.grad": np.array(3.0)}
    found = run(result.program, values)
    np.testing.assert_allclose(found["w.grad"], 12)
    np.testing.assert_allclose(found["m"], 1)


def test_names_that_are_taken_get_a_number():
    once = differentiate(example(), L, [w])
    twice = differentiate(once.program, once.gradients[w], [x])
    names = {t.name for t in twice.gradients.values()}
    assert names == {"x.grad"}
    again = differentiate(twice.program, L, [x])
    assert {t.name for t in again.gradients.values()} == {"x.grad2"}
