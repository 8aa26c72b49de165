"""Subscripts, recurrences, reductions, conditions, lengths, types and functions."""

from collections.abc import Iterator

import numpy as np
from building import (
    RNG,
    Case,
    add,
    at,
    b,
    case,
    given,
    half,
    i,
    j,
    k,
    m,
    n,
    none,
    one,
    prime,
    r,
    reduce,
    rest,
    set_,
    t,
    u,
    value,
)

from phistar.ir.build import apply, const, index_value, load, settle, subscript
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Typing
from phistar.ir.primitives import Primitive as F
from phistar.ir.program import (
    Assign,
    Distribution,
    Expr,
    Index,
    Kind,
    Pad,
    Random,
    Scan,
    Tensor,
)


def shapes() -> Iterator[Case]:
    square, x, y = given("square", 4, 4), given("x", 3, 4), given("y", 3, 5)
    yield case("diagonal", set_(load(value("o", 4), n), load(square, n, n)))
    yield case("trace", add(load(value("o")), load(square, n, n), n))
    yield case("onto the diagonal", add(load(value("o", 4, 4), n, n), load(given("z", 4), n)))
    both = value("both", 3, 9)
    after = subscript(at((j, 1), offset=4))
    yield case(
        "concatenation",
        set_(load(both, b, i), load(x, b, i)),
        set_(load(both, b, after), 2 * load(y, b, j)),
    )
    pair = value("pair", 2, 3, 4)
    yield case(
        "stack", set_(load(pair, 0, b, i), load(x, b, i)), set_(load(pair, 1, b, i), -load(x, b, i))
    )
    back = at((i, -1), offset=3)
    out = value("o", 3, 4)
    yield case("reversed", set_(load(out, b, i), load(x, b, back)))
    yield case("onto the reverse", set_(load(out, b, back), load(x, b, i)))
    yield case("every second", set_(load(value("o", 3, 2), b, k), load(x, b, at((k, 2), offset=1))))
    yield case("transposed", set_(load(value("o", 4, 3), i, b), load(x, b, i)))
    pairs, inside = at((i, 2), (k, 1)), at((i, 2), (k, 1), offset=1)
    yield case("a group", add(load(value("o", 3, 8), b, pairs), load(x, b, i)))
    product = load(x, b, i) * load(given("z", 2), k)
    yield case("part of a group", add(load(value("o", 3, 10), b, inside), product))
    loose = at((i, 3), (k, 1))
    yield case(
        "a group with gaps",
        set_(load(value("o", 3, 4, 2), b, i, k), load(given("w", 3, 12), b, loose)),
    )
    own = value("own", 4, 5)
    shifted = load(own, n, at((i, 1), offset=1))
    yield case(
        "a tensor from itself",
        set_(load(own, n, j), load(given("z", 4, 5), n, j)),
        add(shifted, load(own, n, i)),
    )
    yield case("the value of an index", set_(load(out, b, i), load(x, b, i) * index_value(i)))


def quotients() -> Iterator[Case]:
    x, m2 = given("x", 3, 4, 4), Index("m2", 8)
    big, small = value("o", 3, 8, 8), value("o", 3, 4, 4)
    yield case(
        "upsampling", set_(load(big, b, m, m2), load(x, b, half(m), half(m2)) * index_value(m))
    )
    g = given("g", 3, 8, 8)
    grad = add(load(small, b, half(m), half(m2)), load(g, b, m, m2))
    yield case("its gradient", grad, plan="sum over m%2, m2%2")
    line = given("line", 8)
    yield case("unmerged", set_(load(value("o", 4, 2), half(m), rest(m)), load(line, m)))
    yield case("uneven", add(load(value("o", 3, 3), half(m, 3), rest(m, 3)), load(line, m)))
    found = reduce(
        Op.ARGMAX,
        load(value("o", dtype=DType.I64)),
        load(given("v", 4), half(m)) * load(line, m),
        m,
    )
    yield case("argmax of a quotient", found)


def running_sums() -> Iterator[Case]:
    x, out = given("x", 3, 6), value("o", 3, 6)
    for function in (F.LESS_EQUAL, F.LESS, F.GREATER_EQUAL, F.GREATER):
        order = apply(function, index_value(u), index_value(t))
        sums = add(load(out, b, t), load(x, b, u), u, where=order)
        yield case(f"running sum {function.spelling}", sums, plan="running sum along u")
    turned = index_value(t) >= index_value(u)
    weighted = load(given("w", 4), i) * load(given("y", 3, 6, 4), b, u, i)
    sums = add(load(out, b, t), weighted, u, i, where=turned)
    yield case("running sum of products", sums, plan="running sum along u")
    wrong = load(x, b, u) * load(given("z", 6), t)
    masked = add(load(out, b, t), wrong, u, where=index_value(u) <= index_value(t))
    yield case("not a running sum", masked)


def recurrences() -> Iterator[Case]:
    hidden = Tensor("h", (3, 6, 4), halo=((0, 0), (1, 0), (0, 0)))
    pre, U, h0, x = value("pre", 3, 6, 4), given("U", 4, 4), given("h0", 3, 4), given("x", 3, 6, 4)
    before = subscript(at((t, 1), offset=-1))
    yield case(
        "recurrence",
        set_(load(hidden, b, -1, i), load(h0, b, i)),
        Scan(t, (
            add(load(pre, b, t, i), load(hidden, b, before, n) * load(U, i, n), n),
            add(load(pre, b, t, i), load(x, b, t, i)),
            set_(load(hidden, b, t, i), apply(F.TANH, load(pre, b, t, i))),
        )),
        plan=("scan t:", "matmul (b)x(n)x(i)"),
    )  # fmt: skip
    later = Tensor("h", (3, 6, 4), halo=((0, 0), (0, 1), (0, 0)))
    after = subscript(at((t, 1), offset=1))
    step = apply(F.TANH, load(later, b, after, i) + load(x, b, t, i) * index_value(t))
    yield case(
        "recurrence backwards",
        set_(load(later, b, 6, i), load(h0, b, i)),
        Scan(t, (
            set_(load(later, b, t, i), step),
            add(load(value("G", 4, 4), i, n), load(later, b, t, i) * load(x, b, t, n), b),
        ), backwards=True),
        plan="scan t backwards:",
    )  # fmt: skip
    yield from scanned_subscripts()


def scanned_subscripts() -> Iterator[Case]:
    def scan(name: str, index: Index, *body: Assign, backwards: bool = False) -> Case:
        return case(f"scan: {name}", Scan(index, body, backwards))

    x, g, K = given("x", 3, 6), given("g", 3, 4), given("K", 3, 3)
    out, long = value("o", 3, 4), value("o", 3, 6)
    window = at((n, 1), (r, 1))
    yield scan("windows", b, add(load(out, b, n), load(x, b, window) * load(K, r, b), r))
    yield scan("onto windows", b, add(load(long, b, window), load(g, b, n) * load(K, r, b)))
    sliding = at((n, 1), (b, 1))
    yield scan("sliding", b, set_(load(out, b, n), load(x, b, sliding)))
    yield scan("onto sliding", b, add(load(value("o", 6), sliding), load(g, b, n)))
    hops = load(value("o", 9), at((n, 2), (b, 1)))
    yield scan("maxima", b, reduce(Op.MAX, hops, load(g, b, n)))
    yield scan("back", b, set_(load(out, b, n), load(g, b, at((n, -1), offset=3))))
    turned = at((n, -1), (b, 1), offset=3)
    yield scan("back, sliding", b, set_(load(out, b, n), load(x, b, turned)))
    halves = load(given("v", 2), half(n))
    yield scan("quotient", n, set_(load(value("o", 4), n), halves), backwards=True)
    word, E = given("word", 3, 4, dtype=DType.I64), given("E", 7, 2)
    table = load(E, load(word, b, n), k)
    yield scan("gather", n, set_(load(value("o", 3, 4, 2), b, n, k), table))
    scatter = load(value("o", 7, 2), load(word, b, n), k)
    yield scan("scatter", n, add(scatter, load(given("z", 3, 4, 2), b, n, k)))
    yield scan("condition", n, add(load(value("o", 3), b), load(g, b, n), where=load(g, b, n) > 0))
    padded = Pad(at((n, 1), (r, 1)), 1, 1)
    yield scan("padding", n, add(load(out, b, n), load(g, b, padded), r))
    yield scan("cropping", n, add(load(out, b, padded), load(g, b, n)))
    late = index_value(n) > 1
    yield scan("where", n, set_(load(out, b, n), apply(F.WHERE, late, load(g, b, n), 0.0)))
    yield case("scan in a scan", Scan(b, (Scan(n, (set_(load(out, b, n), load(g, b, n)),)),)))


def reductions() -> Iterator[Case]:
    x, out = given("x", 3, 4, 5), value("o", 4)
    element = load(x, b, i, j)
    for op in (Op.MAX, Op.MIN, Op.MUL):
        yield case(f"{op.value} two indices", reduce(op, load(out, i), element, b, j))
        yield case(f"{op.value} some", reduce(op, load(out, i), element, b, j, where=element > 1))
        yield case(f"{op.value} an index of none", reduce(op, load(out, i), load(x, 1, i, 2), b, j))
    for op, worst in ((Op.ARGMAX, -np.inf), (Op.ARGMIN, np.inf)):
        place = load(value("o", 4, dtype=DType.I64), i)
        yield case(f"{op.value} two indices", reduce(op, place, element, j, b))
        yield case(f"{op.value} some", reduce(op, place, element, b, j, where=element > 1.5))
        last = index_value(j) > index_value(i)
        same = {"x": np.full((3, 4, 5), worst, "f4")}
        yield case(f"{op.value} of the worst", reduce(op, place, element, b, j, where=last), **same)
        nan = {"x": np.where(RNG.random((3, 4, 5)) > 0.8, np.nan, 1).astype("f4")}
        yield case(f"{op.value} with nan", reduce(op, place, element, b, j), **nan)
    truth, some = given("truth", 3, 4, dtype=DType.BOOL), load(value("o", 3, dtype=DType.BOOL), b)
    yield case("any", reduce(Op.MAX, some, load(truth, b, i), i))
    yield case("all", reduce(Op.MIN, some, load(truth, b, i), i))


def conditions() -> Iterator[Case]:
    x, P, g = given("x", 3, 4), given("P", 3, 4, kind=Kind.STATE), given("g", 3, 4)
    positive = load(x, b, i) > 0
    yield case("= where", set_(load(value("o", 3, 4), b, i), load(x, b, i), positive))
    yield case("state = where", set_(load(P, b, i), load(x, b, i), positive))
    root = apply(F.WHERE, positive, apply(F.SQRT, load(x, b, i)), 0)
    yield case("a guarded root", add(load(value("o", 3), b), root * load(g, b, i), i))
    two = positive & (load(given("z", 3), b) > 0)
    yield case(
        "two conditions", add(load(value("o", 3), b), load(g, b, i) * load(x, b, i), i, where=two)
    )


def lengths() -> Iterator[Case]:
    for index in (one, prime, none):
        size = index.size
        x, W = given("x", 3, size), given("W", size, 5)
        product = load(x, b, index) * load(W, index, j)
        yield case(f"product over {size}", add(load(value("o", 3, 5), b, j), product, index))
        yield case(f"sum over {size}", add(load(value("o", 3), b), load(x, b, index), index))
        yield case(
            f"max over {size}", reduce(Op.MAX, load(value("o", 3), b), load(x, b, index), index)
        )
        place = load(value("o", 3, dtype=DType.I64), b)
        yield case(f"argmax over {size}", reduce(Op.ARGMAX, place, load(x, b, index), index))
        yield case(
            f"{size} elements", set_(load(value("o", 3, size), b, index), 2 * load(x, b, index))
        )


def types() -> Iterator[Case]:
    for dtype in (DType.F64, DType.F16):
        x, W = given("x", 3, 4, dtype=dtype), given("W", 4, 5, dtype=dtype)
        out, row = value("o", 3, 5, dtype=dtype), value("r", 4, dtype=dtype)
        e = apply(F.SIGMOID, load(x, b, i) * 2.0 + index_value(i))
        yield case(
            f"type {dtype.value}",
            add(load(out, b, j), load(x, b, i) * load(W, i, j), i),
            set_(load(value("e", 3, 4, dtype=dtype), b, i), e),
            add(load(row, i), load(x, b, i), b),
            reduce(Op.MIN, load(value("m", 3, dtype=dtype), b), load(x, b, i), i),
        )
    for dtype in (DType.I8, DType.U8, DType.I64):
        x, out = given("x", 3, 4, dtype=dtype), value("o", 3, dtype=dtype)
        yield case(
            f"type {dtype.value}",
            add(load(out, b), load(x, b, i) * settle(const(3), dtype), i),
            reduce(Op.MAX, load(value("m", 3, dtype=dtype), b), load(x, b, i), i),
        )


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 20.0, -20.0, np.inf, -np.inf, np.nan])
WHOLE = np.array([0, 1, -1, 2, -7, 10])


def primitives() -> Iterator[Case]:
    """Every primitive, on ordinary and on special numbers."""
    for f in F:
        if f is not F.STOP_GRADIENT:
            yield primitive_case(f, SPECIAL.astype("f4"), DType.F32)
        if f in INTEGER_ROWS:
            yield primitive_case(f, WHOLE, DType.I64)


INTEGER_ROWS = frozenset(
    {F.POW, F.FLOOR, F.CEIL, F.ROUND, F.ABS, F.SIGN, F.RELU, F.MAXIMUM, F.CLIP, F.SQUARE, F.NEG}
)


def primitive_case(f: F, numbers: np.ndarray, dtype: DType) -> Case:
    """f of all pairs of numbers (its third argument follows from them)."""
    rows, columns = Index("x", len(numbers)), Index("y", len(numbers))
    table = given("numbers", len(numbers), dtype=dtype)
    x, y = load(table, rows), load(table, columns)
    truths = (x > 0, y > 0)
    args: tuple[Expr, ...] = (x, y, x + y)[: f.arity]
    if f.typing is Typing.LOGIC:
        args = truths[: f.arity]
    elif f.typing is Typing.CHOICE:
        args = (truths[0], y, x)
    e = apply(f, *args)
    assert isinstance(e.dtype, DType)
    out = value("out", len(numbers), len(numbers), dtype=e.dtype)
    name = f"{f.spelling} of {dtype.value}"
    return case(name, set_(load(out, rows, columns), e), numbers=numbers)


def random_fields() -> Iterator[Case]:
    for dtype in (DType.F32, DType.F64):
        for distribution in Distribution:
            field = Random(distribution, 3, (b, prime), dtype)
            out = load(value("o", 3, 7, dtype=dtype), b, prime)
            yield case(f"{distribution.value} {dtype.value}", set_(out, field * 2.0))
    field = Random(Distribution.NORMAL, 0, (n, b), DType.F32)
    yield case("scan: normal", Scan(n, (set_(load(value("o", 4, 3), n, b), field),)))
