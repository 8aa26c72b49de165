"""Small programs, one for each thing that a statement can do, with numbers to run them on."""

from collections.abc import Callable

import numpy as np

from phistar.ir.build import apply, cast, load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Argument,
    Distribution,
    Index,
    Own,
    Pad,
    Program,
    Quotient,
    Random,
    Remainder,
    Scan,
)
from transform.cases import (
    add,
    affine,
    define,
    f,
    given,
    param,
    program,
    random_values,
    reduction,
    sigma,
    state,
    tensor,
    value,
)

Model = tuple[Program, dict[str, np.ndarray]]
MODELS: dict[str, Callable[[], Model]] = {}

R = Reduction
b, i, j, k = Index("b", 3), Index("i", 4), Index("j", 2), Index("k", 5)
t, u, y = Index("t", 4), Index("u", 4), Index("y", 3)
L = tensor("L")


def model(build: Callable[[], Program | Model]) -> Callable[[], Program | Model]:
    """Puts a model in the list; numbers are drawn for the inputs that it does not give itself."""

    def with_numbers() -> Model:
        made = build()
        p, numbers = made if isinstance(made, tuple) else (made, {})
        return p, {**random_values(p), **numbers}

    MODELS[build.__name__] = with_numbers
    return build


@model
def mlp() -> Model:
    x, label = given("x", 3, 4), given("label", 3, dtype=DType.I64)
    W0, b0, W1, b1 = param("W0", 2, 4), param("b0", 2), param("W1", 3, 2), param("b1", 3)
    h, s, P = tensor("h", 3, 2), tensor("s", 3, 3), tensor("P", 3, 3)
    p = program(
        define(h, (b, j), f("relu", sigma(i, load(W0, j, i) * load(x, b, i)) + load(b0, j))),
        define(s, (b, y), sigma(j, load(W1, y, j) * load(h, b, j)) + load(b1, y)),
        define(P, (b, y), reduction(R.SOFTMAX, y, load(s, b, y))),
        define(L, (), reduction(R.MEAN, b, -f("log", load(P, b, load(label, b))))),
    )
    return p, {"label": np.array([2, 0, 2])}


@model
def products_and_quotients() -> Program:
    x, z, w = given("x", 4), given("z", 4), given("w")
    q, r = tensor("q", 4), tensor("r", 4)
    return program(
        define(q, (i,), load(x, i) * load(z, i) * load(x, i) / (load(w) ** 2 + 1)),
        define(r, (i,), -load(q, i) - load(x, i) + f("exp", load(q, i)) / load(z, i)),
        define(L, (), sigma(i, load(r, i) * (load(r, i) - load(w)))),
    )


@model
def three_factors() -> Program:
    A, B, C = given("A", 3, 4), given("B", 4, 2), given("C", 2, 5)
    D = tensor("D", 3, 5)
    return program(
        define(D, (b, k), sigma((i, j), load(A, b, i) * f("tanh", load(B, i, j)) * load(C, j, k))),
        define(L, (), sigma((b, k), load(D, b, k) ** 2 / 3)),
    )


@model
def convolution() -> Program:
    """Stride 2, dilation 2, padding 1, with a bias."""
    p, r, c, n = Index("p", 4), Index("r", 3), Index("c", 2), Index("n", 3)
    x, K, bias = given("x", 3, 9, 2), param("K", 3, 3, 2), param("c", 3)
    o = tensor("o", 3, 4, 3)
    window = Pad(affine((p, 2), (r, 2)), 1, 1, 0.5)
    score = sigma((r, c), load(K, n, r, c) * load(x, b, window, c)) + load(bias, n)
    return program(
        define(o, (b, p, n), f("sigmoid", score)),
        define(L, (), sigma((b, p, n), load(o, b, p, n) ** 2)),
    )


@model
def max_pool_with_ties() -> Model:
    p, q, v, z = Index("p", 2), Index("q", 2), Index("v", 2), Index("z", 2)
    x, m = given("x", 3, 4, 4), tensor("m", 3, 2, 2)
    rows, columns = affine((p, 2), (v, 1)), affine((q, 2), (z, 1))
    pr = program(
        define(m, (b, p, q), reduction(R.MAX, (v, z), load(x, b, rows, columns) ** 2)),
        define(L, (), sigma((b, p, q), load(m, b, p, q) * f("sin", load(m, b, p, q)))),
    )
    return pr, {}


@model
def smallest() -> Program:
    x, n = given("x", 3, 4), tensor("n", 3)
    return program(
        define(n, (b,), reduction(R.MIN, i, load(x, b, i), value(i) < 3)),
        define(L, (), sigma(b, load(n, b) * load(x, b, 0))),
    )


@model
def product_with_zeros() -> Model:
    x, q = given("x", 3, 4), tensor("q", 3)
    numbers = np.array([[0.0, 2.0, 3.0, 0.5], [0.0, 0.0, 2.0, 1.5], [1.0, -2.0, 0.7, 3.0]])
    p = program(
        define(q, (b,), reduction(R.PROD, i, load(x, b, i))),
        define(L, (), sigma(b, load(q, b) * (value(b) + 1))),
    )
    return p, {"x": numbers}


@model
def masked_softmax() -> Program:
    q, key, v = given("q", 4, 2), given("k", 4, 2), given("v", 4, 2)
    a, o = tensor("a", 4, 4), tensor("o", 4, 2)
    score = sigma(j, load(q, t, j) * load(key, u, j)) / 1.5
    return program(
        define(a, (t, u), reduction(R.SOFTMAX, u, score, value(u) <= value(t))),
        define(o, (t, j), sigma(u, load(a, t, u) * load(v, u, j))),
        define(L, (), sigma((t, j), load(o, t, j) ** 2)),
    )


@model
def logsumexp_and_log_softmax() -> Program:
    s, lp = given("s", 3, 3), tensor("lp", 3, 3)
    lse = reduction(R.LOGSUMEXP, y, load(s, b, y) * 2, value(y) <= value(b))
    return program(
        define(lp, (b, y), reduction(R.LOG_SOFTMAX, y, load(s, b, y))),
        define(L, (), sigma((b, y), load(lp, b, y) * load(s, b, y)) - 0.5 * sigma(b, lse)),
    )


@model
def log_of_masked_softmax() -> Program:
    s, P = given("s", 4, 4), tensor("P", 4, 4)
    return program(
        define(P, (t, u), reduction(R.SOFTMAX, u, load(s, t, u) * 2, value(u) <= value(t))),
        define(L, (), sigma(t, f("log", load(P, t, t)) * f("log", load(P, 3, t)))),
    )


@model
def repeated_gather_and_scatter() -> Model:
    word, E = given("word", 3, 2, dtype=DType.I64), param("E", 4, 2)
    d = Index("d", 2)
    e, count = tensor("e", 3, 2, 2), tensor("count", 4)
    p = program(
        define(e, (b, j, d), load(E, load(word, b, j), d) ** 2),
        add(count, (load(word, b, j),), sigma(d, load(e, b, j, d) * load(E, 0, d))),
        define(L, (), sigma(i, load(count, i) ** 2)),
    )
    return p, {"word": np.array([[1, 1], [3, 1], [0, 3]])}


@model
def diagonal() -> Program:
    A, x, z = given("A", 4, 4), given("x", 4), tensor("z", 4)
    return program(
        define(z, (i,), load(A, i, i) * load(x, i) + sigma(t, load(A, i, t) * load(x, t))),
        define(L, (), sigma(i, load(z, i) ** 2)),
    )


@model
def normalisation() -> Program:
    x, g = given("x", 3, 4), param("g", 4)
    mu, var, z = tensor("mu", 4), tensor("var", 4), tensor("z", 3, 4)
    centred = load(x, b, i) - load(mu, i)
    return program(
        define(mu, (i,), reduction(R.MEAN, b, load(x, b, i))),
        define(var, (i,), reduction(R.MEAN, b, centred**2)),
        define(z, (b, i), load(g, i) * centred / f("sqrt", load(var, i) + 1e-3)),
        define(L, (), sigma((b, i), load(z, b, i) ** 3 * (value(b) + 1))),
    )


@model
def nested_means() -> Program:
    x, g = given("x", 3, 4), param("g", 4)
    mean = reduction(R.MEAN, i, load(x, b, i) ** 2)
    some = reduction(R.MEAN, i, load(x, b, i), value(i) >= value(b))
    z = tensor("z", 3, 4)
    return program(
        define(z, (b, i), load(g, i) * load(x, b, i) / f("sqrt", mean + 0.1) + some),
        define(L, (), reduction(R.MEAN, b, sigma(i, load(z, b, i) ** 2) / 2 - load(x, b, 0))),
    )


@model
def cumulative() -> Program:
    x, c = given("x", 4), tensor("c", 4)
    return program(
        define(c, (t,), reduction(R.CUMSUM, t, load(x, t) ** 2)),
        define(L, (), sigma(t, load(c, t) * load(c, t) * (value(t) + 1))),
    )


@model
def guarded_root() -> Model:
    x, z = given("x", 4), tensor("z", 4)
    p = program(
        define(z, (i,), f("where", load(x, i) > 0.01, f("sqrt", load(x, i)) * 2, load(x, i) ** 2)),
        define(L, (), sigma(i, load(z, i) * (value(i) + 1))),
    )
    return p, {"x": np.array([-1.0, 0.0, 0.25, 2.0])}


@model
def guarded_sum() -> Model:
    x, z, n = given("x", 3, 4), tensor("z", 3), given("n", 3)
    inside = f("sqrt", sigma(i, f("sqrt", load(x, b, i)) * load(x, b, i)))
    p = program(
        define(z, (b,), f("where", load(n, b) > 0, inside, 0.5)),
        define(L, (), sigma(b, load(z, b) ** 2 * load(n, b))),
    )
    numbers = np.array([[1.0, 2, 3, 4], [-1, 1, 1, 1], [0.5, 0.2, 0.1, 1.4]])
    return p, {"x": numbers, "n": np.array([1.0, -1.0, 2.0])}


@model
def own_functions() -> Program:
    z = Argument("z", DType.F64)
    result = Argument("result", DType.F64)
    body = z * f("sigmoid", 1.7 * z)
    gelu = Own("gelu", ("z",), body)
    soft = Own("soft", ("z",), f("softplus", z), (1 - f("exp", -result),))
    two = Own("two", ("z", "w"), f("tanh", z) * Argument("w", DType.F64) ** 2)
    x, W, h = given("x", 3, 4), param("W", 2, 4), tensor("h", 3, 2)
    score = sigma(i, load(W, j, i) * load(x, b, i))
    return program(
        define(h, (b, j), apply(gelu, score) + apply(soft, score)),
        define(L, (), sigma((b, j), apply(two, load(h, b, j), load(x, b, j) * load(h, b, j)))),
    )


@model
def concatenation() -> Program:
    a, c, z, s = given("a", 3, 2), given("c", 3, 3), tensor("z", 3, 5), tensor("s", 3)
    return program(
        define(z, (b, j), load(a, b, j) ** 2),
        define(z, (b, affine((y, 1), offset=2)), load(c, b, y) * load(a, b, 0)),
        define(s, (b,), sigma(k, load(z, b, k) ** 2)),
        define(L, (), sigma(b, load(s, b) * (value(b) + 1))),
    )


@model
def groups() -> Program:
    x, W, o = given("x", 3, 8), param("W", 4, 2), tensor("o", 3, 8)
    pair = affine((i, 2), (j, 1), group=True)
    n = Index("n", 8)
    return program(
        define(o, (b, pair), load(x, b, pair) * load(W, i, j)),
        define(L, (), sigma((b, n), load(o, b, n) ** 2 * value(n))),
    )


@model
def casts() -> Program:
    n, x = given("n", 4, dtype=DType.I64), given("x", 4)
    z = tensor("z", 4)
    return program(
        define(z, (i,), load(x, i) * load(n, i) + cast(f("floor", load(x, i)), DType.F64)),
        define(L, (), sigma(i, load(z, i) * f("stop_gradient", load(z, i) * 0) + load(z, i) ** 2)),
    )


@model
def lstm() -> Program:
    x, Wf, Uf = given("x", 3, 4, 2), param("Wf", 2, 2), param("Uf", 2, 2)
    Wg, Ug, h0 = param("Wg", 2, 2), param("Ug", 2, 2), given("h0", 3, 2)
    m = Index("m", 2)
    halo = ((0, 0), (1, 0), (0, 0))
    h, c = tensor("h", 3, 4, 2, halo=halo), tensor("c", 3, 4, 2, halo=halo)
    gate, new, s = tensor("f", 3, 4, 2), tensor("g", 3, 4, 2), tensor("s", 3, 2)
    before = affine((t, 1), offset=-1)
    first, last = affine(offset=-1), affine(offset=3)
    inner = Scan(
        t,
        (
            define(gate, (b, t, j), f("sigmoid", _mix(Wf, Uf, x, h, before, m))),
            define(new, (b, t, j), f("tanh", _mix(Wg, Ug, x, h, before, m))),
            define(
                c,
                (b, t, j),
                load(gate, b, t, j) * load(c, b, before, j)
                + (1 - load(gate, b, t, j)) * load(new, b, t, j),
            ),
            define(h, (b, t, j), load(gate, b, t, j) * f("tanh", load(c, b, t, j))),
        ),
    )
    return program(
        define(h, (b, first, j), load(h0, b, j)),
        define(c, (b, first, j), 0),
        inner,
        define(s, (b, j), load(h, b, last, j) + load(c, b, 1, j)),
        define(L, (), sigma((b, j), load(s, b, j) ** 2)),
    )


def _mix(W, U, x, h, before, m):
    return sigma(m, load(W, j, m) * load(x, b, t, m)) + sigma(
        m, load(U, j, m) * load(h, b, before, m)
    )


@model
def backwards_scan() -> Program:
    x, w = given("x", 4), param("w")
    h = tensor("h", 4, halo=((0, 1),))
    after = affine((t, 1), offset=1)
    return program(
        define(h, (affine(offset=4),), 0.3),
        Scan(t, (define(h, (t,), load(h, after) ** 2 * load(w) + load(x, t)),), backwards=True),
        define(L, (), load(h, 0) * load(w)),
    )


@model
def recurrence_over_layers() -> Program:
    """A scan in a scan; a later statement of the body feeds an earlier one at the next step."""
    layer = Index("layer", 2)
    x, W = given("x", 4), param("W", 2)
    h = tensor("h", 2, 4, halo=((1, 0), (1, 0)))
    g = tensor("g", 2, 4)
    below = (affine((layer, 1), offset=-1), t)
    before = (layer, affine((t, 1), offset=-1))
    body = (
        define(g, (layer, t), f("tanh", load(h, *before)) * load(W, layer)),
        define(h, (layer, t), load(g, layer, t) + load(h, *below)),
    )
    return program(
        define(h, (affine(offset=-1), t), load(x, t)),
        define(h, (layer, affine(offset=-1)), 0.2),
        Scan(layer, (Scan(t, body),)),
        define(L, (), load(h, 1, 3) ** 2),
    )


@model
def sum_along_a_scan() -> Program:
    x, w = given("x", 4), param("w")
    h, total = tensor("h", 4, halo=((1, 0),)), tensor("total")
    before = affine((t, 1), offset=-1)
    return program(
        define(h, (affine(offset=-1),), 0.1),
        Scan(
            t,
            (
                define(h, (t,), f("sin", load(h, before) + load(x, t))),
                add(total, (), load(h, t) ** 2 * load(w)),
            ),
        ),
        define(L, (), load(total) ** 2),
    )


@model
def updated_state() -> Program:
    """The loss reads a state after its update; another state is only updated."""
    x, m, n = given("x", 4), state("m", 4), state("n", 4)
    mu = tensor("mu")
    return program(
        define(mu, (), reduction(R.MEAN, i, load(x, i) * load(m, i))),
        define(m, (i,), load(m, i) * 0.9 + load(mu) * load(x, i)),
        add(n, (i,), load(mu) * load(m, i)),
        define(L, (), sigma(i, load(m, i) ** 2)),
    )


@model
def added_to_after_reading() -> Program:
    x, T, z = given("x", 4), tensor("T", 4), tensor("z", 4)
    return program(
        define(T, (i,), load(x, i) ** 2),
        define(z, (i,), load(T, i) ** 2),
        add(T, (i,), load(z, i) * load(x, i)),
        define(L, (), sigma(i, load(T, i) ** 2)),
    )


@model
def several_reductions_in_one_equation() -> Program:
    x, W = given("x", 3, 4), param("W", 4)
    z = tensor("z", 3, 4)
    largest = reduction(R.MAX, i, load(x, b, i))
    spread = largest - reduction(R.MIN, i, load(x, b, i))
    some = apply(Primitive.WHERE, reduction(R.ANY, i, load(x, b, i) > 1.3), 1.0, 2.0)
    return program(
        define(z, (b, i), (load(x, b, i) - largest) / spread * some + load(W, i)),
        define(L, (), sigma((b, i), load(z, b, i) ** 2) + sigma(i, load(W, i) ** 2) / 2),
    )


@model
def choice_by_position() -> Program:
    x, w = given("x", 3, 4), param("w", 4)
    best = load(x, b, reduction(R.ARGMAX, i, load(x, b, i)))
    z = tensor("z", 3)
    return program(
        define(z, (b,), best * load(w, reduction(R.ARGMIN, i, load(x, b, i)))),
        define(L, (), sigma(b, load(z, b) ** 2)),
    )


@model
def conditions_on_statements() -> Program:
    x, z, s = given("x", 3, 4), tensor("z", 4), tensor("s", 3)
    return program(
        define(z, (i,), load(x, 0, i) ** 2, value(i) < 2),
        define(z, (i,), sigma(b, load(x, b, i) * load(x, 1, i)), value(i) >= 2),
        add(s, (b,), load(x, b, i) * load(z, i), (i,), value(i) > value(b)),
        define(L, (), sigma(b, load(s, b) ** 2) + sigma(i, load(z, i))),
    )


@model
def padding_on_the_left() -> Program:
    x, z = given("x", 4), tensor("z", 4)
    place = Pad(affine((i, 1), (j, 2)), 1, 1)
    return program(
        add(z, (place,), load(x, i) ** 2 * (value(j) + 1)),
        define(L, (), sigma(i, load(z, i) ** 2)),
    )


@model
def quotients_and_remainders() -> Program:
    x, z, n = given("x", 3), tensor("z", 6), Index("n", 6)
    half = Affine(((Quotient(affine((n, 1)), 2), 1),))
    rest = Affine(((Remainder(affine((n, 1), offset=1), 3), 1),))
    return program(
        define(z, (n,), load(x, half) * load(x, rest)),
        define(L, (), sigma(n, load(z, n) ** 2)),
    )


@model
def softmax_inside_a_product() -> Program:
    q, v, o = given("q", 4, 4), given("v", 4, 2), tensor("o", 4, 2)
    weight = reduction(R.SOFTMAX, u, load(q, t, u))
    return program(
        define(o, (t, j), sigma(u, weight * load(v, u, j))),
        define(L, (), sigma((t, j), load(o, t, j) ** 2)),
    )


@model
def reductions_inside_a_scan() -> Program:
    x, h = given("x", 4, 3), tensor("h", 4, 3, halo=((1, 0), (0, 0)))
    before = affine((t, 1), offset=-1)
    earlier = load(h, before, b)
    mixed = reduction(R.SOFTMAX, b, earlier * load(x, t, b)) + reduction(R.MEAN, b, earlier**2)
    return program(
        define(h, (affine(offset=-1), b), 0.5),
        Scan(t, (define(h, (t, b), mixed + reduction(R.MAX, b, load(x, t, b) * earlier)),)),
        define(L, (), sigma(b, load(h, 3, b) * (value(b) + 1))),
    )


@model
def product_of_an_expression() -> Model:
    x, w, q = given("x", 3, 4), given("w", 4), tensor("q", 3)
    inside = reduction(R.PROD, i, load(x, b, i) * load(w, i) - 1, value(i) > 0)
    p = program(
        define(q, (b,), f("sin", inside)),
        define(L, (), sigma(b, load(q, b) ** 2 + load(q, b))),
    )
    return p, {"x": np.full((3, 4), 0.5), "w": np.array([1.0, 2.0, 2.0, 3.0])}


@model
def sum_over_an_absent_index() -> Program:
    x, s = given("x", 3), tensor("s")
    return program(
        define(s, (), sigma((b, i), load(x, b) * load(x, b))), define(L, (), load(s) ** 2)
    )


@model
def gather_under_a_guard() -> Model:
    """n is out of range where it is not to be read."""
    x, n, s = given("x", 4), given("n", 3, dtype=DType.I64), tensor("s", 3)
    inside = sigma(j, load(x, load(n, b)) * (value(j) + 1))
    p = program(
        define(s, (b,), f("where", load(n, b) < 4, inside, load(x, b))),
        define(L, (), sigma(b, load(x, load(n, b)) * load(s, b), load(n, b) < 4)),
    )
    return p, {"n": np.array([3, 9, 3])}


@model
def dropout() -> Program:
    x, W, h = given("x", 3, 4), param("W", 2, 4), tensor("h", 3, 2)
    field = Random(Distribution.UNIFORM, 0, (b, j), DType.F64)
    kept = f("where", field < 0.6, f("tanh", sigma(i, load(W, j, i) * load(x, b, i))) / 0.6, 0.0)
    return program(
        define(h, (b, j), kept),
        define(L, (), sigma((b, j), load(h, b, j) ** 2)),
    )


@model
def empty_domain() -> Program:
    """Row 0 has nothing to choose from: softmax 0, sum 0, mean 0."""
    x, P, z = given("x", 3, 4), tensor("P", 3, 4), tensor("z", 3)
    below = value(i) < value(b)
    return program(
        define(P, (b, i), reduction(R.SOFTMAX, i, load(x, b, i), below)),
        define(z, (b,), reduction(R.MEAN, i, load(x, b, i) * load(P, b, i), below)),
        define(L, (), sigma(b, load(z, b) ** 2) + sigma((b, i), load(P, b, i) * load(x, b, i))),
    )


@model
def partly_updated_state() -> Program:
    x, m, c = given("x", 4), state("m", 4), state("c", 2)
    return program(
        define(m, (affine((j, 1), offset=1),), load(m, j) * load(x, j)),
        add(c, (0,), load(m, i) * load(x, i), (i,)),
        define(L, (), sigma(i, load(m, i) ** 2) + load(c, 0) * load(c, 1)),
    )
