"""How classes are read off predictions: the most probable, the one above a threshold, or as given.

P[b, ..., y], label[b, ...]  ->  k[b, ...] = argmax_y P      p[b, ...], label[b, ...]  ->  p > 0.5
"""

from dataclasses import dataclass

from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.expression import Element, Expr, Index
from phistar.language.functions import cast, not_equal, where
from phistar.language.reductions import argmax
from phistar.language.tensors import Tensor
from phistar.metrics.metric import Indices, axes

y = Index("y")


@dataclass(frozen=True)
class Reading:
    """How predictions and labels are read.

    axis: of the classes, for predictions with one axis more than the labels. threshold: above it a
    prediction of the labels' shape says 1, below 0. classes: how many, where predictions are
    classes (whole numbers). ignore_index: a label that does not count.
    """

    axis: int = -1
    threshold: float = 0.5
    classes: int | None = None
    ignore_index: int | None = None


class Read:
    """Predictions and labels with their indices: what the equations of metrics are made of."""

    def __init__(self, how: Reading, P: Tensor, label: Tensor, name: str) -> None:
        self.how, self.P, self.given, self.name = how, P, label, name
        self.n: Indices = axes(len(label.shape))
        self.has_classes = len(P.shape) == len(label.shape) + 1
        self.axis = self.class_axis() if self.has_classes else 0
        shape = list(P.shape)
        if self.has_classes:
            del shape[self.axis]
        if tuple(shape) != label.shape:
            raise ShapeError(
                f"{name} wants labels of shape {tuple(shape)} for predictions of shape {P.shape}, "
                f"not {label.shape}"
            )
        if label.dtype.is_float and self.has_classes:
            raise DTypeError(f"{name} wants labels that are whole numbers, not {label.dtype.value}")
        self.label = Tensor("truth")
        self.label[self.n] = where(self.counts, cast(label[self.n], "i64"), 0)

    def class_axis(self) -> int:
        rank, axis = len(self.P.shape), self.how.axis
        if not -rank <= axis < rank:
            raise UsageError(f"{self.name}: predictions have {rank} axes, there is no axis {axis}")
        return axis % rank

    @property
    def classes(self) -> int:
        """How many classes there are."""
        if self.has_classes:
            return self.P.shape[self.axis]
        if self.P.dtype.is_float or self.P.dtype is DType.BOOL:
            return 2
        if self.how.classes is None:
            raise UsageError(
                f"{self.name}: predictions are classes; say how many there are, classes="
            )
        return self.how.classes

    @property
    def counts(self) -> Expr:
        """Whether a label counts."""
        label = cast(self.given[self.n], "i64")
        if self.how.ignore_index is None:
            return label >= label
        return not_equal(label, self.how.ignore_index)

    def score(self, k: Expr) -> Element:
        """The score of class k."""
        return self.P[(*self.n[: self.axis], k, *self.n[self.axis :])]

    def predicted(self) -> Tensor:
        """The class that is predicted: k[b, ...]."""
        k, n = Tensor("k"), self.n
        if self.has_classes:
            k[n] = argmax[y](self.score(y))
        elif self.P.dtype.is_float:
            k[n] = where(self.P[n] > self.how.threshold, cast(1, "i64"), 0)
        else:
            k[n] = cast(self.P[n], "i64")
        return k

    def confusion(self) -> Tensor:
        """C[truth, predicted]: how often."""
        size = self.classes
        C, k, n = Tensor("confusion", sizes=[size, size], dtype=DType.I64), self.predicted(), self.n
        once = where(self.counts, cast(1, "i64"), 0)
        C[self.label[n], k[n]] += once  # type: ignore[misc]
        return C
