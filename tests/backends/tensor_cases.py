"""Products, attention, convolutions, windows and gathers: what layers are made of."""

from collections.abc import Iterator

import numpy as np
from building import (
    RNG,
    Case,
    add,
    at,
    b,
    c,
    case,
    d,
    given,
    h,
    i,
    j,
    k,
    n,
    p,
    q,
    r,
    reduce,
    s,
    sample,
    set_,
    t,
    u,
    value,
)

from phistar.ir.build import apply, index_value, load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as F
from phistar.ir.program import (
    Const,
    Index,
    Kind,
    Pad,
    Tensor,
)


def layers() -> Iterator[Case]:
    x, W, bias = given("x", 3, 4), given("W", 5, 4), given("bias", 5)
    pre, g = value("pre", 3, 5), given("g", 3, 5)
    out, dW, db, dx = value("h", 3, 5), value("dW", 5, 4), value("db", 5), value("dx", 3, 4)
    yield case(
        "layer",
        add(load(pre, b, j), load(W, j, i) * load(x, b, i), i),
        add(load(pre, b, j), load(bias, j)),
        set_(load(out, b, j), apply(F.RELU, load(pre, b, j))),
        plan=("matmul (b)x(i)x(j)", "in place", "elementwise"),
    )
    yield case(
        "layer backward",
        add(load(dW, j, i), load(g, b, j) * load(x, b, i), b),
        add(load(db, j), load(g, b, j), b),
        add(load(dx, b, i), load(g, b, j) * load(W, j, i), j),
        plan=("matmul (j)x(b)x(i)", "sum over b", "matmul (b)x(j)x(i)"),
    )
    guarded = apply(F.WHERE, load(g, b, j) > 0, load(g, b, j) * load(x, b, i), 0)
    yield case("where around a product", add(load(dW, j, i), guarded, b), plan="matmul (j)x(b)x(i)")
    P, Pg = given("P", 4, 3, kind=Kind.PARAMETER), given("P.grad", 4, 3)
    yield case("update", set_(load(P, i, b), load(P, i, b) - 0.5 * load(Pg, i, b)))
    yield case("update by +=", add(load(P, i, b), -0.5 * load(Pg, i, b)), plan="in place")
    yield case("update of a row", add(load(P, 2, b), load(Pg, 1, b)), plan="into slices")


def contractions() -> Iterator[Case]:
    x, y = given("x", 3, 4), given("y", 3, 4)
    A, B, C = given("A", 3, 5), given("B", 5, 2), given("C", 2, 4)
    z, v = given("z", 5), given("v", 4)
    out, row, scalar = value("o", 3, 4), value("o", 3), value("o")
    yield case("outer", add(load(out, b, i), load(row_of(x), b) * load(v, i)), plan="elementwise")
    yield case("dot", add(load(scalar), load(x, b, i) * load(y, b, i), b, i), plan="dot over b, i")
    flipped = given("y", 4, 3)
    yield case("dot, transposed", add(load(scalar), load(x, b, i) * load(flipped, i, b), b, i))
    yield case("dots", add(load(row, b), load(x, b, i) * load(y, b, i), i), plan="dot over i")
    yield case(
        "three matrices",
        add(load(out, b, i), load(A, b, j) * load(B, j, k) * load(C, k, i), j, k),
        plan="matmul",
    )
    yield case("a square", add(load(row, b), load(A, b, j) * load(A, b, j) * load(z, j), j))
    yield case("an index of none", add(load(row, b), load(A, b, j) * load(z, j), j, k))
    yield case("a target of none", add(load(value("o", 3, 2), b, k), load(A, 0, j) * load(z, j), j))
    divided = load(A, b, j) * load(given("D", 5, 4), j, i) / load(z, j)
    yield case("a divided factor", add(load(out, b, i), -divided, j), plan="matmul")
    yield case("not a product", add(load(row, b), apply(F.EXP, load(A, b, j) - load(z, j)), j))
    whole = given("whole", 3, 5, dtype=DType.I32)
    counted = value("o", 3, dtype=DType.I32)
    yield case("whole numbers", add(load(counted, b), load(whole, b, j) * load(whole, b, j), j))
    yield case(
        "a scalar factor", add(load(row, b), load(A, b, j) * load(z, j) * load(given("w")), j)
    )
    only_one = load(A, b, j) * load(given("D", 2, 4), k, i)
    yield case("sums before products", add(load(out, b, i), only_one, j, k))


def row_of(x: Tensor) -> Tensor:
    return given(f"{x.name}.row", x.shape[0])


def attention() -> Iterator[Case]:
    Q, K, V = given("q", 3, 6, 2, 3), given("k", 3, 6, 2, 3), given("v", 3, 6, 2, 3)
    P, scores, out = given("P", 3, 2, 6, 6), value("s", 3, 2, 6, 6), value("o", 3, 6, 6)
    past = index_value(u) <= index_value(t)
    product = load(Q, b, t, h, d) * load(K, b, u, h, d) / 4.0
    stacked = "matmul (t)x(d)x(u) for each b, h"
    yield case("scores", add(load(scores, b, h, t, u), product, d), plan=stacked)
    yield case("masked scores", add(load(scores, b, h, t, u), product, d, where=past), plan=stacked)
    heads = at((h, 3), (d, 1))
    mix = add(load(out, b, t, heads), load(P, b, h, t, u) * load(V, b, u, h, d), u, where=past)
    yield case("masked mix", mix, plan="matmul (t)x(u)x(d) for each b, h")
    spoiled = sample(V)
    spoiled[:, 3], spoiled[:, 5] = np.nan, np.inf
    yield case("masked mix, nan outside", mix, v=spoiled)
    dq = value("dq", 3, 6, 2, 3)
    back = load(given("ds", 3, 2, 6, 6), b, h, t, u) * load(K, b, u, h, d)
    yield case("scores backward", add(load(dq, b, t, h, d), back, u, where=past))
    joined = given("joined", 3, 6, 6)
    yield case(
        "split heads", set_(load(value("o", 3, 2, 6, 3), b, h, t, d), load(joined, b, t, heads))
    )


def convolutions() -> Iterator[Case]:
    x, K, y = given("x", 3, 9, 9, 2), given("K", 2, 3, 3, 2), given("y.grad", 3, 4, 4, 2)
    rows, columns = at((p, 2), (r, 1)), at((q, 2), (s, 1))
    kernel, image = load(K, k, r, s, c), load(x, b, rows, columns, c)
    adjoint = load(y, b, p, q, k)
    out, dK, dx = value("y", 3, 4, 4, 2), value("dK", 2, 3, 3, 2), value("dx", 3, 9, 9, 2)
    yield case(
        "convolution",
        add(load(out, b, p, q, k), kernel * image, r, s, c),
        plan="windows, matmul (b, p, q)x(r, s, c)x(k)",
    )
    yield case("its kernel", add(load(dK, k, r, s, c), adjoint * image, b, p, q), plan="windows")
    yield case("its image", add(load(dx, b, rows, columns, c), adjoint * kernel, k), plan="slices")
    p7, q7 = Index("p", 7), Index("q", 7)
    up = Pad(at((p7, 1), (r, 2)), 2, 2)
    left = Pad(at((q7, 1), (s, 2)), 2, 2)
    x, K, y = given("x", 3, 2, 7, 7), given("K", 5, 2, 3, 3), given("y.grad", 3, 5, 7, 7)
    kernel, image = load(K, j, c, r, s), load(x, b, c, up, left)
    adjoint = load(y, b, j, p7, q7)
    out, dK, dx = value("y", 3, 5, 7, 7), value("dK", 5, 2, 3, 3), value("dx", 3, 2, 7, 7)
    yield case("same, dilated", add(load(out, b, j, p7, q7), image * kernel, c, r, s))
    yield case("its kernel, same", add(load(dK, j, c, r, s), adjoint * image, b, p7, q7))
    yield case("its image, same", add(load(dx, b, c, up, left), adjoint * kernel, j))
    p28, q28 = Index("p", 28), Index("q", 28)
    long_rows, long_columns = at((p28, 1), (r, 1)), at((q28, 1), (s, 1))
    wide = load(given("y.grad", 3, 28, 28, 2), b, p28, q28, k) * load(
        given("K", 2, 3, 3, 2), k, r, s, c
    )
    dx = load(value("dx", 3, 30, 30, 2), b, long_rows, long_columns, c)
    yield case("a long image", add(dx, wide, k), plan="into slices, 9 times")
    yield from grouped_convolutions()


def grouped_convolutions() -> Iterator[Case]:
    x, g = given("x", 3, 9, 2, 4), given("g", 3, 4, 2, 5)
    K = given("K", 2, 5, 3, 4)
    at_once = at((p, 2), (r, 1))
    out, dK, dx = value("y", 3, 4, 2, 5), value("dK", 2, 5, 3, 4), value("dx", 3, 9, 2, 4)
    image, kernel, adjoint = load(x, b, at_once, c, i), load(K, c, j, r, i), load(g, b, p, c, j)
    yield case("groups", add(load(out, b, p, c, j), image * kernel, r, i))
    yield case("groups: kernel", add(load(dK, c, j, r, i), adjoint * image, b, p))
    yield case("groups: image", add(load(dx, b, at_once, c, i), adjoint * kernel, j))
    deep = load(given("D", 2, 3), c, r)
    image, adjoint = load(given("x", 3, 9, 2), b, at_once, c), load(given("g", 3, 4, 2), b, p, c)
    yield case("depthwise", add(load(value("y", 3, 4, 2), b, p, c), image * deep / 3.0, r))
    yield case("depthwise: kernel", add(load(value("dD", 2, 3), c, r), image * adjoint, b, p))
    yield case("depthwise: image", add(load(value("dx", 3, 9, 2), b, at_once, c), -deep * adjoint))


def windows() -> Iterator[Case]:
    x, g, k3 = given("x", 3, 6), given("g", 3, 4), given("k3", 3)
    away = at((n, 1), (r, -1), offset=2)
    yield case(
        "flipped kernel", add(load(value("y", 3, 4), b, n), load(x, b, away) * load(k3, r), r)
    )
    yield case("its input", add(load(value("dx", 3, 6), b, away), load(g, b, n) * load(k3, r)))
    image, r2, s2 = given("x", 3, 9, 9, 2), Index("r", 2), Index("s", 2)
    rows, columns = at((p, 2), (r2, 1)), at((q, 2), (s2, 1))
    best, where = value("m", 3, 4, 4, 2), value("where", 3, 4, 4, 2, dtype=DType.I64)
    yield case(
        "max pool",
        reduce(Op.MAX, load(best, b, p, q, c), load(image, b, rows, columns, c), r2, s2),
        reduce(Op.ARGMAX, load(where, b, p, q, c), load(image, b, rows, columns, c), r2, s2),
        plan=("max over r, s", "argmax over r, s"),
    )
    won = given("won", 3, 4, 4, 2, dtype=DType.I64)
    here = apply(F.EQUAL, load(won, b, p, q, c), 2 * index_value(r2) + index_value(s2))
    dx = load(value("dx", 3, 9, 9, 2), b, rows, columns, c)
    yield case("its gradient", add(dx, load(given("dm", 3, 4, 4, 2), b, p, q, c), where=here))
    padded = Pad(at((n, 1), (r, 1)), 1, 1, -np.inf)
    y = given("y", 3, 4)
    yield case("padded max", reduce(Op.MAX, load(value("m", 3, 4), b, n), load(y, b, padded), r))
    edge = Pad(at((t, 1)), 1, 1, -7.0)
    yield case("padding", set_(load(value("o", 3, 6), b, t), load(y, b, edge)))
    yield case("cropping", add(load(value("o", 3, 4), b, edge), load(given("z", 3, 6), b, t)))


def gathers() -> Iterator[Case]:
    E, dE, word = given("E", 7, 3), value("dE", 7, 3), given("word", 3, 6, dtype=DType.I32)
    g, label = given("g", 3, 6, 3), given("label", 3, dtype=DType.I64)
    P, dP = given("P", 3, 5), value("dP", 3, 5)
    pick = load(word, b, t)
    yield case(
        "embedding", set_(load(value("e", 3, 6, 3), b, t, d), load(E, pick, d)), plan="gather"
    )
    yield case("its gradient", add(load(dE, pick, d), load(g, b, t, d)), plan="into elements")
    yield case("a label", add(load(value("o")), -load(P, b, load(label, b)), b))
    yield case("a label's gradient", add(load(dP, b, load(label, b)), load(given("z", 3), b)))
    count = value("count", 7, dtype=DType.I32)
    yield case("counting", add(load(count, pick), Const(1, DType.I32)))
    yield case("a maximum each", reduce(Op.MAX, load(value("o", 7), pick), load(g, b, t, 0)))
    X, apart = given("X", 7, 5, 3, 2), load(value("o", 3, 5, 2), b, j, k)
    yield case("two gathers apart", set_(apart, load(X, load(word, b, 0), j, b, k)))
    target = load(value("o", 7, 5, 3, 2), pick, j, load(word, b, 1), k)
    yield case("two scatters apart", add(target, load(given("Y", 3, 5, 6, 2), b, j, t, k)))
    wild = {"word": RNG.integers(-9, 9, (3, 6)).astype("i4")}
    v, small = given("v", 3), (pick < 3) & (pick >= 0)
    safe = apply(F.WHERE, small, load(v, pick), 0.0)
    yield case("a guarded gather", set_(load(value("o", 3, 6), b, t), safe), **wild)
    yield case(
        "a conditioned gather", add(load(value("o", 3), b), load(v, pick), t, where=small), **wild
    )
    scatter = add(load(value("o", 3), pick), load(given("z", 3, 6), b, t), where=small)
    yield case("a conditioned scatter", scatter, **wild)
