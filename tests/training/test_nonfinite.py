"""A loss that is not finite is refused, with the statement that made it."""

from typing import Any

import numpy as np
import pytest
from blobs import Line, line, squares
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar.data.dataset import Dataset
from phistar.errors import NotFiniteError

b, t, u = ph.indices("b t u")


def test_the_first_statement_is_named() -> None:
    def logs(model: Line, x: Any) -> Any:
        h, z = ph.tensors("h z")
        h[b] = ph.log(model.w * x[b])
        z[b] = h[b] * 2 + model.c
        return z[b]

    model = Line()
    x = np.array([1.0, 2.0, -1.0])
    message = (
        r"the loss is nan at epoch 1, step 1\n"
        r"  h\[b\] = log\(.*\) +test_nonfinite.py:\d+\n"
        r"  is the first statement whose result is not finite: h\[2\] is nan\n"
        r"  it read w = 0.5, x from -1 to 2\n"
        r"  the minibatch has the examples 0, 1, 2$"
    )
    with pytest.raises(NotFiniteError, match=message):
        ph.fit(model, logs, Dataset(x=x), optimizer=ph.SGD(0.1), shuffle=False, progress=False)
    assert model.w.value == 0.5  # as before the step


def test_an_update_that_was_not_finite_is_found_a_step_later() -> None:
    def roots(model: Line, x: Any) -> Any:
        return ph.sqrt(ph.abs(model.w * x[b]))

    message = r"(?s)at epoch 1, step 2; the update of step 1 was not finite\n.*\.grad.*is the first"
    with pytest.raises(NotFiniteError, match=message):
        ph.fit(
            Line(w=0.0), roots, line(4), optimizer=ph.SGD(0.1), batch_size=2, shuffle=False,
            progress=False,
        )  # fmt: skip


def test_overflow_is_named_where_it_happens() -> None:
    def far(model: Line, x: Any) -> Any:
        e, z = ph.tensors("e z")
        e[b] = ph.exp(1000 * model.w * x[b])
        z[b] = e[b] / (1 + e[b])
        return z[b]

    with pytest.raises(NotFiniteError, match=r"(?s)loss is nan.*  e\[b\] = exp.*is inf"):
        ph.fit(Line(), far, Dataset(x=np.full(2, 5.0)), optimizer=ph.SGD(0.1), progress=False)


def test_an_infinity_that_the_user_wrote_is_not_to_blame() -> None:
    def masked(model: Line, x: Any) -> Any:
        s, z = ph.tensors("s z")
        s[b, t] = ph.where(x[b, t] > 0, x[b, t], -np.inf)
        z[b] = ph.log(model.w * ph.logsumexp[t](s[b, t]))
        return z[b]

    x = np.array([[1.0, -2.0], [-3.0, -4.0]])
    with pytest.raises(NotFiniteError, match=r"z\[b\] = log.*"):
        ph.fit(Line(), masked, Dataset(x=x), optimizer=ph.SGD(0.1), progress=False)


def test_data_that_are_not_finite() -> None:
    def total(model: Line, x: Any) -> Any:
        return ph.sum[t](model.w * x[b, t])

    x = np.ones((5, 2))
    x[3, 1] = np.nan
    message = r"the loss is nan at epoch 1, step 2\n  the data is not finite: x\[3, 1\] is nan"
    with pytest.raises(NotFiniteError, match=message):
        ph.fit(
            Line(), total, Dataset(x=x), optimizer=ph.SGD(0.1), batch_size=2, shuffle=False,
            progress=False,
        )  # fmt: skip


def test_a_parameter_that_was_not_finite_at_the_start() -> None:
    model = Line(w=np.nan)
    with pytest.raises(NotFiniteError, match="a parameter was not finite at the start"):
        ph.fit(model, lambda model, x: model.w * x[b], line(), optimizer=ph.SGD(0.1))
    assert_array_equal(model.w.value, np.nan)


# The result, and steps that are left out ----------------------------------------------------------


def poisoned(examples: int = 100, bad: tuple[int, ...] = (17, 18, 60)) -> Dataset:
    """A line, and some examples of which the loss below is infinite."""
    data = {name: np.array(line(examples)[name]) for name in ("x", "t")}
    data["x"][list(bad)] = 1e3
    return Dataset(**data)


def far(model: Line, x: Any, t: Any) -> Any:
    """Squares, and infinity for a large x."""
    out = model(x)
    return (out[b] - t[b]) ** 2 + 0 * ph.exp(ph.abs(x[b]))


SKIPPING: dict[str, Any] = {
    "optimizer": ph.Adam(0.05), "epochs": 3, "batch_size": 4, "shuffle": False,
    "progress": False, "nonfinite": "skip",
}  # fmt: skip


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_steps_that_are_not_finite_are_left_out(backend: str) -> None:
    """Examples 17 and 18 are in minibatch 4, 60 in 15: of every epoch."""
    model = Line()
    history = ph.fit(model, far, poisoned(), backend=backend, **SKIPPING)
    assert history.skipped == [25 * epoch + at for epoch in range(3) for at in (4, 15)]
    assert len(history.losses) == 75
    assert [n for n, loss in enumerate(history.losses) if not np.isfinite(loss)] == history.skipped
    assert all(np.isfinite(e.loss) for e in history.epochs)
    assert [e.examples for e in history.epochs] == [92] * 3
    assert np.isfinite(model.w.value) and model.w.value != 0.5


def test_a_step_left_out_changes_nothing() -> None:
    """By hand: the epoch without the two minibatches, by gradient descent."""
    model, data = Line(), poisoned()
    ph.fit(model, far, data, **{**SKIPPING, "optimizer": ph.SGD(0.1), "epochs": 1})
    w, c = 0.5, 0.0
    for n, start in enumerate(range(0, 100, 4)):
        if n not in (4, 15):
            x, t = data.batch(np.arange(start, start + 4)).values()
            error = w * x + c - t
            w, c = w - 0.1 * np.mean(2 * error * x), c - 0.1 * np.mean(2 * error)
    assert_allclose([model.w.value, model.c.value], [w, c], rtol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_an_update_that_is_not_finite_is_left_out(backend: str) -> None:
    """sqrt has a finite value at 0, but no finite derivative."""

    def roots(model: Line, x: Any) -> Any:
        return ph.sqrt(ph.abs(model.w * x[b])) + ph.square(model.c)

    x = np.ones(20)
    x[5] = 0
    model = Line()
    history = ph.fit(
        model, roots, Dataset(x=x), optimizer=ph.SGD(0.01), batch_size=2, shuffle=False,
        progress=False, nonfinite="skip", backend=backend,
    )  # fmt: skip
    assert history.skipped == [2]
    assert np.isfinite(history.losses).all()
    assert np.isfinite(model.w.value)


def test_nothing_but_steps_to_leave_out() -> None:
    """All examples are bad: after a hundred steps it is said that nothing is learned."""
    data = poisoned(4 * 101, tuple(range(404)))
    with pytest.raises(NotFiniteError, match=r"(?s)the loss is nan at epoch 1, step 101\n.*exp"):
        ph.fit(Line(), far, data, **SKIPPING)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_the_last_update_is_looked_at_too(backend: str) -> None:
    def roots(model: Line, x: Any) -> Any:
        return ph.sqrt(ph.abs(model.w * x[b]))

    x = np.ones(6)
    x[5] = 0
    model = Line()
    message = r"(?s)the update of step 3, the last, was not finite\n.*the examples 4, 5$"
    with pytest.raises(NotFiniteError, match=message):
        ph.fit(
            model, roots, Dataset(x=x), optimizer=ph.SGD(0.01), batch_size=2, shuffle=False,
            progress=False, backend=backend,
        )  # fmt: skip
    assert np.isfinite(model.w.value)


def test_an_infinity_that_was_there_is_no_reason_to_stop() -> None:
    class Masked(Line):
        def __init__(self) -> None:
            super().__init__()
            self.mask = ph.state((), init=lambda *_: -np.inf, dtype="f64")
            self.seen = ph.state((), init=0, dtype="f64")

    def masked(model: Masked, x: Any, t: Any) -> Any:
        model.seen[()] += 1
        return squares(model, x, t) + ph.exp(model.mask)

    for nonfinite in ("stop", "skip"):
        model = Masked()
        history = ph.fit(
            model, masked, line(), optimizer=ph.SGD(0.1), progress=False, nonfinite=nonfinite
        )
        assert history.skipped == []
        assert model.mask.value == -np.inf
