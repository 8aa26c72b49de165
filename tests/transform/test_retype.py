import numpy as np
import pytest
from cases import define, f, given, program, reduction, run, tensor
from models import MODELS

from phistar.ir.build import apply, cast, load
from phistar.ir.check import check
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_statements
from phistar.ir.program import Argument, Distribution, Index, Own, Random, Scan
from phistar.ir.walk import flat, nodes
from phistar.transform.lift import lift
from phistar.transform.names import tensors_of
from phistar.transform.retype import retype

i, k = Index("i", 4), Index("k", 4)
F32 = DType.F32


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name):
    p, values = MODELS[name]()
    single = retype(p, F32)
    check(lift(single))
    assert {t.dtype for t in tensors_of(single) if t.dtype.is_float} == {F32}
    double = retype(single, DType.F64)
    assert double == retype(p, DType.F64)
    expected, found = run(p, values), run(double, values)
    for output in expected:
        np.testing.assert_array_equal(found[output], expected[output])


def test_every_float_changes_and_nothing_else():
    x, n, y = given("x", 4, dtype=F32), given("n", 4, dtype=DType.I64), tensor("y", 4, dtype=F32)
    z = Argument("z", F32)
    own = Own("own", ("z",), z * 2.0, (z * 0 + 2.0,))
    field = Random(Distribution.UNIFORM, 0, (i,), F32)
    value = load(x, i) * load(n, i) + apply(own, load(x, i)) + field
    best = reduction(Reduction.ARGMAX, k, load(x, k))
    p = retype(
        program(Scan(i, (define(y, (i,), value + load(x, best), load(x, i) > 0),))), DType.F64
    )
    check(p)
    for a in flat(p.statements):
        for e in (a.value, a.condition):
            assert not [node for node in nodes(e) if node.dtype is F32]
            assert any(node.dtype is DType.I64 for node in nodes(a.value))
    result = run(p, {"x": np.array([1.0, -1.0, 2.0, 3.0]), "n": np.arange(4)})["y"]
    assert result.dtype == np.float64
    assert result[1] == 0


def test_casts_between_floats_vanish():
    x, y = given("x", 4, dtype=F32), tensor("y", 4)
    whole = cast(cast(f("floor", load(x, i)), DType.I64), DType.F64)
    p = retype(program(define(y, (i,), cast(load(x, i), DType.F64) + whole)), DType.F64)
    assert print_statements(p) == 'y[i] = x[i] + cast(cast(floor(x[i]), "i64"), "f64")'
