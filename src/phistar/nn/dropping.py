"""Dropout within layers: y[...] = x[...] / (1 - p) with probability 1 - p, else 0; in training."""

from typing import Any

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor


class Dropout(ph.Model):
    """Each element is 0 with probability p, the others grow by 1 / (1 - p) (Srivastava et al.).

    Only in training. Raises UsageError if p is no probability below 1.
    """

    def __init__(self, p: float) -> None:
        if isinstance(p, bool) or not isinstance(p, int | float) or not 0 <= p < 1:
            raise UsageError(f"dropout is a probability from 0 to below 1, not {p!r}")
        self.p = float(p)

    def __call__(self, x: Any) -> Any:
        if self.p == 0 or not self.training:
            return x
        at, y = tuple(Index(f"i{n}") for n in range(len(x.shape))), Tensor("y")
        y[at] = ph.where(ph.uniform[at] < self.p, 0.0, x[at] / (1 - self.p))
        return y
