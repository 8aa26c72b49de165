import pytest

from phistar.ir.build import apply, cast, const, load
from phistar.ir.dtypes import DType
from phistar.ir.printer import print_expr
from phistar.ir.program import Argument, Index, Own
from phistar.transform.guards import (
    both,
    conjunction,
    indices_of,
    is_constant,
    is_plain,
    position,
    reduces,
    risky,
)
from transform.cases import f, given, sigma, value

i, j = Index("i", 4), Index("j", 3)
x, n = given("x", 4), given("n", 4, dtype=DType.I64)
z = Argument("z", DType.F64)


@pytest.mark.parametrize(
    ("e", "expected"),
    [
        (load(x, i) * 2, False),
        (load(x, i) / 2, False),
        (1 / load(x, i), True),
        (f("sqrt", load(x, i)), True),
        (f("sqrt", const(2.0)), False),
        (load(x, load(n, i)), True),
        (apply(Own("own", ("z",), z), load(x, i)), True),
    ],
)
def test_risky(e, expected):
    assert risky(e) is expected


def test_constants_and_plain_factors():
    assert is_constant(f("sqrt", const(2.0)) * 3)
    assert not is_constant(value(i) * 2)
    assert is_plain(cast(load(n, i), DType.F64))
    assert not is_plain(load(x, i) + 1)
    assert reduces(sigma(i, load(x, i)) + 1) and not reduces(load(x, i))


def test_conditions_together():
    first, second = value(i) < 2, value(j) > 0
    assert both(None, second) is second and both(first, None) is first
    assert both(first, first) is first
    assert print_expr(both(first, second)) == "(i < 2) & (j > 0)"
    gathering = load(x, load(n, i)) > 0
    assert print_expr(both(first, gathering)) == "where(i < 2, x[n[i]] > 0, False)"
    assert conjunction([None, first, None]) is first
    assert indices_of([first, second, first]) == (i, j)


def test_position_is_row_major():
    assert print_expr(position((i,))) == "i"
    assert print_expr(position((i, j))) == "i * 3 + j"
