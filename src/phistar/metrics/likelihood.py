"""Perplexity: how many labels a model hesitates between, e to the mean of -ln P(label)."""

import math
from collections.abc import Mapping
from typing import Any

from phistar.errors import UsageError
from phistar.language.functions import abs, cast, log, where
from phistar.language.reductions import logsumexp, min, sum
from phistar.language.tensors import Tensor
from phistar.metrics.classes import OfClasses
from phistar.metrics.metric import Statistics, count, measured, ratio, total
from phistar.metrics.reading import Reading, y


class Perplexity(OfClasses):
    """e^(Σ -ln P(label) / n), in float64.

    Both readings are summed, of scores and of probabilities; if every row of what the model gives
    is a distribution, it was probabilities.
    """

    name = "perplexity"

    def statistics(self, prediction: Tensor, target: Tensor) -> Mapping[str, Tensor]:
        read = self.read(prediction, target)
        if not read.has_classes:
            raise UsageError("perplexity wants a score or a probability for each label, P[b, y]")
        n, label = read.n, read.label[read.n]
        s = cast(read.score(y), "f64")
        own = cast(read.score(label), "f64")
        strange = (min[y](s) < 0) | (abs(sum[y](s) - 1) > 1e-3)

        def only(e: Any) -> Any:
            return where(read.counts, e, 0)

        return {
            "scores": total(only(logsumexp[y](s) - own), n, "of_scores"),
            "probabilities": total(only(-log(own)), n, "of_probabilities"),
            "strange": count(strange & read.counts, n, "strange"),
            "labels": count(read.counts, n, "labels"),
        }

    def finish(self, statistics: Statistics) -> float:
        which = "scores" if statistics["strange"] else "probabilities"
        mean = ratio(statistics[which], statistics["labels"])
        return math.exp(mean) if mean < 709 else math.inf if mean == mean else math.nan


def perplexity(
    prediction: Any = None, label: Any = None, *, target: str | None = None, **reading: Any
) -> Any:
    """e to the mean of -ln P(label), over all labels of the set.

    prediction: [b, ..., y]: probabilities, if every row is a distribution; else scores or
    logarithms of probabilities. Without arrays, a metric for `ph.evaluate`. Other arguments:
    axis=-1 of the classes, ignore_index= a label that does not count, target= the labels' column.
    """
    return measured(Perplexity(target, Reading(**reading)), prediction, label)
