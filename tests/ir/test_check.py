"""The checker: what a program must satisfy, a rule each."""

from dataclasses import replace

import pytest

from phistar.errors import IndexRangeError, PhistarError, ProgramError
from phistar.ir.build import const, load, reduce, settled
from phistar.ir.check import check
from phistar.ir.dtypes import DType
from phistar.ir.parser import parse
from phistar.ir.primitives import Op, Reduction
from phistar.ir.program import Argument, Assign, Index, Kind, Program, Tensor

HEAD = """index i < 3, j < 4, t < 3
input x[3, 4] f32
input n[3] i64
value y[3] f32
value z[3] f32
value k[3] i64
value s[] f32
output y

"""
GOOD = "y[i] = Σ_j x[i, j]\nz[i] = y[i]"


def program(statements: str) -> Program:
    return parse(HEAD + statements)


def test_a_good_program_passes() -> None:
    check(program(GOOD))
    check(program("y[i] += Σ_j x[i, j]"), flat=True)


def test_a_condition_proves_a_read() -> None:
    check(program("y[t] += Σ_{i : i <= t} x[t - i, 0]"))


@pytest.mark.parametrize(
    ("statements", "error", "message"),
    [
        ("y[i] = z[i]", ProgramError, "z is read before it is defined"),
        ("z[i] = 1.0", ProgramError, "the output y is never defined"),
        ("x[i, j] = 1.0", ProgramError, "x is an input and cannot be assigned"),
        ("y[i] = x[i + 1, 0]", IndexRangeError, "takes positions 1..3 of axis 0"),
        ("y[i] = x[i - 1, 0]", IndexRangeError, "takes positions -1..1 of axis 0"),
        ("y[i] = x[pad(i + 3, 1), 0]", IndexRangeError, "takes positions 3..5"),
        ("y[i] += Σ_i x[i, 0]", ProgramError, "an index is reduced, but stands on the left"),
        ("y[i] = x[i, 0] * (Σ_i x[i, 0])", ProgramError, "index i is bound twice"),
        ("y[i] argmax= argmax[j](x[i, j])", ProgramError, "gives positions: y must be i64"),
        ("scan t:\n    scan t:\n        y[t] = 1.0", ProgramError, "runs inside another"),
    ],
)
def test_rules(statements: str, error: type[PhistarError], message: str) -> None:
    with pytest.raises(error, match=message):
        check(program(statements))


I, J, SMALL = Index("i", 3), Index("j", 4), Index("i", 2)
X, Y = Tensor("x", (3, 4), kind=Kind.INPUT), Tensor("y", (3,))


def one(statement: Assign) -> Program:
    return Program((statement,), (X,), (Y,))


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (
            one(Assign(load(Y, I), Op.SET, load(X, I, J))),
            ProgramError,
            "index j is bound by nothing",
        ),
        (one(Assign(load(Y, I), Op.SET, load(X, I, 0), (J,))), ProgramError, "= reduces nothing"),
        (one(Assign(load(Y, I), Op.ADD, load(X, I, 0), (J, J))), ProgramError, "reduced twice"),
        (one(Assign(load(Y, I), Op.SET, load(X, SMALL, 0))), IndexRangeError, "i has two sizes"),
        (
            one(Assign(load(Y, I), Op.SET, load(X, I))),
            ProgramError,
            "x has 2 axes, but 1 subscripts",
        ),
        (one(Assign(load(Y, I), Op.SET, const(1.0))), ProgramError, "a number has no type yet"),
        (
            one(Assign(load(Y, I), Op.SET, settled(const(1)))),
            ProgramError,
            "y is f32, its value i64",
        ),
        (
            one(Assign(load(Y, I), Op.SET, Argument("a", DType.F32))),
            ProgramError,
            "a is a parameter outside of its function",
        ),
        (
            one(Assign(load(Y, I), Op.ADD, reduce(Reduction.SUM, (J,), load(X, I, J)))),
            ProgramError,
            "reduces by itself",
        ),
        (
            one(Assign(load(Y, I), Op.SET, load(X, load(X, I, 0), 0))),
            ProgramError,
            "a subscript of x is f32, not a whole number",
        ),
        (
            one(Assign(load(Y, I), Op.SET, load(replace(X, shape=(4, 4)), I, 0))),
            ProgramError,
            "two tensors are named x",
        ),
        (
            one(Assign(load(Y, I), Op.SET, load(X, I, 0), condition=load(X, I, 0))),
            ProgramError,
            "a condition is a truth value",
        ),
        (Program((), (Y,), ()), ProgramError, "y is a value, so it cannot be an input"),
        (Program((), (replace(X, name="a b"),), ()), ProgramError, "'a b' is not a name"),
    ],
)
def test_records(made: Program, error: type[PhistarError], message: str) -> None:
    with pytest.raises(error, match=message):
        check(made)


def test_flat_programs_have_no_reductions() -> None:
    with pytest.raises(ProgramError, match="a reduction is left: softmax"):
        check(program("y[i] = softmax[i](x[i, 0])"), flat=True)


def test_a_scalar_is_not_called_like_an_index() -> None:
    text = "index i < 3\ninput i2[3] f32\nvalue y[3] f32\noutput y\n\ny[i] = i2[i]"
    made = parse(text)
    scalar = Tensor("i", (), kind=Kind.INPUT)
    statement = Assign(load(Y, I), Op.SET, load(scalar) * load(X, I, 0))
    check(made)
    with pytest.raises(ProgramError, match="i names both an index and a tensor"):
        check(Program((statement,), (X, scalar), (Y,)))
