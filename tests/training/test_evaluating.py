"""`ph.evaluate` and `ph.predict`: exact over the whole set, whatever the size of a minibatch."""

from typing import Any

import numpy as np
import pytest
from blobs import Line, Net, blobs, line, loss, squares
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar.data.dataset import Dataset
from phistar.errors import DataError, ExpressionError, ModelError, ShapeError, UsageError

b, t, y = ph.indices("b t y")


def columns(data: Dataset) -> dict[str, Any]:
    return data.batch(np.arange(len(data)))


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10, 1000])
def test_the_mean_is_over_examples_not_over_minibatches(batch_size: int) -> None:
    model, data = Line(), line(10)
    x, t = columns(data).values()
    results = ph.evaluate(model, squares, data, batch_size=batch_size)
    assert_allclose(results["loss"], np.mean((0.5 * x - t) ** 2), rtol=1e-12)


@pytest.mark.parametrize("batch_size", [4, 13, 100])
def test_accuracy_and_predictions_agree(batch_size: int) -> None:
    model, data = Net(), blobs(50)
    P = ph.predict(model, data, batch_size=batch_size)
    assert P.shape == (50, 3)
    assert_allclose(P.sum(1), 1, rtol=1e-6)
    results = ph.evaluate(model, loss, data, ["accuracy"], batch_size=batch_size)
    label = columns(data)["label"]
    assert_allclose(results["accuracy"], np.mean(P.argmax(1) == label), rtol=1e-6)
    assert_allclose(results["loss"], -np.mean(np.log(P[np.arange(50), label])), rtol=1e-5)


def test_a_metric_of_ones_own() -> None:
    def off_by_a_lot(model: Line, x: Any, t: Any) -> Any:
        out = model(x)
        return ph.cast(ph.abs(out[b] - t[b]) > 1, "f32")

    data = line(10)
    x, t = columns(data).values()
    results = ph.evaluate(Line(), None, data, [off_by_a_lot], batch_size=4)
    assert list(results) == ["off_by_a_lot"]
    assert_allclose(results["off_by_a_lot"], np.mean(np.abs(0.5 * x - t) > 1), rtol=1e-6)


def test_labels_for_every_time() -> None:
    class Table(ph.Model):
        def __init__(self) -> None:
            self.E = ph.param(4, 3)

        def __call__(self, word: Any) -> Any:
            P = ph.tensors("P")
            P[b, t, y] = self.E[word[b, t], y]
            return P

    rng = np.random.default_rng(0)
    word, label = rng.integers(0, 4, (7, 5)), rng.integers(0, 3, (7, 5))
    model = Table()
    results = ph.evaluate(model, None, Dataset(word=word, label=label), ["accuracy"], batch_size=3)
    assert_allclose(
        results["accuracy"], np.mean(model.E.value[word].argmax(-1) == label), rtol=1e-6
    )


def test_evaluation_changes_nothing() -> None:
    class Counting(Line):
        def __init__(self) -> None:
            super().__init__()
            self.steps = ph.state((), init=0, dtype="f64")

        def __call__(self, x: Any) -> Any:
            assert not self.training
            self.steps[()] += 1
            return super().__call__(x)

    model = Counting()
    ph.evaluate(model, squares, line(10), batch_size=5)
    ph.predict(model, line(10))
    assert model.steps.value == 0
    assert model.training


def test_predict_takes_the_column_it_needs() -> None:
    x = np.linspace(0, 1, 5)
    assert_array_equal(ph.predict(Line(), x), 0.5 * x)
    assert_array_equal(ph.predict(Line(), {"x": x}), 0.5 * x)


def test_predict_keeps_the_form_of_what_a_model_returns() -> None:
    class Two(Line):
        def __call__(self, x: Any) -> Any:
            return {"out": super().__call__(x), "pair": (2 * x[b], x[b] > 0)}

    x = np.linspace(-1, 1, 5)
    got = ph.predict(Two(), x, batch_size=2)
    assert_array_equal(got["out"], 0.5 * x)
    assert_array_equal(got["pair"][0], 2 * x)
    assert_array_equal(got["pair"][1], x > 0)


def total(model: Line, x: Any) -> Any:
    return ph.sum[b](model(x)[b])


class Summed(Line):
    def __call__(self, x: Any) -> Any:
        return total(Line(), x)


def keeps_two(model: Net, x: Any) -> Any:
    return model(x)[b, y]


def keeps_the_label(model: Net, x: Any) -> Any:
    return ph.sum[b](model(x)[b, y])


def test_mistakes() -> None:
    data = blobs(7)
    with pytest.raises(ModelError, match=r"a model is an object of a subclass of ph\.Model, not 3"):
        ph.predict(3, data)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there is nothing to evaluate: the data has no examples"):
        ph.evaluate(Net(), loss, data[:0])
    with pytest.raises(ExpressionError, match="must return a row for each example, but for 4"):
        ph.predict(Summed(), np.ones(4))
    with pytest.raises(DataError, match="asks for the column 'x', but the data has z"):
        ph.predict(Line(), {"z": np.ones(3)})
    with pytest.raises(ExpressionError, match=r"loss \(keeps_two\) keeps the indices b, y: only"):
        ph.evaluate(Net(), keeps_two, data)
    with pytest.raises(ExpressionError, match="the index y, which runs to 3; the batch has 7"):
        ph.evaluate(Net(), keeps_the_label, data)


def test_mistakes_with_metrics() -> None:
    data = blobs(7)
    with pytest.raises(UsageError, match=r"metrics= wants a list, such as .*, not .accuracy"):
        ph.evaluate(Net(), loss, data, "accuracy")
    with pytest.raises(UsageError, match="there is no metric 'acuracy': did you mean accuracy"):
        ph.evaluate(Net(), loss, data, ["acuracy"])
    with pytest.raises(UsageError, match="a metric needs a name: write it with def, not lambda"):
        ph.evaluate(Net(), loss, data, [lambda model, x: x[b, y]])
    with pytest.raises(UsageError, match="two metrics are named accuracy"):
        ph.evaluate(Net(), loss, data, ["accuracy", "accuracy"])
    with pytest.raises(DataError, match="accuracy compares with the column 'label', but the data"):
        ph.evaluate(Line(), None, line(), ["accuracy"])


def test_accuracy_wants_probabilities() -> None:
    class Pair(Line):
        def __call__(self, x: Any) -> Any:
            return (x, x)

    data = Dataset(x=np.ones(4), label=np.zeros(4, int))
    with pytest.raises(ExpressionError, match=r"a model that returns one tensor, P\[b, y\]"):
        ph.evaluate(Pair(), None, data, ["accuracy"])
    with pytest.raises(ExpressionError, match=r"returns P\[b, y\], not a number"):
        ph.evaluate(Summed(), None, data, ["accuracy"])
    with pytest.raises(ShapeError, match=r"wants labels of shape \(4,\) for predictions of shape"):
        ph.evaluate(Line(), None, Dataset(x=np.ones(4), label=np.zeros((4, 2), int)), ["accuracy"])
