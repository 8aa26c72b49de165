"""How often classes are right: all from counts, so exact over the whole set.

C[truth, predicted]                     precision_k = C[k, k] / Σ_j C[j, k]
accuracy = Σ_k C[k, k] / Σ C            recall_k    = C[k, k] / Σ_j C[k, j]
f1 = 2 C[k, k] / (row_k + column_k)     iou_k       = C[k, k] / (row_k + column_k - C[k, k])
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.language.functions import cast, equal, isnan
from phistar.language.reductions import sum
from phistar.language.tensors import Tensor
from phistar.metrics.metric import Array, Metric, Statistics, count, measured, ratio
from phistar.metrics.reading import Read, Reading, y

AVERAGES = (None, "binary", "macro", "micro", "none")


@dataclass(frozen=True)
class OfClasses(Metric):
    """A metric that reads classes off predictions."""

    how: Reading = field(default_factory=Reading)

    def read(self, P: Tensor, label: Tensor) -> Read:
        return Read(self.how, P, label, self.name)


class Accuracy(OfClasses):
    """How often the predicted class is the right one."""

    name = "accuracy"

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        read = self.read(prediction, target)
        n, k = read.n, read.predicted()
        right = equal(k[n], read.label[n]) & read.counts
        return {"right": count(right, n, "right"), "labels": count(read.counts, n, "labels")}

    def finish(self, statistics: Statistics) -> float:
        return ratio(statistics["right"], statistics["labels"])


@dataclass(frozen=True)
class TopK(OfClasses):
    """How often the right class is among the k most probable; of equal ones the first wins."""

    k: int = 5

    @property
    def name(self) -> str:
        return f"top_{self.k}"

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        read = self.read(prediction, target)
        if not read.has_classes:
            raise UsageError(f"{self.name} wants a score for each class, P[b, y]")
        n, label = read.n, read.label[read.n]
        here, own = read.score(y), read.score(label)
        before = (here > own) | (equal(here, own) & (y < label)) | isnan(own)
        right = (sum[y](cast(before, "i64")) < self.k) & read.counts
        return {"right": count(right, n, "right"), "labels": count(read.counts, n, "labels")}

    def finish(self, statistics: Statistics) -> float:
        return ratio(statistics["right"], statistics["labels"])


class ConfusionMatrix(OfClasses):
    """C[truth, predicted]."""

    name = "confusion_matrix"
    is_number = False

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        return {"confusion": self.read(prediction, target).confusion()}

    def finish(self, statistics: Statistics) -> Any:
        return statistics["confusion"]


class IoU(ConfusionMatrix):
    """Intersection over union, the mean over the classes that occur."""

    name = "iou"
    is_number = True

    def finish(self, statistics: Statistics) -> float:
        C = statistics["confusion"]
        both = np.diagonal(C)
        union = C.sum(0) + C.sum(1) - both
        return mean_of(both, union, union > 0)


@dataclass(frozen=True)
class OfPositives(OfClasses):
    """Right ones over some others, for one class, for each, or for all together."""

    average: str | None = None
    positive: int = 1

    word = ""

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise UsageError(
                f'average of {self.word} is "binary", "macro", "micro" or "none", '
                f"not {self.average!r}"
            )

    @property
    def name(self) -> str:
        return f"{self.average}_{self.word}" if self.average in ("macro", "micro") else self.word

    @property
    def is_number(self) -> bool:  # type: ignore[override]
        return self.average != "none"

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        read = self.read(prediction, target)
        if self.average == "binary" and read.classes != 2:
            raise UsageError(
                f'{self.word} with average="binary" wants two classes, not {read.classes}: '
                'take "macro", "micro" or "none"'
            )
        return {"confusion": read.confusion()}

    def finish(self, statistics: Statistics) -> Any:
        C = statistics["confusion"]
        right, row, column = np.diagonal(C), C.sum(1), C.sum(0)
        above, below = self.parts(right, row, column)
        if self.average == "micro":
            return ratio(above.sum(), below.sum())
        if self.average == "none":
            return above / np.maximum(below, 1)
        if self.average == "macro" or len(C) != 2:
            return mean_of(above, below, row + column > 0)
        return float(above[self.positive] / max(below[self.positive], 1))

    def parts(self, right: Array, row: Array, column: Array) -> tuple[Array, Array]:
        """Above and below the line, for each class."""
        raise NotImplementedError


class Precision(OfPositives):
    """How many of those called k are k."""

    word = "precision"

    def parts(self, right: Array, row: Array, column: Array) -> tuple[Array, Array]:
        return right, column


class Recall(OfPositives):
    """How many of the k are called k."""

    word = "recall"

    def parts(self, right: Array, row: Array, column: Array) -> tuple[Array, Array]:
        return right, row


class F1(OfPositives):
    """The harmonic mean of precision and recall."""

    word = "f1"

    def parts(self, right: Array, row: Array, column: Array) -> tuple[Array, Array]:
        return 2 * right, row + column


def mean_of(above: Array, below: Array, occurs: Array) -> float:
    """The mean of above / below over the classes that occur; 0 / 0 counts 0."""
    if not occurs.any():
        return float("nan")
    return float((above[occurs] / np.maximum(below[occurs], 1)).mean())


# What users call ----------------------------------------------------------------------------------


def accuracy(
    prediction: Any = None, label: Any = None, *, target: str | None = None, **reading: Any
) -> Any:
    """How often the predicted class is the right one, over all labels of the set.

    prediction: P[b, ..., y], scores or probabilities, of which the largest counts; or p[b, ...] of
    the labels' shape, which says 1 above the threshold; or classes. label: [b, ...], whole numbers.
    Without arrays, a metric for `ph.evaluate` and `ph.fit`, whose column is `target` (`label`).

    reading: axis=-1 of the classes, threshold=0.5, classes= (how many, where predictions are
    classes), ignore_index=, a label that does not count. NaN if none counts.
    """
    return measured(Accuracy(target, Reading(**reading)), prediction, label)


def top_k(
    k: int = 5,
    prediction: Any = None,
    label: Any = None,
    *,
    target: str | None = None,
    **reading: Any,
) -> Any:
    """How often the right class is among the k with the largest scores: named `top_5`.

    Of equal scores the first class is the more probable, as in argmax. Else as `accuracy`.
    UsageError unless k is a whole number from 1 on.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise UsageError(f"top_k wants a whole number of classes from 1 on, not {k!r}")
    return measured(TopK(target, Reading(**reading), k), prediction, label)


def confusion_matrix(
    prediction: Any = None, label: Any = None, *, target: str | None = None, **reading: Any
) -> Any:
    """C[truth, predicted]: how often, an array of whole numbers. Arguments as for `accuracy`."""
    made = ConfusionMatrix(target, counted(reading, prediction, label))
    return measured(made, prediction, label)


def iou(
    prediction: Any = None, label: Any = None, *, target: str | None = None, **reading: Any
) -> Any:
    """Intersection over union (Jaccard): the mean over the classes that occur in labels or
    predictions of the whole set. Arguments as for `accuracy`.
    """
    return measured(IoU(target, counted(reading, prediction, label)), prediction, label)


def precision(
    prediction: Any = None,
    label: Any = None,
    *,
    average: str | None = None,
    positive: int = 1,
    target: str | None = None,
    **reading: Any,
) -> Any:
    """How many of those called k are k; 0 if none is called so.

    average: "binary", for the class `positive` of two; "macro", the mean over the classes that
    occur; "micro", over all together; "none", an array with one for each class. None is "binary"
    for two classes and "macro" for more. Other arguments as for `accuracy`.
    """
    how = counted(reading, prediction, label)
    return measured(Precision(target, how, average, positive), prediction, label)


def recall(
    prediction: Any = None,
    label: Any = None,
    *,
    average: str | None = None,
    positive: int = 1,
    target: str | None = None,
    **reading: Any,
) -> Any:
    """How many of the k are called k; 0 if there are none. Arguments as for `precision`."""
    how = counted(reading, prediction, label)
    return measured(Recall(target, how, average, positive), prediction, label)


def f1(
    prediction: Any = None,
    label: Any = None,
    *,
    average: str | None = None,
    positive: int = 1,
    target: str | None = None,
    **reading: Any,
) -> Any:
    """The harmonic mean of precision and recall, 2 C[k, k] / (row + column). Arguments as for
    `precision`.
    """
    how = counted(reading, prediction, label)
    return measured(F1(target, how, average, positive), prediction, label)


def counted(reading: dict[str, Any], prediction: Any, label: Any) -> Reading:
    """How to read; of arrays that hold classes, how many there are is the largest and one."""
    how = Reading(**reading)
    if prediction is None or label is None or how.classes is not None:
        return how
    p, k = np.asarray(prediction), np.asarray(label)
    if p.shape != k.shape or p.dtype.kind not in "iu" or not p.size:
        return how
    k = k if how.ignore_index is None else np.where(k == how.ignore_index, 0, k)
    return Reading(how.axis, how.threshold, int(max(p.max(), k.max())) + 1, how.ignore_index)
