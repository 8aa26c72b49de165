"""RMSProp: the gradient divided by a moving root of its mean square.

s = α s + (1 - α) g²;  Φ -= rate * g / (sqrt(s) + ε)
centered:  c = α c + (1 - α) g;  sqrt(s - c²) instead of sqrt(s)
momentum:  m = μ m + g / (sqrt(s) + ε);  Φ -= rate * m
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.language.functions import sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class RMSProp:
    """RMSProp (Tieleman and Hinton, 2012); centered: by the variance instead of the mean square
    (Graves, 2013). Raises UsageError for numbers outside their ranges.
    """

    rate: Rate = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, alpha=fraction, eps=not_negative, weight_decay=not_negative,
            momentum=fraction,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The mean square; the mean if centered; the moving sum of steps if there is momentum."""
        mean = ["mean"] if self.centered else []
        return like(parameter, "s", *mean, *(["momentum"] if self.momentum else []))

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        s, g = states["s"], decayed(parameter, self.weight_decay)
        s[...] = self.alpha * s[...] + rest(self.alpha) * g**2
        variance: Any = s[...]
        if self.centered:
            c = states["mean"]
            c[...] = self.alpha * c[...] + rest(self.alpha) * g
            variance = s[...] - c[...] ** 2
        d: Any = g / (sqrt(variance) + self.eps)
        if self.momentum:
            m = states["momentum"]
            m[...] = self.momentum * m[...] + d
            d = m[...]
        parameter[...] += -rate_of(self.rate, parameter, step) * d  # type: ignore[misc]
