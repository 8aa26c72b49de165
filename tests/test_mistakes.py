"""Mistakes people make, and the whole message each one gets.

A message says what is wrong in the user's names, shows the equation with carets and its place (here
replaced by `<place>`), and gives the two facts that clash.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest

import phistar as ph
from phistar import exp, relu
from phistar.language.tensors import Tensor

b, i, j, k, t, u = ph.indices("b i j k t u")
MISTAKES: list[tuple[Callable[[], object], type[Exception], str]] = []


def mistake(error: type[Exception], message: str) -> Callable[[Callable[[], object]], None]:
    def register(function: Callable[[], object]) -> None:
        MISTAKES.append((function, error, message.strip("\n")))

    return register


def given(name: str, *shape: int) -> Tensor:
    return ph.tensor(np.zeros(shape, np.float32), name=name)


@mistake(
    ph.IndexRangeError,
    """
index i has two sizes
  h[b, j] = relu(W0[j, i] * x[b, i] + b0[j])          <place>
                 ^^^^^^^^   ^^^^^^^
  W0 has shape (128, 784), so i runs to 784; x has shape (64, 3072), so i runs to 3072
""",
)
def two_sizes() -> None:
    W0 = given("W0", 128, 784)
    x = given("x", 64, 3072)
    b0 = given("b0", 128)
    h = ph.tensors("h")
    h[b, j] = relu(W0[j, i] * x[b, i] + b0[j])


@mistake(
    ph.IndexRangeError,
    """
index i has two sizes
  h[b, i] = x[b, i]          <place>
            ^^^^^^^
  i was declared with size 5; x has shape (3, 4), so i runs to 4
""",
)
def declared() -> None:
    x = given("x", 3, 4)
    h = ph.tensors("h")
    i = ph.index("i", 5)
    h[b, i] = x[b, i]


@mistake(
    ph.IndexRangeError,
    """
index j has no range
  h[j] = 1.0          <place>
  nothing here says how far j runs: declare it, ph.index("j", 128)
""",
)
def no_range() -> None:
    h = ph.tensors("h")
    h[j] = 1.0


@mistake(
    ph.SummationError,
    """
index i is neither on the left nor in exactly two factors of a product
  h[b, j] = relu(A[b, i]) * x[b, j]          <place>
                 ^^^^^^^
  if a sum is meant, write it: ph.sum[i](relu(A[b, i]))
""",
)
def once() -> None:
    A = given("A", 3, 4)
    x = given("x", 3, 5)
    h = ph.tensors("h")
    h[b, j] = relu(A[b, i]) * x[b, j]


@mistake(
    ph.SummationError,
    """
index i is neither on the left nor in exactly two factors of a product
  h[b] = (x[b, i] - m[b]) ** 2          <place>
          ^^^^^^^
  if a sum is meant, write it: ph.sum[i]((x[b, i] - m[b]) ** 2)
""",
)
def power() -> None:
    m = given("m", 3)
    x = given("x", 3, 5)
    h = ph.tensors("h")
    h[b] = (x[b, i] - m[b]) ** 2


@mistake(
    ph.SummationError,
    """
index i is neither on the left nor in exactly two factors of a product
  h[b] = a[b, i] / c[i]          <place>
         ^^^^^^^
  if a sum is meant, write it: ph.sum[i](a[b, i] / c[i])
""",
)
def div() -> None:
    m = given("c", 5)
    x = given("a", 3, 5)
    h = ph.tensors("h")
    h[b] = x[b, i] / m[i]


@mistake(
    ph.SummationError,
    """
index i is in 3 factors of one product, not in exactly two
  h[b] = x[b, i] * x[b, i] * v[i]          <place>
         ^^^^^^^   ^^^^^^^   ^^^^
  if one sum over all of them is meant, write it: ph.sum[i](x[b, i] * x[b, i] * v[i])
""",
)
def three() -> None:
    m = given("v", 5)
    x = given("x", 3, 5)
    h = ph.tensors("h")
    h[b] = x[b, i] * x[b, i] * m[i]


@mistake(
    ph.SummationError,
    """
index i is in 3 factors of one product, not in exactly two
  h[b, j] = W[j, i] * x[b, i] * sigmoid(1.702 * (W[j, i] * x[b, i]))          <place>
            ^^^^^^^   ^^^^^^^   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  if one sum over all of them is meant, write it: ph.sum[i](W[j, i] * x[b, i] * sigmoid(1.702 * (W[j, i] * x[b, i])))
""",
)
def helper() -> None:
    W = given("W", 4, 5)
    x = given("x", 3, 5)
    h = ph.tensors("h")

    def gelu(z):
        return z * ph.sigmoid(1.702 * z)

    h[b, j] = gelu(W[j, i] * x[b, i])


@mistake(
    ph.SummationError,
    """
index i is in two factors, one of which has a product over i of its own
  h[b] = v[i] * exp(W[i] * x[b, i])          <place>
         ^^^^   ^^^^^^^^^^^^^^^^^^^
  say which sum is meant: ph.sum[i](W[i] * x[b, i]) or ph.sum[i](v[i] * exp(W[i] * x[b, i]))
""",
)
def captured() -> None:
    W = given("W", 5)
    x = given("x", 3, 5)
    v = given("v", 5)
    h = ph.tensors("h")
    h[b] = v[i] * exp(W[i] * x[b, i])


@mistake(
    ph.SubscriptError,
    """
x has 2 axes, but 1 subscript here
  h[b] = x[b]          <place>
         ^^^^
  x has shape (3, 4)
""",
)
def nsubs() -> None:
    x = given("x", 3, 4)
    h = ph.tensors("h")
    h[b] = x[b]


@mistake(
    ph.DefinitionError,
    """
g is read before it is defined
  h[b] = g[b] * 2          <place>
         ^^^^
  define it first: g[...] = ...
""",
)
def undefined() -> None:
    h, g = ph.tensors("h g")
    h[b] = g[b] * 2


@mistake(
    ph.DefinitionError,
    """
h is defined twice
  h[b] = x[b] * 3          <place>
  it was defined by h[b] = x[b] * 2 (<place>)
""",
)
def twice() -> None:
    def f(x):
        h = ph.tensors("h")
        h[b] = x[b] * 2
        h[b] = x[b] * 3
        return h

    ph.trace(f, np.zeros(3, np.float32))


@mistake(
    ph.IndexRangeError,
    """
x[q + 1] reads outside x
  d[q] = x[q + 1] - x[q]          <place>
         ^^^^^^^^
  it reads positions 1..5 of axis 0, which has 5 elements (0..4)
""",
)
def outside() -> None:
    x = given("x", 5)
    q = ph.index("q")
    d = ph.tensors("d")
    d[q] = x[q + 1] - x[q]


@mistake(
    ph.IndexRangeError,
    """
x[7] reads outside x
  d = x[7]          <place>
      ^^^^
  it reads positions 7..7 of axis 0, which has 5 elements (0..4)
""",
)
def const_outside() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[()] = x[7]


@mistake(
    ph.SubscriptError,
    """
x[1.5]: a subscript is a whole number, not a float
""",
)
def floatsub() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[()] = x[1.5]


@mistake(
    ph.SubscriptError,
    """
a subscript of x is f32, not a whole number
  d[b] = x[g[b]]          <place>
           ^^^^
  to gather by it, write ph.cast(..., "i64")
""",
)
def floatgather() -> None:
    x = given("x", 5)
    g = given("g", 3)
    d = ph.tensors("d")
    d[b] = x[g[b]]


@mistake(
    ph.DTypeError,
    """
a truth value does not mix with f32
  d[i] = (x[i] > 0) + (x[i] < 3)          <place>
         ^^^^^^^^^^   ^^^^^^^^^^
  use ph.where(condition, a, b) or ph.cast(condition, "f32")
""",
)
def truth() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[i] = (x[i] > 0) + (x[i] < 3)


@mistake(
    ph.DTypeError,
    """
f32 does not mix with f64
  d[i] = x[i] * z[i]          <place>
         ^^^^   ^^^^
  write ph.cast(..., "f32") or ph.cast(..., "f64")
""",
)
def f3264() -> None:
    x = given("x", 5)
    z = ph.tensor(np.zeros(5), name="z")
    d = ph.tensors("d")
    d[i] = x[i] * z[i]


@mistake(
    ph.ExpressionError,
    """
x has 1 axis and is used without its subscripts: write x[i1] with an index for each axis
""",
)
def nosubs() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[i] = x * 2


@mistake(
    ph.SubscriptError,
    """
index i is named twice on the left
  d[i, i] = x[i]          <place>
    ^  ^      ^
  each axis of a definition needs an index of its own
""",
)
def lefttwice() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[i, i] = x[i]


@mistake(
    ph.IndexRangeError,
    """
d[t + 1] reads what the scan over t has not computed yet
  d[t] = d[t + 1] + x[t]          <place>
         ^^^^^^^^
  inside the scan d may be read at t (after its own equation) and at t - 1
""",
)
def future() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[ph.first - 1] = 0.0
    with ph.scan(t):
        d[t] = d[t + 1] + x[t]


@mistake(
    ph.IndexRangeError,
    """
d[t - 1] reads outside d
  d[t] = d[t - 1] + x[t]          <place>
         ^^^^^^^^
  it reads positions -1..3 of axis 0, which has 5 elements (0..4); give d an initial value at ph.first - 1, before the scan
""",
)
def noinit() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    with ph.scan(t):
        d[t] = d[t - 1] + x[t]


@mistake(
    ph.DefinitionError,
    """
d is defined inside the scan over t without t on the left
  d[i] = x[i]          <place>
  each step needs its own element: d[..., t, ...] = ...
""",
)
def noscanindex() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    with ph.scan(t):
        d[i] = x[i]


@mistake(
    ph.ExpressionError,
    """
an expression has no truth value while a program is written: use ph.where(condition, a, b) for `if`, & | ~ for `and`, `or`, `not`, (a < b) & (b < c) for a < b < c, and ph.max(a, b) or ph.maximum for the builtin max
""",
)
def iff() -> None:
    x = given("x", 5)
    if x[i] > 0:
        pass


@mistake(
    ph.SubscriptError,
    """
x[1:3]: slices are written with an index, as in x[i + 1]
""",
)
def slice_() -> None:
    x = given("x", 5)
    x[1:3]


@mistake(
    ph.SubscriptError,
    """
g is a tensor here, not an index: to gather by it write g[...]
""",
)
def tensor_as_index() -> None:
    x = given("x", 5)
    g = ph.tensor(np.zeros(3, int), name="g")
    d = ph.tensors("d")
    d[b] = x[g]


@mistake(
    ph.ExpressionError,
    """
an array of shape (5,) cannot stand in an expression: make it a tensor, t = ph.tensor(array), and give it subscripts, t[b, i]
""",
)
def array_in_expr() -> None:
    x = given("x", 5)
    d = ph.tensors("d")
    d[i] = x[i] * np.zeros(5)


@mistake(
    ph.DefinitionError,
    """
d is read, but has a hole
  e[k, i] = d[k, i]          <place>
  10 of its 15 elements are defined: define the rest first
""",
)
def hole() -> None:
    x = given("x", 5)
    d, e = ph.tensors("d e")
    d[0, i] = x[i]
    d[2, i] = x[i]
    e[k, i] = d[k, i]


@mistake(
    ph.DefinitionError,
    """
d is defined twice
  d[k, i] = x[i] + cast(k, "f32")          <place>
  it was defined by d[0, i] = x[i] (<place>)
""",
)
def overlap() -> None:
    def f(x):
        d = ph.tensors("d")
        d[0, i] = x[i]
        d[k, i] = x[i] + ph.cast(k, "f32")
        return d

    k = ph.index("k", 3)
    ph.trace(f, np.zeros(3, np.float32))


@mistake(
    ph.SubscriptError,
    """
d has a subscript on the left that `=` does not allow
  d[g[b]] = 1.0          <place>
    ^^^^
  on the left of = stand indices, constants, index + offset and groups (h, d); to accumulate at computed positions use +=
""",
)
def scatter_set() -> None:
    g = ph.tensor(np.zeros(3, int), name="g")
    d = ph.tensors("d")
    d[g[b]] = 1.0


@mistake(
    ph.IndexRangeError,
    """
axis 0 of d has no size
  d[g[b]] += 1.0          <place>
  give d a shape, or define it with = before adding to it
""",
)
def scatter_nosize() -> None:
    g = ph.tensor(np.zeros(3, int), name="g")
    d = ph.tensors("d")
    d[g[b]] += 1.0


@mistake(
    ph.SubscriptError,
    """
`...` stands for the same axes everywhere in a statement
  d[...] = x[...] + y[...]          <place>
           ^^^^^^   ^^^^^^
  in y it stands for 1 axes, in x for 2
""",
)
def dots() -> None:
    x = given("x", 3, 4)
    y_ = given("y", 5)
    d = ph.tensors("d")
    d[...] = x[...] + y_[...]


@mistake(
    ph.ExpressionError,
    """
over which index? write ph.sum[i](x[i])
""",
)
def noindex_red() -> None:
    x = given("x", 3)
    ph.sum(x[i])


@mistake(
    ph.ExpressionError,
    """
x[i] * 2 still has index i: give it a tensor, T[i] = ..., or reduce it, ph.sum[i](...)
""",
)
def openvalue() -> None:
    x = given("x", 3)
    (x[i] * 2).value


@mistake(
    ph.DefinitionError,
    """
h has no value: it was never defined (write h[...] = ..., not h = ...)
""",
)
def rebind() -> None:
    h = ph.tensors("h")
    h.value


@mistake(
    ph.DefinitionError,
    """
x is given from outside: it is not defined again
  x[i] = 2.0          <place>
""",
)
def assign_input() -> None:
    x = given("x", 3)
    x[i] = 2.0


@mistake(
    ph.DefinitionError,
    """
e is read before it is defined
  d[t] = e[t] + d[t - 1]          <place>
         ^^^^
  define it first: e[...] = ...
""",
)
def readbeforescan() -> None:
    x = given("x", 5)
    d, e = ph.tensors("d e")
    d[ph.first - 1] = 0.0
    with ph.scan(t):
        d[t] = e[t] + d[t - 1]
        e[t] = x[t] * 2


@mistake(
    ph.DTypeError,
    """
s is i64, but this equation gives a float
  s[1] = 2.5          <place>
  write ph.cast(..., "i64")
""",
)
def floatint() -> None:
    g = ph.tensor(np.zeros(3, int), name="g")
    s = ph.tensors("s")

    def f(g):
        s = ph.tensors("s")
        s[0] = g[0]
        s[1] = 2.5
        return s

    ph.trace(f, np.zeros(3, int))


@mistake(
    ph.IndexRangeError,
    """
x[p + r] reads outside x
  d[p] = K[r] * x[p + r]          <place>
                ^^^^^^^^
  it reads positions 0..6 of axis 0, which has 5 elements (0..4)
""",
)
def unpadded() -> None:
    x = given("x", 5)
    K = given("K", 3)
    r = ph.index("r")
    p = ph.index("p", 5)
    d = ph.tensors("d")
    d[p] = K[r] * x[p + r]


@mistake(
    ph.IndexRangeError,
    """
the group (h, d) does not divide its axis
  o[b, h, d] = x[b, (h, d)]          <place>
               ^^^^^^^^^^^^
  axis 1 of x has 10 elements; the sizes known make 3
""",
)
def groupdiv() -> None:
    h, d = ph.indices("h d")
    h = ph.index("h", 3)
    x = given("x", 2, 10)
    o = ph.tensors("o")
    o[b, h, d] = x[b, (h, d)]


@mistake(
    ph.UsageError,
    """
the scan over t is empty
""",
)
def emptyscan() -> None:
    with ph.scan(t):
        pass


class Line(ph.Model):
    def __init__(self, n: int = 3) -> None:
        self.w = ph.param(n, init=1)

    def __call__(self, x):
        y = ph.tensors("y")
        y[b] = self.w[i] * x[b, i]
        return y


def log_of_difference(model, x, target):
    y = model(x)
    return ph.log(y[b] - target[b])


@mistake(
    ph.NotFiniteError,
    """
the loss is nan at epoch 1, step 1
  loss += Σ_b log(y[b] - target[b]) / 2          <place>
  is the first statement whose result is not finite: loss is nan
  it read y = 3, target = 5
  the minibatch has the examples 2, 3
""",
)
def nan_in_the_loss() -> None:
    data = ph.data.Dataset(x=np.ones((4, 3), np.float32), target=np.full(4, 5, np.float32))
    ph.fit(Line(), log_of_difference, data, optimizer=ph.SGD(0.1), batch_size=2, progress=False)


@mistake(
    ph.IndexRangeError,
    """
label[b] is 12 at b = 1, outside P
  output = mean[b](-log(P[b, label[b]]))          <place>
  axis 1 of P has 10 elements (0..9)
""",
)
def label_out_of_range() -> None:
    f = ph.jit(lambda P, label: ph.mean[b](-ph.log(P[b, label[b]])))
    f(np.ones((2, 10), np.float32), np.array([3, 12]))


@mistake(
    ph.DataError,
    """
loss(model, x, target) asks for the column 'target', but the data has x
""",
)
def missing_column() -> None:
    def loss(model, x, target):
        return log_of_difference(model, x, target)

    data = ph.data.Dataset(x=np.ones((4, 3), np.float32))
    ph.fit(Line(), loss, data, optimizer=ph.SGD(0.1), progress=False)


@mistake(ph.WeightsError, "there is no file nowhere.safetensors")
def missing_weights() -> None:
    ph.load(Line(), "nowhere.safetensors")


@mistake(ph.UsageError, "the rate of SGD must be a positive number, not -1")
def negative_rate() -> None:
    ph.SGD(-1)


def test_weights_of_other_shapes(tmp_path) -> None:
    model = Line()
    model.initialize()
    ph.save(model, tmp_path / "line.safetensors")
    with pytest.raises(ph.WeightsError) as caught:
        ph.load(Line(4), tmp_path / "line.safetensors")
    assert str(caught.value) == (
        f"nothing in {tmp_path / 'line.safetensors'} fits Line: 0 matched\n"
        "w has shape (4,) in the model, (3,) in the file"
    )


@pytest.mark.parametrize(
    ("function", "error", "message"), MISTAKES, ids=[f.__name__ for f, _, _ in MISTAKES]
)
def test_mistake(function: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        function()
    assert re.sub(r"\w+\.py:\d+", "<place>", str(caught.value)) == message


def test_there_are_at_least_forty() -> None:
    assert len(MISTAKES) >= 40
