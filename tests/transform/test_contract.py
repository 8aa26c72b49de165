from dataclasses import replace

import numpy as np
import pytest
from cases import add, affine, define, f, given, param, program, run, tensor, value
from models import MODELS

from phistar.compiler import differentiate
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.printer import print_statements
from phistar.ir.program import Index, Pad, Program, Scan
from phistar.transform.contract import contract
from phistar.transform.flatten import flatten
from phistar.transform.lift import lift

b, i, j, k = Index("b", 8), Index("i", 50), Index("j", 40), Index("k", 5)
x, A, B, w = given("x", 8, 50), param("A", 50, 40), param("B", 40, 5), given("w")
y, L = tensor("y", 8, 5), tensor("L")


def random_values(p: Program) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        t.name: rng.normal(size=t.shape) if t.dtype is DType.F64 else rng.integers(0, 3, t.shape)
        for t in p.inputs
    }


def contracted(*statements) -> str:
    """The text of the contracted program, whose values are those of the original."""
    p = program(*statements)
    made = contract(p)
    values = random_values(p)
    expected, found = run(p, values), run(made, values)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-11, atol=1e-11)
    return print_statements(made)


@pytest.mark.parametrize("name", MODELS)
def test_values_are_kept(name):
    p, values = MODELS[name]()
    p = differentiate(p, p.outputs[0], [s for s in p.inputs if s.dtype.is_float]).program
    expected, found = run(p, values), run(contract(flatten(lift(p))), values)
    for output in expected:
        np.testing.assert_allclose(found[output], expected[output], rtol=1e-11, atol=1e-13)


def test_a_chain_of_matrices():
    chain = load(x, b, i) * load(A, i, j) * load(B, j, k)
    assert contracted(add(y, (b, k), chain, (i, j))) == (
        "y.c1[k, i] += Σ_j A[i, j] * B[j, k]\ny[b, k] += Σ_i x[b, i] * y.c1[k, i]"
    )


def test_literals_and_scalars_stay_on_the_last_sum():
    chain = -(load(w) * load(x, b, i) * 2.0 * load(A, i, j) * load(B, j, k)) / 3.0
    assert contracted(add(y, (b, k), chain, (i, j))).splitlines()[-1] == (
        "y[b, k] += Σ_i -(w * x[b, i] * y.c1[k, i] * 2.0) / 3.0"
    )


def test_what_only_one_factor_contains_is_summed_first():
    s = tensor("s", 8)
    assert contracted(add(s, (b,), load(x, b, i) * load(A, i, j), (i, j))) == (
        "s.c1[i] += Σ_j A[i, j]\ns[b] += Σ_i x[b, i] * s.c1[i]"
    )


def test_products_that_need_no_order_stay():
    pair = add(tensor("s", 8, 40), (b, j), load(x, b, i) * load(A, i, j), (i,))
    elementwise = add(L, (), load(x, b, i) ** 2 * load(x, b, i) * load(x, b, i), (b, i))
    scaled = add(L, (), load(w) * load(w) * load(x, b, i), (b, i))
    outer = define(tensor("o", 8, 5), (b, k), load(x, b, 0) * load(x, b, 1) * load(B, 0, k))
    for statement in (pair, elementwise, scaled, outer):
        p = program(statement)
        assert contract(p) == p


def test_a_condition_keeps_a_product_together():
    chain = load(x, b, i) * load(A, i, j) * load(B, j, k)
    p = program(add(y, (b, k), chain, (i, j), value(i) < value(j)))
    assert contract(p) == p


def test_a_product_of_some_factors_is_materialised():
    m = given("m", 50)
    product = load(m, i) * load(x, b, i) * load(A, i, j)
    assert contracted(add(tensor("s", 8, 40), (b, j), product, (i,))) == (
        "s.c1[b, i] = m[i] * x[b, i]\ns[b, j] += Σ_i A[i, j] * s.c1[b, i]"
    )


def test_factors_may_be_expressions():
    product = f("tanh", load(x, b, i)) * load(x, b, i) * load(A, i, 0) * load(A, i, j)
    assert contracted(add(L, (), product, (b, i, j))).splitlines() == [
        "L.c1[i] += Σ_j A[i, j]",
        "L.c2[i] += Σ_b tanh(x[b, i]) * x[b, i]",
        "L += Σ_i L.c2[i] * (A[i, 0] * L.c1[i])",
    ]


def test_windows_and_gathers_take_part():
    p, r = Index("p", 6), Index("r", 3)
    g, word = given("g", 8, 6), given("word", 8, dtype=DType.I64)
    E = param("E", 3, 40)
    window = load(x, b, affine((p, 1), (r, 1)))
    product = window * load(g, b, p) * load(E, load(word, b), j)
    assert contracted(add(tensor("z", 8, 3), (b, r), product, (p, j))).splitlines() == [
        "z.c1[b] += Σ_j E[word[b], j]",
        "z.c2[b, r] += Σ_p x[b, p + r] * g[b, p]",
        "z[b, r] += z.c1[b] * z.c2[b, r]",
    ]


def test_padding_takes_part():
    p, r = Index("p", 6), Index("r", 3)
    g, padded = given("g", 8, 3), load(x, b, Pad(affine((p, 1), (r, 1)), 1, 1))
    product = padded * load(g, b, r) * load(A, i, r)
    assert contracted(add(tensor("z", 8, 6), (b, p), product, (r, i))).splitlines() == [
        "z.c1[r] += Σ_i A[i, r]",
        "z.c2[b, r] = g[b, r] * z.c1[r]",
        "z[b, p] += Σ_r x[b, pad(p + r, 1)] * z.c2[b, r]",
    ]


def test_inside_a_scan_the_temporaries_have_its_index():
    t, n, m = Index("t", 3), Index("n", 8), Index("m", 8)
    h = tensor("h", 3, 8, halo=((1, 0), (0, 0)))
    U, V = param("U", 8, 40), param("V", 40, 8)
    before = affine((t, 1), offset=-1)
    step = add(h, (t, n), load(h, before, m) * load(U, m, j) * load(V, j, n), (m, j))
    assert contracted(define(h, (affine(offset=-1), n), 0.5), Scan(t, (step,))).splitlines() == [
        "h[first - 1, n] = 0.5",
        "scan t:",
        "    h.c1[t, j] += Σ_m h[t - 1, m] * U[m, j]",
        "    h[t, n] += Σ_j V[j, n] * h.c1[t, j]",
    ]


def test_four_factors():
    C = param("C", 5, 50)
    chain = load(x, b, i) * load(A, i, j) * load(B, j, k) * load(C, k, i)
    assert contracted(add(L, (), chain, (b, i, j, k))).splitlines() == [
        "L.c1[i] += Σ_b x[b, i]",
        "L.c2[i, k] += Σ_j A[i, j] * B[j, k]",
        "L.c3[i] += Σ_k C[k, i] * L.c2[i, k]",
        "L += Σ_i L.c1[i] * L.c3[i]",
    ]


def test_an_index_of_no_factor_stays_on_the_last_sum():
    n = Index("n", 3)
    chain = load(x, b, i) * load(A, i, j) * load(B, j, 0)
    assert contracted(add(L, (), chain, (n, b, i, j))).splitlines() == [
        "L.c1[i] += Σ_b x[b, i]",
        "L.c2[j] += Σ_i L.c1[i] * A[i, j]",
        "L += Σ_{n, j} B[j, 0] * L.c2[j]",
    ]


def test_other_ops_stay():
    chain = load(x, b, i) * load(A, i, j) * load(B, j, k)
    p = program(replace(add(y, (b, k), chain, (i, j)), op=Op.MAX))
    assert contract(p) == p


def test_an_empty_range_keeps_a_product_together():
    n = Index("n", 0)
    p = program(add(L, (), load(x, b, i) * load(A, i, j) * load(B, j, 0), (n, b, i, j)))
    assert contract(p) == p
