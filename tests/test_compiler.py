"""The pipeline as a whole: every pass keeps the value, and every backend can be named."""

import numpy as np
import pytest

from phistar import compiler
from phistar.backends.c import toolchain
from phistar.compiler import (
    LOWERING,
    compile,
    default_backend,
    differentiate,
    eager_backend,
    lower,
    run_passes,
)
from phistar.errors import BackendError, BackendWarning
from phistar.ir.build import load
from transform.cases import define, f, given, program, run, tensor
from transform.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_each_pass_keeps_the_value_of_forward_and_backward(name, monkeypatch):
    monkeypatch.setenv("PHISTAR_CHECK", "1")
    p, values = MODELS[name]()
    p = differentiate(p, p.outputs[0], [t for t in p.inputs if t.dtype.is_float]).program
    expected = run(p, values)
    for step in LOWERING:
        p = run_passes(p, [step])
        found = run(p, values)
        assert found.keys() == expected.keys()
        for output in expected:
            np.testing.assert_allclose(
                found[output], expected[output], rtol=1e-10, atol=1e-13, err_msg=step.__name__
            )


def test_lower_twice_is_lower_once():
    p, _ = MODELS["mlp"]()
    assert lower(lower(p)) == lower(p)


def test_the_default_backend(monkeypatch):
    monkeypatch.delenv("PHISTAR_BACKEND", raising=False)
    monkeypatch.setattr(toolchain, "find_compiler", lambda: toolchain.Compiler(("cc",), "cc 1"))
    assert default_backend() == "c"
    assert eager_backend() == "numpy"
    monkeypatch.setenv("PHISTAR_BACKEND", "reference")
    assert default_backend() == eager_backend() == "reference"


def test_without_a_compiler_numpy_runs_and_says_so_once(monkeypatch):
    monkeypatch.delenv("PHISTAR_BACKEND", raising=False)
    monkeypatch.setattr(toolchain, "find_compiler", lambda: None)
    compiler.say_without_compiler.cache_clear()
    with pytest.warns(BackendWarning, match="there is no C compiler.*pip install ziglang") as said:
        assert default_backend() == "numpy"
        assert default_backend() == "numpy"
    assert len(said) == 1


def test_an_unknown_backend():
    p, _ = MODELS["mlp"]()
    with pytest.raises(BackendError, match="there is no backend 'abacus'; the backends are ref"):
        compile(p, "abacus")


def test_compile_runs_the_lowered_program():
    p, values = MODELS["mlp"]()
    found = compile(p, "reference")(values)
    np.testing.assert_allclose(found["L"], run(p, values)["L"], rtol=1e-12)


def test_a_deep_program_is_no_trouble():
    x = given("x")
    last, statements = x, []
    for n in range(3000):
        new = tensor(f"x{n}")
        statements.append(define(new, (), f("sin", load(last)) + load(x)))
        last = new
    p = program(*statements)
    result = differentiate(p, last, [x])
    found = run(lower(result.program), {"x": np.array(0.3)})
    value, slope = 0.3, 1.0
    for _ in range(3000):
        value, slope = np.sin(value) + 0.3, np.cos(value) * slope + 1
    np.testing.assert_allclose(found["x.grad"], slope, rtol=1e-10)
