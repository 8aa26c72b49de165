"""LaTeX of statements: the formulas of the lecture, and nothing a name could break."""

import re

import matplotlib
import numpy as np
import pytest

import phistar as ph
from phistar.ir.build import apply, load
from phistar.ir.latex import latex_expr, latex_program, latex_statement, name
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Assign, Index, Scan, Tensor

matplotlib.use("agg")
b, i, j, y, t = ph.indices("b i j y t")


def model(x, W, c):
    h = ph.tensors("h")
    h[b, j] = ph.relu(W[j, i] * x[b, i] + c[j])
    return ph.mean[b](ph.sqrt(ph.sum[j](h[b, j] ** 2)) / 2)


def test_a_program_is_aligned_rows() -> None:
    traced = ph.trace(model, np.zeros((2, 3)), np.zeros((4, 3)), np.zeros(4))
    text = latex_program(traced.source)
    assert text.splitlines()[:2] == [
        r"\begin{align*}",
        r"h_{b,j} &= \mathrm{relu}\left(\sum_{i} W_{j,i} \, x_{b,i} + c_{j}\right) \\",
    ]
    assert traced._repr_latex_() == text


def test_adjoints_are_raised() -> None:
    assert name("W0.grad") == r"\mathit{W0}^{\mathrm{grad}}"
    assert name("σ") == r"\sigma"
    assert name("i'") == r"i^{\prime}"


@pytest.mark.parametrize("hostile", ["a_b", "a_b.c_d", "x\\y", "50%", "{", "$", "#", "&", "~", "^"])
def test_names_cannot_escape(hostile: str) -> None:
    shown = re.sub(r"\\[{}]", "", name(f"a{hostile}b"))
    assert shown.count("{") == shown.count("}")
    assert not re.search(r"(?<!\\)[$%&#]", shown)


def test_reducing_assignments_and_guards() -> None:
    m, x = Tensor("m", (3,)), Tensor("x", (3, 4))
    row, column = Index("b", 3), Index("i", 4)
    largest = Assign(load(m, row), Op.MAX, load(x, row, column), (column,))
    assert latex_statement(largest) == r"m_{b} \mathrel{\max}= \max_{i}\left(x_{b,i}\right)"
    guarded = Assign(
        load(m, row), Op.SET, load(m, row), condition=apply(Primitive.LESS, load(m, row), 1)
    )
    assert latex_statement(guarded) == r"m_{b} = m_{b} \quad \text{if } m_{b} < 1"


def test_scans_are_indented_rows() -> None:
    h = Tensor("h", (3,))
    step = Index("t", 3)
    scan = Scan(step, (Assign(load(h, step), Op.SET, load(h, step) * 2.0),), backwards=True)
    assert latex_statement(scan).startswith(r"\begin{array}{l}\text{for } t = 2, \dots, 0:")


def test_expressions_render() -> None:
    from matplotlib.mathtext import MathTextParser

    x = load(Tensor("x", ()))
    for e in (
        x / 2.0,
        x**3.0,
        -x,
        apply(Primitive.EXP, x),
        apply(Primitive.ABS, x) * 1e-5,
        x < 1.0,
    ):
        MathTextParser("agg").parse(f"${latex_expr(e)}$")
