import numpy as np
import pytest

from phistar.compiler import differentiate, lower
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.program import Expr, Index
from phistar.ir.walk import expressions, flat
from phistar.transform.chop import DEEPEST, chop, is_deep
from transform.cases import define, f, given, program, reduction, run, sigma, tensor, value
from transform.models import MODELS

b, i = Index("b", 3), Index("i", 2)
x, z, L = given("x", 3), tensor("z", 3), tensor("L")

# One more level of nesting, of each kind.
LEVELS = {
    "function": lambda e: f("sin", e) + load(x, b),
    "choice": lambda e: f("where", load(x, b) > 0.1, f("sqrt", load(x, b)) * 0.1 + e, 1.0),
    "sum": lambda e: load(x, b) * 0.1 + e * 0.9,
}


def nested(level: str, start: Expr, times: int):
    e = start
    for _ in range(times):
        e = LEVELS[level](e)
    return program(define(z, (b,), e), define(L, (), sigma(b, load(z, b))))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_not_deep_is_left_alone(name):
    p, _ = MODELS[name]()
    assert chop(p) == p


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("start", ["load", "sum", "softmax"])
def test_nothing_is_deep_and_values_are_kept(level, start):
    first = {
        "load": load(x, b),
        "sum": sigma(i, load(x, i) * load(x, b)),
        "softmax": reduction(Reduction.SOFTMAX, b, load(x, b)),
    }[start]
    p = nested(level, first, DEEPEST)
    chopped = chop(p)
    assert not any(is_deep(e) for a in flat(chopped.statements) for e in expressions(a))
    values = {"x": np.array([0.3, -1.0, 0.05])}
    np.testing.assert_allclose(run(chopped, values)["L"], run(p, values)["L"], rtol=1e-12)


def test_depth_has_no_bound():
    p = nested("sum", sigma(i, load(x, i)), 3000)
    result = differentiate(p, L, [x])
    values = {"x": np.array([1.0, 2.0, 3.0])}
    found = run(lower(result.program), values)
    np.testing.assert_allclose(found["L"], 6, rtol=1e-12)  # the fixed point of z = 0.1 x + 0.9 z
    np.testing.assert_allclose(found["x.grad"], np.ones(3), rtol=1e-12)


def test_a_part_keeps_its_guard():
    """Where n is out of range, nothing is gathered; the root at 0 is not differentiated."""
    n = given("n", 3, dtype=DType.I64)
    e = load(x, load(n, b)) + f("sqrt", load(x, b))
    for _ in range(DEEPEST):
        e = f("sin", e)
    p = program(
        define(z, (b,), f("where", load(n, b) < 3, e, 0.0)), define(L, (), sigma(b, load(z, b)))
    )
    values = {"x": np.array([1.0, 0.0, 0.0]), "n": np.array([0, 7, 9])}
    np.testing.assert_allclose(run(chop(p), values)["L"], run(p, values)["L"])
    found = run(differentiate(p, L, [x]).program, values)["x.grad"]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1:], 0)


def test_conditions_and_subscripts_are_chopped_too():
    y = tensor("y", 3)
    deep = load(x, b)
    for _ in range(DEEPEST + 2):
        deep = f("abs", deep)
    p = program(define(y, (b,), load(x, b), deep > 0.5), define(z, (b,), load(y, b) * value(b)))
    values = {"x": np.array([0.3, -1.0, 0.7])}
    np.testing.assert_allclose(run(chop(p), values)["z"], [0, -1, 1.4])
    assert not any(is_deep(e) for a in flat(chop(p).statements) for e in expressions(a))
