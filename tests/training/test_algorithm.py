"""`ph.compile`: the whole algorithm, as one program for a step and as source for a reader."""

from typing import Any

import numpy as np
import pytest
from blobs import Line, Net, blobs, line, loss, squares
from numpy.testing import assert_allclose

import phistar as ph
from goldens import assert_golden
from phistar.data.dataset import BatchSpec, Dataset
from phistar.errors import DataError, ExpressionError, ModelError, UsageError
from phistar.ir.program import Kind
from phistar.optim import Optimizer

b, t = ph.indices("b t")


def compiled(model: ph.Model, f: Any, data: Dataset, size: int, **settings: Any) -> Any:
    return ph.compile(f, model, optimizer=ph.SGD(0.1), batch=data.spec(size), **settings)


def test_the_algorithm_as_source() -> None:
    assert_golden("algorithm.txt", str(compiled(Net(), loss, blobs(90), 16, epochs=10)))


def test_every_part_has_its_heading() -> None:
    text = str(compiled(Net(), loss, blobs(90), 16, epochs=10))
    parts = ["for epoch", "order = shuffle", "for n <", "# minibatch", "# forward", "# backward"]
    places = [text.index(part) for part in [*parts, "# update"]]
    assert places == sorted(places)
    assert "the last minibatch has 10 examples: the same statements run with that size" in text


def test_variants_of_the_loops() -> None:
    text = str(compiled(Line(), squares, line(10), 4, shuffle=False, drop_last=True))
    assert "for epoch = 0, 1, 2, ...:" in text
    assert "shuffle" not in text
    assert "row[b] = 4*n + b" in text
    assert "for n < 2:" in text
    assert "the last minibatch has 2 examples: it is left out" in text
    spec = line(10).spec(5)
    unknown = ph.compile(
        squares, Line(), optimizer=ph.SGD(0.1), batch=BatchSpec(spec.columns, spec.size)
    )
    assert "for n < examples / 5:" in str(unknown)


def test_one_step_is_one_program() -> None:
    algorithm = compiled(Line(), squares, line(10), 5)
    step = algorithm.step
    assert [t.name for t in step.inputs if t.kind is Kind.PARAMETER] == ["w", "c"]
    assert [t.name for t in step.outputs] == ["loss"]
    columns = line(10).batch(np.arange(5))
    x, t = columns.values()
    results = algorithm.compiled({**columns, "w": np.array(0.5), "c": np.array(0.0)})
    assert_allclose(results["loss"], np.mean((0.5 * x - t) ** 2), rtol=1e-12)
    assert_allclose(results["w"], 0.5 - 0.1 * np.mean(2 * (0.5 * x - t) * x), rtol=1e-12)


def test_columns_the_loss_does_not_ask_for_are_left_out() -> None:
    data = Dataset(**line(10).batch(np.arange(10)), other=np.zeros((10, 7)))
    assert set(compiled(Line(), squares, data, 5).parts.columns) == {"x", "t"}


def test_a_loss_may_have_defaults_and_take_every_column() -> None:
    def scaled(model: Line, x: Any, scale: float = 2.0) -> Any:
        return scale * model(x)[b]

    def everything(model: Line, **columns: Any) -> Any:
        return squares(model, columns["x"], columns["t"])

    assert compiled(Line(), scaled, line(4), 2).parts.columns.keys() == {"x"}
    assert compiled(Line(), everything, line(4), 2).parts.columns.keys() == {"x", "t"}


def test_a_column_may_be_called_like_a_parameter() -> None:
    def loss(model: Line, w: Any) -> Any:
        return (model.w * w[b] - 1) ** 2

    model = Line()
    ph.fit(model, loss, Dataset(w=np.full(4, 2.0)), optimizer=ph.SGD(0.1), progress=False)
    assert_allclose(model.w.value, 0.5)  # 0.5 * 2 - 1 is 0 already


def test_shapes_may_come_from_the_equations() -> None:
    class Open(ph.Model):
        def __init__(self) -> None:
            self.w = ph.param(dtype="f64")

        def __call__(self, x: Any) -> Any:
            out = ph.tensors("out")
            out[b] = self.w[t] * x[b, t]
            return out

    model = Open()
    data = Dataset(x=np.ones((4, 3)), t=np.ones(4))
    ph.fit(model, squares, data, optimizer=ph.SGD(0.01), progress=False)  # type: ignore[arg-type]
    assert model.w.value.shape == (3,)


def test_mistakes() -> None:
    spec = line().spec(2)
    sgd: Optimizer = ph.SGD(0.1)
    with pytest.raises(ModelError, match=r"an object of a subclass of ph\.Model, not <class"):
        ph.compile(squares, Line, optimizer=sgd, batch=spec)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="optimizer= wants an optimizer, such as"):
        ph.compile(squares, Line(), optimizer="sgd", batch=spec)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"the form of a minibatch, data\.spec\(128\), not 128"):
        ph.compile(squares, Line(), optimizer=sgd, batch=128)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="asks for the column 'label', but the data has x, t"):
        ph.compile(loss, Line(), optimizer=sgd, batch=spec)


def test_losses_without_a_gradient() -> None:
    def constant(model: Line, x: Any) -> Any:
        return x[b]

    def whole(model: Line, x: Any) -> Any:
        return ph.argmax[b](model.w * x[b])

    for f, error, match in (
        (constant, ModelError, "constant uses no trainable parameter of its model"),
        (whole, ExpressionError, "whole returns i64: nothing to differentiate"),
    ):
        with pytest.raises(error, match=match):
            compiled(Line(), f, line(), 2)
