"""Every other refusal of the language, a row each: what was written, which error, which words."""

import numpy as np
import pytest

import phistar as ph

b, i, j, k, t, u = ph.indices("b i j k t u")


def given(name: str, *shape: int):
    return ph.tensor(np.zeros(shape, np.float32), name=name)


X = given("x", 5)
SCALAR = ph.tensor(2.0, name="s")


def scan_twice() -> None:
    with ph.scan(t), ph.scan(ph.index("t")):
        pass


def closed_in_scan() -> None:
    d = ph.tensors("d")
    with ph.scan(t):
        (SCALAR * 3).value
        d[t] = X[t]


def state_in_scan() -> None:
    running = ph.state(5)
    with ph.scan(t):
        running[t] = X[t]


def late_equation() -> None:
    d, e = ph.tensors("d e")
    e[ph.first - 1] = 0.0
    d[ph.first - 1] = 0.0
    with ph.scan(t):
        d[t] = e[t] + d[t - 1]
        e[t] = X[t] + e[t - 1]


def only_initial() -> None:
    c, d = ph.tensors("c d")
    c[ph.first - 1, j] = 0
    d[i] = X[i] * c[ph.first - 1, i]


def dots_unknown() -> None:
    d, e = ph.tensors("d e")
    d[...] = e[...]


def two_dots() -> None:
    d = ph.tensors("d")
    d[..., i, ...] = X[i]


def two_declared() -> None:
    d = ph.tensors("d")
    d[b] = X[ph.index("n", 5)] * X[ph.index("n", 4)]


def cast_to_fit() -> None:
    def f(x, z):
        d = ph.tensors("d")
        d[0, i] = x[i]
        d[1, i] = z[i]
        return d

    ph.trace(f, np.zeros(3, np.float32), np.zeros(3))


def negative_start() -> None:
    d = ph.tensors("d")
    d[i - 1] = X[i]


def pad_gather() -> None:
    g, d = ph.tensor(np.zeros(5, int), name="g"), ph.tensors("d")
    d[i] = X[ph.pad(g[i], 1)]


def unknown_size() -> None:
    d = ph.tensors("d")
    d[i] = X[i] * ph.index("never").size


def open_condition() -> None:
    d = ph.tensors("d")
    d[i] = ph.sum[u : u * 1](X[u] * X[i])


def wrong_accumulate() -> None:
    d, e = ph.tensors("d", d=(5,)), ph.tensors("e", e=(5,))
    d[i] = e[i].__iadd__(X[i])


def two_arguments():
    @ph.elementwise
    def f(x, y):
        return x + y

    return f(SCALAR)


def wrong_partials():
    @ph.elementwise(d=lambda y, a, c: a)
    def f(a, c):
        return a * c

    return f(SCALAR, SCALAR).value


def self_read() -> None:
    d = ph.tensors("d")
    d[i] = d[i] + X[i]


class Empty(ph.Model):
    pass


def wrong_init():
    W = ph.param(3, init=np.zeros(4))
    return W.value


REFUSALS = [
    (lambda: ph.index("2x"), ph.UsageError, "cannot name an index"),
    (lambda: ph.index("n", -1), ph.UsageError, "cannot have size -1"),
    (lambda: ph.indices(""), ph.UsageError, "ph.indices wants names"),
    (lambda: ph.indices("a b", c=3), ph.UsageError, "a size for c, not among 'a b'"),
    (lambda: ph.indices("a a"), ph.UsageError, "names an index twice"),
    (lambda: ph.tensors(""), ph.UsageError, "ph.tensors wants names"),
    (lambda: ph.tensors("a", c=(3,)), ph.UsageError, "a shape for c, not among 'a'"),
    (lambda: ph.tensors("a-b"), ph.UsageError, "'a-b' cannot name a tensor"),
    (lambda: ph.tensor("text"), ph.DTypeError, "holds numbers or truth values, not <U4"),
    (lambda: ph.param(3, 2.5), ph.ShapeError, "made of whole numbers, not 2.5"),
    (lambda: ph.cast(SCALAR, "f12"), ph.DTypeError, "no type 'f12'; the types are bool, u8"),
    (lambda: list(SCALAR), ph.ExpressionError, "cannot be iterated"),
    (lambda: float(SCALAR * 2), ph.ExpressionError, "is not a number yet: ask for its .value"),
    (lambda: (SCALAR * 2)[i], ph.ExpressionError, "is an expression, not a tensor"),
    (lambda: SCALAR + "a", ph.ExpressionError, r"'a' \(str\) cannot stand in an expression"),
    (lambda: SCALAR + X[i].__iadd__(1), ph.ExpressionError, "a statement, not a value"),
    (lambda: ph.tensors("h") * 2, ph.DefinitionError, "h is used before it is defined"),
    (lambda: ph.tensors("h").shape, ph.DefinitionError, "shape of h is not known yet"),
    (lambda: setattr(ph.tensors("h"), "value", 1), ph.DefinitionError, "its value follows"),
    (lambda: setattr(X, "value", np.ones(3)), ph.ShapeError, r"x has shape \(5,\)"),
    (lambda: ph.param(init=0).value, ph.DefinitionError, "param has no shape yet"),
    (wrong_init, ph.ShapeError, r"initial value of param has shape \(4,\)"),
    (lambda: Empty()(1), ph.ModelError, "Empty has no equations"),
    (two_arguments, ph.ExpressionError, r"f takes 2 arguments \(x, y\), not 1"),
    (wrong_partials, ph.ExpressionError, "the derivative of f gives 1 partials"),
    (lambda: ph.elementwise(lambda *a: a), ph.UsageError, "wants a function of plain arguments"),
    (lambda: ph.mean(3), ph.ExpressionError, "ph.mean wants its indices in brackets"),
    (lambda: ph.sum[3](X[i]), ph.SubscriptError, "ph.sum.* takes indices, not 3"),
    (lambda: ph.sum[i, i](X[i]), ph.SubscriptError, "takes one or more different indices"),
    (lambda: ph.sum[i:](X[i]), ph.SubscriptError, r"a domain is written sum\[u : u <= t\]"),
    (lambda: ph.cumsum[i, j](X[i]), ph.SubscriptError, "cumsum takes one index"),
    (lambda: ph.cumsum[i : i < 3](X[i]), ph.SubscriptError, "cumsum takes one index"),
    (lambda: ph.uniform[3], ph.SubscriptError, "ph.uniform.* takes plain indices"),
    (lambda: ph.normal[b, b], ph.SubscriptError, "ph.normal.* names an index twice"),
    (lambda: ph.pad(i, -1), ph.SubscriptError, "adds whole numbers of elements, not -1"),
    (lambda: X[(i, 3),], ph.SubscriptError, "a group in x.* is made of indices"),
    (lambda: X["a"], ph.SubscriptError, "a subscript is an index or a whole number"),
    (lambda: ph.scan(3), ph.UsageError, "ph.scan wants an index"),
    (lambda: ph.scan(t, steps=-1), ph.UsageError, "cannot be -1"),
    (lambda: ph.scan(ph.index("n", 3), steps=4), ph.IndexRangeError, "declared with size 3"),
    (scan_twice, ph.UsageError, "a scan over t is already running"),
    (closed_in_scan, ph.ExpressionError, "has no index of the scan"),
    (state_in_scan, ph.DefinitionError, "is a state and cannot change inside a scan"),
    (late_equation, ph.DefinitionError, "read before it is computed in the same step"),
    (only_initial, ph.DefinitionError, "c has only an initial value"),
    (dots_unknown, ph.SubscriptError, "no tensor here has known axes"),
    (two_dots, ph.SubscriptError, "stands once between a tensor's brackets"),
    (two_declared, ph.IndexRangeError, "two indices are named n, declared with sizes"),
    (cast_to_fit, ph.DTypeError, "d is f32, but this equation gives f64"),
    (negative_start, ph.IndexRangeError, "writes outside d"),
    (pad_gather, ph.SubscriptError, "ph.pad takes a position made of indices"),
    (unknown_size, ph.SubscriptError, "never.size is not known here"),
    (open_condition, ph.DTypeError, "a condition is a truth value"),
    (wrong_accumulate, ph.SubscriptError, r"\+= stands between a tensor and what is added"),
    (self_read, ph.DefinitionError, "d is read before it is defined"),
    (lambda: ph.source(3), ph.ExpressionError, "neither a tensor nor an expression nor a program"),
    (lambda: X.backward(), ph.ExpressionError, "backward starts from a number, but x has axes"),
    (lambda: (X[i] * X[i] * X[i]).value, ph.SummationError, "index i is in 3 factors"),
    (lambda: ph.sum[i](X[i] > 0).value, ph.DTypeError, "sum does not take truth values"),
    (lambda: ph.any[i](X[i]).value, ph.DTypeError, "any wants truth values"),
    (lambda: ph.where(SCALAR, 1.0, 2.0).value, ph.DTypeError, "wants a truth value here"),
    (
        lambda: ph.trace(lambda a: (a, a * 2.0), np.ones(2)[0]).backward(),
        ph.UsageError,
        "backward from which output",
    ),
    (lambda: ph.trace(lambda a: a * 2.0, 1.0).backward("z"), ph.UsageError, "no tensor named z"),
    (
        lambda: ph.trace(lambda a: a * 2.0, 1.0).compile()(1.0, 2.0),
        ph.UsageError,
        r"the program takes 1 arrays \(a\)",
    ),
    (
        lambda: ph.vmap(lambda x: x, ph.index("b", 3))(np.ones(4)),
        ph.UsageError,
        "b was declared with size 3, but the arrays have 4",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSALS)
def test_refusal(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
