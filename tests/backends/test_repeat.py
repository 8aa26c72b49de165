"""Many runs in one call: rows of what varies, what is kept goes from run to run."""

import numpy as np
import pytest
from agreement import Compile
from building import given, value
from numpy.testing import assert_allclose

from phistar.backends import reference
from phistar.backends.arrays import numpy as numpy_backend
from phistar.backends.c import compile as compile_c
from phistar.backends.c.toolchain import find_compiler
from phistar.backends.contract import repeat
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Distribution, Index, Kind, Program, Random

i = Index("i", 3)
needs_c = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
BACKENDS = [reference.compile, numpy_backend.compile, pytest.param(compile_c, marks=needs_c)]


def program() -> Program:
    """y = s + x; s += y + noise: the state goes from run to run, the noise from step to step."""
    x, s, y = given("x", 3), given("s", 3, kind=Kind.STATE), value("y", 3)
    noise = Random(Distribution.UNIFORM, 0, (i,), DType.F32)
    statements = (
        Assign(load(y, i), Op.SET, load(s, i) + load(x, i)),
        Assign(load(s, i), Op.ADD, load(y, i) + noise),
    )
    return Program(statements, (x, s), (y,))


@pytest.mark.parametrize("compile", BACKENDS)
def test_runs_one_after_another(compile: Compile) -> None:
    compiled = compile(program())
    x, s = np.arange(12, dtype="f4").reshape(4, 3), np.zeros(3, "f4")
    found = repeat(compiled, {"s": s}, {"x": x}, seed=7, step=5)
    assert found["y"].shape == (4, 3)
    kept = s
    for n, row in enumerate(x):
        one = compiled({"x": row, "s": kept}, 7, 5 + n)
        assert_allclose(found["y"][n], one["y"], rtol=1e-6)
        kept = one["s"]
    assert_allclose(found["s"], kept, rtol=1e-6)
    assert_allclose(s, 0)
