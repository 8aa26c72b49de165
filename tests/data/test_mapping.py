"""Functions of examples, sampling, folds, sets one after the other; threads read in order."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.data import Dataset
from phistar.data.lazy import Lazy
from phistar.data.mapping import generator
from phistar.data.prefetch import prefetched, slow
from phistar.data.sampling import concatenate
from phistar.errors import DataError, UsageError

Array = np.ndarray[Any, Any]
DATA = Dataset(x=np.arange(40, dtype=np.float32).reshape(20, 2), label=np.arange(20) % 3)


def turned(x: Any, rng: np.random.Generator) -> dict[str, Any]:
    return {"x": x + rng.normal(size=2).astype(np.float32)}


def test_a_function_replaces_and_adds_columns() -> None:
    made = DATA.map(lambda x, label: {"x": x[:1] * 2, "sum": x.sum() + label})
    assert list(made.columns) == ["x", "label", "sum"]
    batch = made.batch([3, 0, 3])
    assert_array_equal(batch["x"], [[12], [0], [12]])
    assert_array_equal(batch["sum"], [13, 1, 13])
    assert_array_equal(made[5:8].column("sum"), [21 + 2, 25, 29 + 1])
    assert made.columns["x"].shape == (1,)


def test_a_whole_minibatch_at_once() -> None:
    made = DATA.map(lambda x: {"x": x - x.mean(1, keepdims=True)}, batched=True)
    assert_array_equal(made.batch([1, 2])["x"], [[-0.5, 0.5], [-0.5, 0.5]])


def test_everything_may_be_asked_for() -> None:
    made = DATA.map(lambda **columns: {"n": len(columns)})
    assert made[0]["n"] == 2


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_random_numbers_belong_to_seed_epoch_and_example(workers: int) -> None:
    made = DATA.map(turned, workers=workers)
    here = made.at(3, 7)
    rows = np.array([4, 11, 4, 0])
    want = np.stack(
        [DATA.column("x")[r] + generator(3, 7, r).normal(size=2).astype("f4") for r in rows]
    )
    assert_array_equal(here.batch(rows)["x"], want)
    assert_array_equal(here.batch([11])["x"][0], want[1])  # in whatever minibatch
    assert_array_equal(here[::-1].batch([8])["x"][0], want[1])  # of whatever part of the data
    others = [made.at(3, 8).batch(rows)["x"], made.at(4, 7).batch(rows)["x"]]
    assert all((other != want).any() for other in others)


def test_no_two_examples_draw_the_same() -> None:
    first = {generator(1, 2, row).integers(2**63) for row in range(2000)}
    assert len(first) == 2000


def test_a_function_of_a_function() -> None:
    made = DATA.map(turned).map(lambda x: {"x": x * 2})
    assert_array_equal(made.at(1, 5).batch([2])["x"], 2 * DATA.map(turned).at(1, 5).batch([2])["x"])


def test_the_columns_of_one_answer_are_read_once() -> None:
    calls = []

    def f(x: Any) -> dict[str, Any]:
        calls.append(1)
        return {"a": x, "b": x}

    made = DATA.map(f)
    calls.clear()
    made.batch([1, 2, 3])
    assert len(calls) == 3


def test_filter() -> None:
    kept = DATA.filter(lambda label: label == 1)
    assert_array_equal(kept.column("label"), np.ones(7))
    assert len(DATA.filter(lambda x: False)) == 0


def test_folds() -> None:
    folds = DATA.folds(3, seed=4)
    held = np.concatenate([validation.column("x")[:, 0] for _, validation in folds])
    assert_array_equal(np.sort(held), DATA.column("x")[:, 0])
    for training, validation in folds:
        seen = set(training.column("x")[:, 0]) | set(validation.column("x")[:, 0])
        assert len(training) + len(validation) == len(seen) == 20
    with pytest.raises(DataError, match="folds wants a number from 2 to the 20 examples, not 1"):
        DATA.folds(1)


def test_weighted_by_class_and_by_numbers() -> None:
    skewed = Dataset(x=np.arange(1000.0, dtype="f4"), label=(np.arange(1000) < 50).astype(int))
    drawn = skewed.weighted("label", size=4000)
    for epoch in (0, 1):
        share = drawn.at(0, epoch).column("label").mean()
        assert abs(share - 0.5) < 0.04
    assert (drawn.at(0, 0).column("x") != drawn.at(0, 1).column("x")).any()
    assert_array_equal(drawn.at(5, 2).column("x"), drawn.at(5, 2).column("x"))
    only = DATA.weighted([0.0] * 19 + [1.0])
    assert_array_equal(only.column("x")[:, 0], np.full(20, 38))


def test_one_after_the_other() -> None:
    both = concatenate(DATA, DATA[5:7], DATA.map(turned))
    assert len(both) == 42
    assert_array_equal(both.batch([0, 21, 5])["x"], DATA.batch([0, 6, 5])["x"])
    moved = both.at(1, 1).batch([22])["x"]
    assert_array_equal(moved, DATA.map(turned).at(1, 1).batch([0])["x"])


def broken(x: Any) -> dict[str, Any]:
    return {"x": x[: int(x[0]) % 3]}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DATA.map(lambda y: {"x": y}), "asks for 'y', but the data has x, label"),
        (lambda: DATA.map(lambda x: x), "must return a dict of columns"),
        (lambda: DATA.map(broken).column("x"), r"broken makes 'x' of shape \(0,\) for one example"),
        (lambda: DATA[:0].map(turned), "cannot be tried on a data set without examples"),
        (lambda: DATA.weighted([1.0]), r"weights have shape \(1,\), but there are 20 examples"),
        (
            lambda: DATA.weighted([0.0] * 20),
            "weights are finite numbers from 0 on, not all of them",
        ),
        (lambda: DATA.weighted("label", size=0), "draws a whole number of examples, not 0"),
        (lambda: concatenate(), "takes at least one data set"),
        (
            lambda: concatenate(DATA, Dataset(x=np.ones(3))),
            "data set 2 has the columns x, the first has label, x",
        ),
        (
            lambda: concatenate(Dataset(x=np.ones(3)), Dataset(x=np.ones((3, 2)))),
            r"column 'x' is f64 of shape \(\) in the first data set, f64 of shape \(2,\) in num",
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


def test_random_numbers_of_a_whole_minibatch_are_refused() -> None:
    with pytest.raises(UsageError, match="turned asks for rng, which belongs to one example"):
        DATA.map(turned, batched=True)


# Lazy rows ----------------------------------------------------------------------------------------


class Squares(Lazy):
    def __init__(self, n: int, wrong: bool = False) -> None:
        self.shape, self.dtype, self.wrong = (n, 2), np.dtype("f4"), wrong
        self.threads: set[str] = set()

    def read(self, rows: Array) -> Array:
        self.threads.add(threading.current_thread().name)
        return np.stack([rows, rows**2], 1).astype("f8" if self.wrong else "f4")


def test_rows_that_are_read_when_asked_for() -> None:
    squares = Squares(10)
    assert len(squares) == 10
    assert_array_equal(squares[3], [3, 9])
    assert_array_equal(squares[2:8:3], [[2, 4], [5, 25]])
    assert_array_equal(squares[np.arange(10) == 4], [[4, 16]])
    assert squares[[]].shape == (0, 2)
    data = Dataset(x=squares)
    assert_array_equal(data[4:6].batch([1])["x"], [[5, 25]])
    assert_array_equal(data.column("x")[-1], [9, 81])
    with pytest.raises(DataError, match=r"Squares of 3 rows gave rows of shape \(2,\) and type f"):
        Squares(3, wrong=True)[0]


def test_training_on_lazy_rows_is_training_on_arrays() -> None:
    j = ph.index("j")

    class Line(ph.Model):
        def __init__(self) -> None:
            self.W = ph.param(2, init=0)

    def loss(model: Line, x: Any) -> Any:
        b = ph.index("b")
        return (model.W[j] * x[b, j] - 1.0) ** 2

    squares = Squares(12)
    found = []
    for data in (Dataset(x=squares), Dataset(x=squares[:])):
        model = Line()
        settings: Any = {"epochs": 2, "batch_size": 5, "progress": False, "backend": "numpy"}
        ph.fit(model, loss, data, optimizer=ph.SGD(1e-4), **settings)
        found.append(model.W.value)
    assert_array_equal(*found)
    assert any(name.startswith("phistar-data") for name in squares.threads)
    assert slow(Dataset(x=squares)) and not slow(DATA)


# Threads ------------------------------------------------------------------------------------------


def test_in_order_and_a_few_at_a_time() -> None:
    begun: list[int] = []

    def make(n: int) -> int:
        begun.append(n)
        time.sleep(0.001 * (n % 3))
        return n * n

    def items() -> Iterator[int]:
        for n in range(30):
            assert len(begun) <= n
            yield n

    found = [(n, made.result()) for n, made in prefetched(make, items(), threads=3, ahead=5)]
    assert found == [(n, n * n) for n in range(30)]


def test_an_error_comes_where_its_minibatch_would() -> None:
    def make(n: int) -> int:
        if n == 3:
            raise DataError("row 3 is damaged")
        return n

    seen = []
    with pytest.raises(DataError, match="row 3 is damaged"):
        for n, made in prefetched(make, range(10)):
            seen.append(made.result())
            assert n == seen[-1]
    assert seen == [0, 1, 2]


def test_what_is_given_up_does_not_go_on() -> None:
    begun = []
    running = prefetched(begun.append, range(10**6))
    next(running)
    running.close()
    assert len(begun) < 20
    assert not any(t.name.startswith("phistar-data") for t in threading.enumerate())
