"""Text to programs: a program written by hand, and every way a text can be wrong."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from phistar.backends import reference
from phistar.errors import ParseError
from phistar.ir.check import check
from phistar.ir.parser import parse

RECURRENCE = """
program smooth
index t < 4, i < 3
input x[4, 3] f64
param w[3] f64
value h[4] f64 halo[1:0]
value y[] f64
def soft(a: f64) = a / (1 + abs(a))
    d/da = square(1 / (1 + abs(a)))
output h, y

h[first - 1] = 0.5
scan t:
    h[t] = soft(h[t - 1] + Σ_i w[i] * x[t, i])  # a note
y max= max[t](-h[t] ** 2)
"""


def test_a_program_written_by_hand_runs() -> None:
    program = parse(RECURRENCE)
    check(program)
    assert parse(str(program)) == program
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3)), rng.normal(size=3)
    found = reference.compile(program)({"x": x, "w": w})
    h, want = 0.5, []
    for t in range(4):
        a = h + w @ x[t]
        h = a / (1 + abs(a))
        want.append(h)
    assert_allclose(found["h"], [0.5, *want], rtol=1e-12)
    assert_allclose(found["y"], np.max(-np.square(want)), rtol=1e-12)


HEAD = "index i < 3, j < 4\ninput x[3, 4] f32\ninput n[3] i64\nvalue y[3] f32\n"


@pytest.mark.parametrize(
    "statement",
    [
        "y[i] = -x[i, 0] ** 2 - -1.0",
        "y[i] = (-x[i, 0]) ** -2.0 ** x[i, 1]",
        "y[i] = x[i, 1] - (x[i, 2] - x[i, 3])",
        "y[i] = x[i, 1] * (Σ_j x[i, j]) * 2",
        "y[i] = Σ_{j : (j <= i) & ~(j < 1)} x[i, j] / 2",
        "y[i] = x[n[i], i + 1]",
        "y[i] = x[i//2, (2*i)%4]",
        "y[i] = x[pad(i, 1, 0, value=2.5), 3]",
        "y[i] = where(isnan(x[i, 0]) | (x[i, 0] >= inf), nan, softmax[j](x[i, 0] * j))",
        "y[i] += Σ_j uniform#3[i, j] * normal[i]",
        'y[i] = cast(cast(x[i, 0], "i32") // 2, "f32")',
        "y[i] = x[i, 0] if i < 2",
        "y[n[i]] += x[i, 0]",
    ],
)
def test_statements_read_back(statement: str) -> None:
    program = parse(HEAD + statement)
    assert parse(str(program)) == program
    assert statement in str(program)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input x[2] f32\ninput x[2] f32", "x is declared twice"),
        ("input x[2] f99", "expected a type: bool"),
        ("input x[2.5] f32", "expected the size of an axis, found '2.5'"),
        ("value h[2] f32 halo[1:0, 1:0]", "the halo of h has 2 axes, its shape 1"),
        ("output z", "the output z is not declared"),
        (HEAD + "y[i] = z[i]", "z is neither an index nor a tensor that is declared"),
        (HEAD + "y[i] = twist(x[i, 0])", "there is no function twist"),
        (HEAD + "y[i] = exp(x[i, 0], 2)", "exp takes 1 arguments, not 2"),
        (HEAD + "y[i] = x[i]", "x has 2 axes, but 1 subscripts"),
        (HEAD + "y[i, i] = 1", "y has 1 axes"),
        (HEAD + "y[i] ~ x[i, 0]", "expected =, "),
        (HEAD + "1 = y[i]", "a statement starts with the tensor"),
        (HEAD + "y[i] = x[i, 0] x", "expected the end of the line, found 'x'"),
        (HEAD + "y[i] = (x[i, 0]", "expected '\\)', found 'the end of the line'"),
        (HEAD + "y[i] = x[i, 0] ?", r"'\?' means nothing here"),
        (HEAD + "y[i] = (x[i, 0] > 0) + 1", "a truth value does not mix"),
        (HEAD + "y[i] = uniform[i : i < 2]", "a random field takes indices only"),
        (HEAD + 'y[i] = cast(x[i, 0], 2, "f32")', "a cast is written"),
        (HEAD + "y[i] = x[pad(n[i], 1), 0]", "pad takes a position made of indices"),
        (HEAD + "y[i] = x[pad(i, 1, value=i), 0]", "the value of padding is a number"),
        (HEAD + "scan t:\n    y[i] = 1", "how far does t run"),
        (HEAD + "scan i:\ny[i] = 1", "the statements of a scan follow, indented"),
        (HEAD + "y[i] = 1\n    y[i] = 2", "indented more than the one before"),
    ],
)
def test_bad_texts(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        parse(text)
    assert "line " in str(caught.value) and "^" in str(caught.value)


def test_tensors_may_be_named_like_functions() -> None:
    """A name that brackets and then parentheses follow is the reduction: mean[i](...)."""
    text = """
program named
index b < 2, i < 3
input exp[2, 3] f64
value mean[2] f64
value max[] f64
output mean, max

mean[b] = mean[i](exp[b, i] - max[i](exp[b, i]))
max = exp(mean[0]) * (mean[1] + max[b : mean[b] < 0](mean[b]))
"""
    program = parse(text)
    assert parse(str(program)) == program
    x = np.random.default_rng(0).normal(size=(2, 3))
    outputs = reference.compile(program)({"exp": x})
    mean = (x - x.max(1, keepdims=True)).mean(1)
    assert_allclose(outputs["mean"], mean)
    assert_allclose(outputs["max"], np.exp(mean[0]) * (mean[1] + mean.max()))


def test_tensors_with_axes_may_be_named_like_indices() -> None:
    text = "index e < 2\ninput e[2] f64\nvalue y[2] f64\noutput y\n\ny[e] = e[e] * e + e[1]\n"
    program = parse("program named\n" + text)
    assert parse(str(program)) == program
    found = reference.compile(program)({"e": np.array([3.0, 5.0])})
    assert_allclose(found["y"], [5, 10])
