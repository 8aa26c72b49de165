"""A loss that is not finite is refused, with the statement that made it."""

from typing import Any

import numpy as np
import pytest
from blobs import Line, line
from numpy.testing import assert_array_equal

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
        r"  is the first statement whose result is not finite: h\[2\] is nan"
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
