"""The numpy backend gives what the reference gives, and its plan says by which operation."""

import numpy as np
import pytest
from agreement import assert_agrees
from building import Case, given, value
from constructs import cases

from phistar.backends.arrays import numpy as numpy_backend
from phistar.errors import IndexRangeError, ProgramError
from phistar.ir.build import load, reduce
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Reduction
from phistar.ir.program import Assign, Index, Program, Scan

CASES = list(cases())
b, i, t = Index("b", 3), Index("i", 4), Index("t", 2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_agrees_with_the_reference(case: Case) -> None:
    assert_agrees(numpy_backend.compile, case)


@pytest.mark.parametrize("case", [c for c in CASES if c.plan], ids=lambda case: case.name)
def test_plan(case: Case) -> None:
    plan = numpy_backend.compile(case.program).plan
    for words in case.plan:
        assert words in plan


def test_plan_has_a_line_for_each_statement() -> None:
    x, y = given("x", 3, 4), value("y", 3)
    statement = Assign(load(y, b), Op.ADD, load(x, b, i), (i,))
    program = Program((Scan(t, (statement,)), statement), (x,), (y,))
    scan, inside, outside = numpy_backend.compile(program).plan.splitlines()
    assert scan == "scan t:"
    assert inside.startswith("    y[b] += ")
    assert outside.startswith("y[b] += ")
    assert outside.endswith("sum over i, in place")


def gather(name: str = "E") -> Program:
    table, word = given(name, 7, 4), given("word", 3, dtype=DType.I64)
    target = load(value("o", 3, 4), b, i)
    return Program((Assign(target, Op.SET, load(table, load(word, b), i)),), (table, word))


@pytest.mark.parametrize("number", [-1, 7])
def test_a_subscript_out_of_range(number: int) -> None:
    values = {"E": np.zeros((7, 4), "f4"), "word": np.array([0, 6, number])}
    with pytest.raises(IndexRangeError, match=f"(?s){number}.*b = 2"):
        numpy_backend.compile(gather())(values)


def test_a_subscript_out_of_range_inside_a_scan() -> None:
    table, word = given("E", 7), given("word", 3, 2, dtype=DType.I64)
    target = load(value("o", 3, 2), b, t)
    step = Assign(target, Op.SET, load(table, load(word, b, t)))
    values = {"E": np.zeros(7, "f4"), "word": np.array([[0, 1], [2, 9], [9, 5]])}
    with pytest.raises(IndexRangeError, match=r"(?s)9.*b = 2, t = 0"):
        numpy_backend.compile(Program((Scan(t, (step,)),), (table, word)))(values)


def test_a_scatter_out_of_range() -> None:
    count, word = value("count", 7), given("word", 3, dtype=DType.I64)
    statement = Assign(load(count, load(word, b)), Op.ADD, load(given("x", 3), b))
    program = Program((statement,), (word, given("x", 3)))
    values = {"word": np.array([1, 2, -3]), "x": np.ones(3, "f4")}
    with pytest.raises(IndexRangeError, match=r"(?s)-3.*b = 2"):
        numpy_backend.compile(program)(values)


def test_a_program_with_reductions_is_refused() -> None:
    x, y = given("x", 3, 4), value("y", 3)
    softmax = reduce(Reduction.SOFTMAX, (i,), load(x, b, i))
    program = Program((Assign(load(value("y", 3, 4), b, i), Op.SET, softmax),), (x,), (y,))
    with pytest.raises(ProgramError, match="flat program"):
        numpy_backend.compile(program)


def test_values_are_freed_after_their_last_use() -> None:
    x = given("x", 3, 4)
    first, second = value("first", 3, 4), value("second", 3)
    program = Program(
        (
            Assign(load(first, b, i), Op.SET, load(x, b, i) * 2.0),
            Assign(load(second, b), Op.ADD, load(first, b, i), (i,)),
        ),
        (x,),
        (second,),
    )
    assert set(numpy_backend.compile(program)({"x": np.ones((3, 4), "f4")})) == {"second"}


def test_outputs_are_not_views_of_inputs() -> None:
    x, y = given("x", 3, 4), value("y", 4, 3)
    program = Program((Assign(load(y, i, b), Op.SET, load(x, b, i)),), (x,), (y,))
    values = {"x": np.ones((3, 4), "f4")}
    result = numpy_backend.compile(program)(values)["y"]
    assert not np.shares_memory(result, values["x"])
