"""A loss may read constants, ph.tensor(...), that are neither columns nor the model's."""

from typing import Any

import numpy as np
import pytest
from blobs import Line, line
from numpy.testing import assert_allclose

import phistar as ph

b = ph.index("b")
factor = ph.tensor(np.array(3.0), name="factor")
weight = ph.tensor(np.linspace(1.0, 2.0, 5), name="weight")


def scaled(model: Line, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[b](factor * weight[b] * (out[b] - t[b]) ** 2)


def written(model: Line, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[b](3.0 * (1 + b / 4.0) * (out[b] - t[b]) ** 2)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_in_training(backend: str) -> None:
    ours, theirs = Line(), Line()
    some: dict[str, Any] = {"epochs": 3, "batch_size": 5, "progress": False, "backend": backend}
    with_constants = ph.fit(ours, scaled, line(10), optimizer=ph.SGD(0.01), **some)
    without = ph.fit(theirs, written, line(10), optimizer=ph.SGD(0.01), **some)
    assert_allclose(with_constants.losses, without.losses, rtol=1e-12)
    assert_allclose(ours.w.value, theirs.w.value, rtol=1e-12)
    assert_allclose(factor.value, 3)


def test_in_evaluation() -> None:
    found = [ph.evaluate(Line(), f, line(10), batch_size=5)["loss"] for f in (scaled, written)]
    assert_allclose(found[0], found[1], rtol=1e-12)


def test_in_the_listing() -> None:
    made = ph.compile(scaled, Line(), optimizer=ph.SGD(0.01), batch=line(10).spec(5))
    assert "factor * weight[b]" in str(made)
    assert "2 trained parameters" in str(made)
