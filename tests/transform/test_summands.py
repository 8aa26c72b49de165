from phistar.ir.build import load
from phistar.ir.primitives import Reduction
from phistar.ir.printer import print_expr
from phistar.ir.program import Index
from phistar.transform.summands import as_sum, exposes_sum, summands
from transform.cases import f, given, reduction, sigma, value

R = Reduction
i, j = Index("i", 4), Index("j", 3)
x, z = given("x", 4), given("z", 4, 3)


def parts(e) -> list[tuple[str, str | None, str]]:
    return [
        (
            " ".join(index.name for index in s.indices),
            None if s.condition is None else print_expr(s.condition),
            print_expr(s.body),
        )
        for s in summands(e)
    ]


def test_a_sum_is_seen_through_signs_and_constants():
    total = sigma(i, load(x, i))
    assert exposes_sum(-(total + 1) / 2) and exposes_sum(3 * total)
    assert not exposes_sum(f("sin", total)) and not exposes_sum(load(x, 0) * total)
    assert not exposes_sum(reduction(R.MAX, i, load(x, i)))


def test_signs_and_constants_move_inside():
    assert parts(1 - sigma(i, load(x, i)) / 2 + load(x, 0)) == [
        ("", None, "1 + x[0]"),
        ("i", None, "-(x[i] / 2)"),
    ]


def test_sums_in_sums_are_merged():
    inner = sigma(j, load(z, i, j), value(j) > value(i)) - load(x, i)
    assert parts(sigma(i, inner, value(i) < 2)) == [
        ("i j", "(i < 2) & (j > i)", "z[i, j]"),
        ("i", "i < 2", "-x[i]"),
    ]


def test_means_and_cumulative_sums():
    assert parts(reduction(R.MEAN, (i, j), load(z, i, j))) == [("i j", None, "z[i, j] / 12")]
    some = as_sum(reduction(R.MEAN, i, load(x, i), value(i) > 1))
    assert print_expr(some) == ("(Σ_{i : i > 1} x[i]) / maximum(Σ_i where(i > 1, 1, 0), 1)")
    assert print_expr(as_sum(reduction(R.CUMSUM, i, load(x, i)))) == "Σ_{i' : i' <= i} x[i']"
