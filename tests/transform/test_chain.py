from phistar.ir.build import apply, cast, const, load
from phistar.ir.dtypes import DType
from phistar.ir.printer import print_expr
from phistar.ir.program import Argument, Index, Load, Own
from phistar.transform.chain import contributions, guarded, own_derivative, times, unguarded
from transform.cases import f, given

i = Index("i", 4)
x, z, g, n = given("x", 4), given("z", 4), given("g", 4), given("n", 4, dtype=DType.I64)
X, Z, G = load(x, i), load(z, i), load(g, i)
a = Argument("a", DType.F64)


def texts(e, result=None) -> list[str]:
    found = contributions(e, G, lambda node: isinstance(node, Load), result)
    return [f"{print_expr(c.leaf)}: {print_expr(guarded(c))}" for c in found]


def test_products_keep_two_factors():
    assert texts(X * Z) == ["x[i]: g[i] * z[i]", "z[i]: g[i] * x[i]"]
    assert texts(X / 8 - Z) == ["x[i]: g[i] / 8", "z[i]: -g[i]"]
    assert texts(f("neg", -X)) == ["x[i]: g[i]"]


def test_the_result_is_used_where_there_is_one():
    assert texts(f("exp", X)) == ["x[i]: g[i] * exp(x[i])"]
    assert texts(f("exp", X), result=Z) == ["x[i]: g[i] * z[i]"]


def test_guards_stand_outermost():
    inner = f("relu", X) * f("sqrt", Z)
    assert texts(f("where", X > 1, inner, 0.0)) == [
        "x[i]: where(x[i] > 1, where(relu(x[i]) > 0, g[i] * sqrt(z[i]), 0), 0)",
        "z[i]: where(x[i] > 1, g[i] * relu(x[i]) * (0.5 / sqrt(z[i])), 0)",
    ]
    assert texts(f("where", X > 1, 0.0, Z)) == ["z[i]: where(x[i] > 1, 0, g[i])"]


def test_casts_go_back_and_integers_have_no_adjoint():
    half = cast(X, DType.F32)
    assert texts(cast(half, DType.F64)) == ['x[i]: cast(cast(g[i], "f32"), "f64")']
    assert texts(X * load(n, i)) == ["x[i]: g[i] * n[i]"]
    assert texts(f("floor", X) + f("stop_gradient", Z)) == []


def test_own_functions():
    own = Own("own", ("a", "b"), f("relu", a) * Argument("b", DType.F64))
    assert texts(apply(own, X, Z)) == [
        "x[i]: where(relu(x[i]) > 0, g[i] * z[i], 0)",
        "z[i]: g[i] * relu(x[i])",
    ]
    given_partial = Own("own", ("a",), f("exp", a), (Argument("result", DType.F64) + a,))
    assert texts(apply(given_partial, X), result=Z) == ["x[i]: g[i] * (z[i] + x[i])"]
    flat = Own("flat", ("a",), f("floor", a))
    assert print_expr(own_derivative(flat, 0)) == "0"
    assert texts(apply(flat, X)) == []


def test_partials_as_a_reader_would_write_them():
    assert times(G, const(0)) is None and times(G, const(1)) is G
    assert print_expr(times(G, const(-1))) == "-g[i]"
    assert print_expr(times(G, 1 / X)) == "g[i] / x[i]"
    assert print_expr(times(G, f("reciprocal", X))) == "g[i] / x[i]"
    assert print_expr(times(const(1), X)) == "x[i]"
    assert unguarded(f("where", const(2) < 3, X, 0))[1] == X
