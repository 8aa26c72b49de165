"""Names from users: every one becomes an identifier of its own, none becomes code."""

import keyword
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phistar.backends import c as c_backend
from phistar.backends.c.names import LENGTH, Names, comment, identifier
from phistar.backends.c.toolchain import find_compiler
from phistar.ir.build import load
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Index, Kind, Program, Tensor

HOSTILE = [
    '"; system("rm -rf /"); //',
    "*/ int main() {} /*",
    "int", "while", "_Bool", "__attribute__", "linux", "NAN", "INFINITY", "M_PI", "errno",
    "exp_f32", "team_wait", "run", "lo", "hi", "restrict", "main", "x\\", "x\nreturn 1;", "??/",
    "σ", "ŷ", "Σ", "", "9", "a" * 200, "W.grad", "W_grad", "W grad", "%s%n", "#define x", "é",
]  # fmt: skip
any_name = st.one_of(
    st.text(max_size=60), st.sampled_from(HOSTILE), st.sampled_from(keyword.kwlist)
)


@settings(max_examples=2000)
@given(st.lists(any_name, max_size=8))
def test_identifiers(names: list[str]) -> None:
    made = Names()
    found = [made(n, name) for n, name in enumerate(names)]
    assert len(set(found)) == len(found)
    for name in found:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        assert len(name) <= LENGTH + 8


@settings(max_examples=2000)
@given(any_name)
def test_comments_end_with_their_line(text: str) -> None:
    made = comment(text)
    assert made.startswith("// ")
    assert len(made.splitlines()) == 1
    assert "\\" not in made
    assert "??/" not in made


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("h.pre", "h_pre"),
        ("σ", "sigma"),
        ("ŷ", "y"),
        ("int", "int_"),
        ("W0", "W0"),
        ("1st", "n1st"),
    ],
)
def test_names_are_kept_where_they_can_be(name: str, wanted: str) -> None:
    assert identifier(name) == wanted


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_all_hostile_names_in_one_program() -> None:
    """Each names a tensor and an index; the program still adds one to everything."""
    names = list(dict.fromkeys([*HOSTILE, *keyword.kwlist]))
    statements, inputs, outputs = [], [], []
    for n, name in enumerate(names):
        index = Index(name or "i", 3)
        x = Tensor(name, (3,), kind=Kind.INPUT)
        y = Tensor(f"{name}.", (3,))
        inputs.append(x)
        outputs.append(y)
        statements.append(Assign(load(y, index), Op.SET, load(x, index) + float(n)))
    program = Program(tuple(statements), tuple(inputs), tuple(outputs), '*/ "; system("')
    values = {x.name: np.arange(3, dtype="f4") for x in inputs}
    results = c_backend.compile(program)(values)
    for n, y in enumerate(outputs):
        np.testing.assert_array_equal(results[y.name], np.arange(3) + n)
