"""The xla backend gives what the reference gives, whatever JAX's global settings are."""

import builtins
from typing import Any

import numpy as np
import pytest
from agreement import assert_agrees
from building import Case, given, value
from constructs import cases

from phistar.backends.arrays import xla
from phistar.errors import BackendError, IndexRangeError
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Index, Program, Scan

b, i, t = Index("b", 3), Index("i", 4), Index("t", 2)


@pytest.fixture
def jax() -> Any:
    return pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_agrees_with_the_reference(jax: Any, case: Case) -> None:
    assert_agrees(xla.compile, case)


def test_types_do_not_depend_on_the_global_flag(jax: Any) -> None:
    x, y = given("x", 3, dtype=DType.F64), value("y", 3, dtype=DType.F64)
    program = Program((Assign(load(y, b), Op.SET, load(x, b) / 3.0),), (x,), (y,))
    assert not jax.config.jax_enable_x64
    result = xla.compile(program)({"x": np.ones(3)})["y"]
    assert not jax.config.jax_enable_x64
    np.testing.assert_array_equal(result, np.ones(3) / 3.0)


@pytest.mark.parametrize("number", [-1, 7])
def test_a_subscript_out_of_range(jax: Any, number: int) -> None:
    table, word = given("E", 7, 4), given("word", 3, dtype=DType.I64)
    target = load(value("o", 3, 4), b, i)
    statement = Assign(target, Op.SET, load(table, load(word, b), i))
    values = {"E": np.zeros((7, 4), "f4"), "word": np.array([0, number, 6])}
    with pytest.raises(IndexRangeError, match=f"(?s){number}.*b = 1"):
        xla.compile(Program((statement,), (table, word)))(values)


def test_a_subscript_out_of_range_inside_a_scan(jax: Any) -> None:
    table, word = given("E", 7), given("word", 3, 2, dtype=DType.I64)
    target = load(value("o", 3, 2), b, t)
    step = Assign(target, Op.SET, load(table, load(word, b, t)))
    values = {"E": np.zeros(7, "f4"), "word": np.array([[0, 1], [2, 9], [9, 5]])}
    with pytest.raises(IndexRangeError, match=r"(?s)9.*b = 2, t = 0"):
        xla.compile(Program((Scan(t, (step,)),), (table, word)))(values)


def test_arrays_stay_on_the_device(jax: Any) -> None:
    x, y = given("x", 3), value("y", 3)
    program = Program((Assign(load(y, b), Op.SET, load(x, b) * 2.0),), (x,), (y,))
    result = xla.compile(program).on_device({"x": jax.numpy.ones(3, "float32")})["y"]
    assert isinstance(result, jax.Array)
    np.testing.assert_array_equal(np.asarray(result), np.full(3, 2, "f4"))


def test_without_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "jax":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(BackendError, match=r'pip install "phistar\[xla\]"'):
        xla.compile(Program(()))
