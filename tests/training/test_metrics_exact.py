"""Metrics are exact over the whole set: the formula on all examples, whatever the minibatch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blobs import Line, Net, blobs, line, loss, squares
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import metrics
from phistar.data.dataset import Dataset
from phistar.errors import DataError, DTypeError, IndexRangeError, ShapeError, UsageError

b, t, y = ph.indices("b t y")
rng = np.random.default_rng(2)
EXAMPLES, K = 40, 4
SCORES = rng.normal(size=(EXAMPLES, K)).round(1)  # with ties
LABEL = np.where(rng.random(EXAMPLES) < 0.4, SCORES.argmax(1), rng.integers(0, K, EXAMPLES))
NUMBERS = 1e6 + rng.normal(size=(EXAMPLES, 3))
NEAR = NUMBERS + 0.5 * rng.normal(size=(EXAMPLES, 3))
ODDS, TRUTH = rng.random(EXAMPLES).round(1), rng.integers(0, 2, EXAMPLES)


class Given(ph.Model):
    """The predictions are a column of the data."""

    def __call__(self, given: Any) -> Any:
        return given


# The formulas, in NumPy ---------------------------------------------------------------------------


def confusion(k: np.ndarray, label: np.ndarray, classes: int = K) -> np.ndarray:
    C = np.zeros((classes, classes), int)
    np.add.at(C, (label, k), 1)
    return C


def f1s(k: np.ndarray, label: np.ndarray) -> list[float]:
    found = []
    for c in range(K):
        p, r = (k == c)[label == c].sum(), (label == c).sum()
        precision, recall = p / max((k == c).sum(), 1), p / max(r, 1)
        found.append(2 * precision * recall / max(precision + recall, 1e-300))
    return found


def pairs(score: np.ndarray, positive: np.ndarray) -> float:
    won = np.sign(score[positive][:, None] - score[~positive][None, :])
    return float((won / 2 + 0.5).mean())


def r2(p: np.ndarray, v: np.ndarray) -> float:
    v = v.astype(np.longdouble)
    return float(np.mean(1 - ((v - p) ** 2).sum(0) / ((v - v.mean(0)) ** 2).sum(0)))


def nll(scores: np.ndarray, label: np.ndarray) -> float:
    lnZ = np.log(np.exp(scores).sum(1))
    return float((lnZ - scores[np.arange(len(label)), label]).mean())


PREDICTED = SCORES.argmax(1)
C = confusion(PREDICTED, LABEL)
LOOP = np.array([sum(s[c] > s[k] or (s[c] == s[k] and c < k) for c in range(K))
                 for s, k in zip(SCORES, LABEL, strict=True)])  # fmt: skip
SOFTMAX = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)

Row = tuple[Any, np.ndarray, np.ndarray, Any]
ROWS: list[Row] = [
    (metrics.accuracy(), SCORES, LABEL, np.mean(PREDICTED == LABEL)),
    (metrics.accuracy(ignore_index=2), SCORES, LABEL, np.mean((PREDICTED == LABEL)[LABEL != 2])),
    (metrics.accuracy(), ODDS, TRUTH, np.mean((ODDS > 0.5) == TRUTH)),
    (metrics.accuracy(threshold=0.2), ODDS, TRUTH, np.mean((ODDS > 0.2) == TRUTH)),
    (metrics.accuracy(), PREDICTED, LABEL, np.mean(PREDICTED == LABEL)),
    (metrics.accuracy(), ODDS > 0.5, TRUTH > 0, np.mean((ODDS > 0.5) == TRUTH)),
    (metrics.accuracy(), ODDS, TRUTH * 1.0, np.mean((ODDS > 0.5) == TRUTH)),
    (metrics.top_k(1), SCORES, LABEL, np.mean(PREDICTED == LABEL)),
    (metrics.top_k(2), SCORES, LABEL, np.mean(LOOP < 2)),
    (metrics.top_k(3, ignore_index=0), SCORES, LABEL, np.mean((LOOP < 3)[LABEL != 0])),
    (metrics.confusion_matrix(), SCORES, LABEL, C),
    (metrics.confusion_matrix(classes=K), PREDICTED, LABEL, C),
    (metrics.iou(), SCORES, LABEL, np.mean(np.diag(C) / (C.sum(0) + C.sum(1) - np.diag(C)))),
    (metrics.precision(), SCORES, LABEL, np.mean(np.diag(C) / C.sum(0))),
    (metrics.recall(), SCORES, LABEL, np.mean(np.diag(C) / C.sum(1))),
    (metrics.f1(), SCORES, LABEL, np.mean(f1s(PREDICTED, LABEL))),
    (metrics.f1(average="micro"), SCORES, LABEL, np.mean(PREDICTED == LABEL)),
    (metrics.f1(average="none"), SCORES, LABEL, f1s(PREDICTED, LABEL)),
    (metrics.precision(), ODDS, TRUTH, TRUTH[ODDS > 0.5].mean()),
    (metrics.recall(positive=0), ODDS, TRUTH, (ODDS <= 0.5)[TRUTH == 0].mean()),
    (metrics.recall(average="macro"), ODDS, TRUTH,
     np.mean([(ODDS > 0.5)[TRUTH == 1].mean(), (ODDS <= 0.5)[TRUTH == 0].mean()])),
    (metrics.mae(), NEAR, NUMBERS, np.abs(NEAR - NUMBERS).mean()),
    (metrics.mse(), NEAR, NUMBERS, ((NEAR - NUMBERS) ** 2).mean()),
    (metrics.rmse(), NEAR[:, 0], NUMBERS[:, 0], math.sqrt(((NEAR - NUMBERS)[:, 0] ** 2).mean())),
    (metrics.r2(), NEAR, NUMBERS, r2(NEAR, NUMBERS)),
    (metrics.r2(), NEAR[:, 0], NUMBERS[:, 0], r2(NEAR[:, 0], NUMBERS[:, 0])),
    (metrics.auc(), ODDS, TRUTH, pairs(ODDS, TRUTH > 0)),
    (metrics.auc(), SCORES[:, :2], TRUTH, pairs(SCORES[:, 1] - SCORES[:, 0], TRUTH > 0)),
    (metrics.auc(), SOFTMAX, LABEL, np.mean([pairs(SOFTMAX[:, k], k == LABEL) for k in range(K)])),
    (metrics.perplexity(), SCORES, LABEL, math.exp(nll(SCORES, LABEL))),
    (metrics.perplexity(), SOFTMAX, LABEL, math.exp(nll(SCORES, LABEL))),
    (metrics.perplexity(), np.log(SOFTMAX), LABEL, math.exp(nll(SCORES, LABEL))),
    (metrics.perplexity(ignore_index=1), SCORES, LABEL,
     math.exp(nll(SCORES[LABEL != 1], LABEL[LABEL != 1]))),
]  # fmt: skip
IDS = [f"{n}-{row[0].name}" for n, row in enumerate(ROWS)]


def test_every_metric_has_its_row() -> None:
    functions = {name for name in metrics.__all__ if name.islower()}
    assert functions == set(metrics.METRICS)
    made = {type(metrics.METRICS[name]()) for name in functions}
    assert {type(row[0]) for row in ROWS} == made


@pytest.mark.parametrize("batch_size", [7, 1000])
@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_over_minibatches(row: Row, batch_size: int) -> None:
    metric, given, label, wanted = row
    if given.dtype.kind in "iu":
        metric = type(metric)(how=metrics.classes.Reading(classes=K))
    data = Dataset(given=given, label=label)
    results = ph.evaluate(Given(), None, data, [metric], batch_size=batch_size)
    assert list(results) == [metric.name]
    assert_allclose(results[metric.name], wanted, rtol=1e-9)


@pytest.mark.parametrize("row", [r for r in ROWS if r[1].dtype.kind == "f"])
def test_on_arrays(row: Row) -> None:
    metric, given, label, wanted = row
    assert_allclose(metric(given, label), wanted, rtol=1e-9)


@pytest.mark.parametrize("backend", ["reference", "c", pytest.param("xla", marks=pytest.mark.xla)])
def test_on_every_backend(backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    of_classes = [row for row in ROWS if row[1] is SCORES and row[0].name != "perplexity"]
    named = {row[0].name: row for row in of_classes}
    data = Dataset(given=SCORES, label=LABEL)
    chosen = [row[0] for row in named.values()]
    results = ph.evaluate(Given(), None, data, chosen, batch_size=15, backend=backend)
    for name, row in named.items():
        assert_allclose(results[name], row[3], rtol=1e-9)
    data = Dataset(given=NEAR, label=NUMBERS)
    results = ph.evaluate(Given(), None, data, ["r2", "mae"], batch_size=15, backend=backend)
    assert_allclose(results["r2"], r2(NEAR, NUMBERS), rtol=1e-9)


# Values that others publish -----------------------------------------------------------------------

KNOWN: list[tuple[Callable[..., Any], Any, Any, dict[str, Any], Any]] = [
    (metrics.auc, [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], {}, 0.75),
    (metrics.auc, [0.3, 0.3, 0.3], [0, 1, 1], {}, 0.5),
    (metrics.auc, [[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]], [0, 0, 1, 1], {}, 0.75),
    (metrics.auc, [0.1, 0.2], [1, 1], {}, math.nan),
    (metrics.auc, [0.1, math.nan], [0, 1], {}, math.nan),
    (metrics.f1, [0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], {"average": "macro"}, 0.8 / 3),
    (metrics.f1, [0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], {"average": "micro"}, 1 / 3),
    (metrics.f1, [0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], {"average": "none"}, [0.8, 0, 0]),
    (metrics.precision, [0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], {}, 2 / 9),
    (metrics.recall, [0, 2, 1, 0, 0, 1], [0, 1, 2, 0, 1, 2], {}, 1 / 3),
    (metrics.precision, [0.1, 0.2], [0, 1], {}, 0),
    (metrics.r2, [2.5, 0.0, 2, 8], [3, -0.5, 2, 7], {}, 0.9486081370449679),
    (metrics.r2, [[0, 2.0], [-1, 2], [8, -5]], [[0.5, 1], [-1, 1], [7, -6]], {},
     0.9368005266622779),
    (metrics.r2, [1.0, 1.0], [1.0, 1.0], {}, 1),
    (metrics.r2, [1.0, 2.0], [1.0, 1.0], {}, 0),
    (metrics.confusion_matrix, [0, 0, 2, 2, 0, 2], [2, 0, 2, 2, 0, 1], {},
     [[2, 0, 0], [0, 0, 1], [1, 0, 2]]),
    (metrics.iou, [0, 1, 0, 2], [0, 1, 2, 2], {}, (0.5 + 1 + 0.5) / 3),
    (metrics.iou, [0, 1, 0, 3], [0, 1, 3, 3], {}, (0.5 + 1 + 0.5) / 3),
    (metrics.perplexity, [[0.0, 0, 0, 0]], [2], {}, 4),
    (metrics.perplexity, [[1.0, 0.0]], [1], {}, math.inf),
    (metrics.perplexity, [[1e4, -1e4]], [0], {}, 1),
    (metrics.accuracy, [[0.1, 0.9]], [3], {"ignore_index": 3}, math.nan),
    (metrics.accuracy, [[[0.1, 0.9], [0.8, 0.2]]], [[0, 0]], {"axis": 1}, 0.5),
]  # fmt: skip
TOP = np.array([[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]])


@pytest.mark.parametrize("metric, given, label, options, wanted", KNOWN)
def test_known_values(
    metric: Any, given: Any, label: Any, options: dict[str, Any], wanted: Any
) -> None:
    assert_allclose(metric(given, label, **options), wanted, rtol=1e-12)


def test_top_k_of_arrays() -> None:
    assert metrics.top_k(2, TOP, [0, 1, 2, 2]) == 0.75
    assert metrics.top_k(1, [[np.nan, 0.1]], [0]) == 0


def test_whole_numbers_stay_whole() -> None:
    matrix = metrics.confusion_matrix(SCORES, LABEL)
    assert matrix.dtype == np.int64
    assert_array_equal(matrix, C)


def test_labels_in_sequences() -> None:
    given, label = rng.normal(size=(10, 5, 3)), rng.integers(0, 3, (10, 5))
    label[:, 3:] = -1
    data = Dataset(given=given, label=label)
    chosen = [metrics.accuracy(ignore_index=-1), metrics.perplexity(ignore_index=-1)]
    found = ph.evaluate(Given(), None, data, chosen, batch_size=3)
    given, label = given[:, :3], label[:, :3]
    wanted = math.exp(nll(given.reshape(-1, 3), label.ravel()))
    assert_allclose(found["perplexity"], wanted, rtol=1e-12)
    assert_allclose(found["accuracy"], np.mean(given.argmax(-1) == label), rtol=1e-12)


# In evaluate and fit ------------------------------------------------------------------------------


def test_several_beside_the_loss() -> None:
    chosen = ["accuracy", metrics.top_k(2), metrics.f1(), metrics.f1(average="micro"), metrics.auc]
    data, model = blobs(50), Net()
    results = ph.evaluate(model, loss, data, chosen, batch_size=13)
    assert list(results) == ["loss", "accuracy", "top_2", "f1", "micro_f1", "auc"]
    P, label = ph.predict(model, data), data.batch(np.arange(50))["label"]
    assert_allclose(results["f1"], metrics.f1(P, label))
    assert_allclose(results["auc"], metrics.auc(P, label))
    assert_allclose(results["micro_f1"], results["accuracy"])


def test_in_fit() -> None:
    history = ph.fit(
        Net(), loss, blobs(), optimizer=ph.SGD(0.5), epochs=20, batch_size=30, progress=False,
        validation=blobs(40, 1), metrics=["accuracy", "auc", metrics.perplexity()],
    )  # fmt: skip
    last = {name: values[-1] for name, values in history.metrics.items()}
    assert list(last) == [f"validation.{m}" for m in ("loss", "accuracy", "auc", "perplexity")]
    assert last["validation.auc"] > 0.99
    assert_allclose(last["validation.perplexity"], math.exp(last["validation.loss"]), rtol=1e-4)
    assert "validation.auc" in str(history)


def test_the_column_to_compare_with() -> None:
    data, model = line(20), Line()
    x, truth = data.batch(np.arange(20)).values()
    wanted = np.mean((0.5 * x - truth) ** 2)
    found = ph.evaluate(model, squares, data, ["mse", metrics.mae(target="t")], batch_size=6)
    assert_allclose(found["mse"], wanted, rtol=1e-12)
    assert_allclose(found["mse"], found["loss"], rtol=1e-12)
    assert_allclose(found["mae"], np.abs(0.5 * x - truth).mean(), rtol=1e-12)


def test_constants_of_a_loss() -> None:
    weight = ph.tensor(np.array([2.0, 1.0, 1.0], "f4"), name="weight")

    def weighted(model: Net, x: Any, label: Any) -> Any:
        return ph.losses.cross_entropy(model(x), label, weight=weight, reduction="sum")

    assert np.isfinite(ph.evaluate(Net(), weighted, blobs(20))["loss"])


# Refusals -----------------------------------------------------------------------------------------

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: metrics.f1(average="mean"), UsageError, 'average of f1 is "binary", "macro"'),
    (lambda: metrics.top_k(0), UsageError, "top_k wants a whole number of classes from 1 on"),
    (lambda: metrics.f1(SCORES), UsageError, "f1 compares two arrays"),
    (lambda: metrics.f1(SCORES, LABEL, average="binary"), UsageError, "wants two classes, not 4"),
    (lambda: metrics.accuracy(SCORES, LABEL[:3]), ShapeError, r"wants labels of shape \(40,\)"),
    (lambda: metrics.accuracy(SCORES, LABEL * 1.0), DTypeError, "labels that are whole numbers"),
    (lambda: metrics.accuracy(SCORES, LABEL, axis=2), UsageError, "there is no axis 2"),
    (lambda: metrics.top_k(2, ODDS, TRUTH), UsageError, "top_2 wants a score for each class"),
    (lambda: metrics.perplexity(ODDS, TRUTH), UsageError, "perplexity wants a score or a prob"),
    (lambda: metrics.auc(SCORES, LABEL[:3]), ShapeError, "auc wants scores of the labels' shape"),
    (lambda: metrics.mse(NEAR, NUMBERS[:, 0]), ShapeError, "mse wants predictions of the target"),
    (lambda: metrics.confusion_matrix(SCORES, LABEL + 3), IndexRangeError, "confusion"),
    (lambda: evaluate(metrics.confusion_matrix(), PREDICTED), UsageError, "say how many there"),
    (lambda: evaluate(metrics.accuracy(target="z"), SCORES), DataError, "with the column 'z', but"),
    (lambda: evaluate(3, SCORES), UsageError, "a metric is a name, a metric or a function, not 3"),
    (lambda: fit(metrics.confusion_matrix()), UsageError, "confusion_matrix gives an array"),
    (lambda: fit(metrics.f1(average="none")), UsageError, "f1 gives an array, not a number"),
]  # fmt: skip


def evaluate(metric: Any, given: np.ndarray) -> Any:
    return ph.evaluate(Given(), None, Dataset(given=given, label=LABEL), [metric])


def fit(metric: Any) -> Any:
    return ph.fit(Net(), loss, blobs(), optimizer=ph.SGD(0.1), validation=blobs(), metrics=[metric])


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
