"""SMORMS3: a gradient's mean and mean square, over a memory that is long where they agree.

r = 1 / (k + 1);  m = (1 - r) m + r g;  s = (1 - r) s + r g²;  x = m² / (s + ε);  k = 1 + k (1 - x)
Φ -= g * min(rate, x) / (sqrt(s) + ε)                                                 k = 1 at first
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import minimum, sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import like, part_of
from phistar.optim.settings import positive, rate, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class SMORMS3:
    """SMORMS3 (Funk, "RMSprop loses to SMORMS3", 2015). Raises UsageError for numbers outside
    their ranges.
    """

    rate: Rate = 1e-3
    eps: float = 1e-16

    def __post_init__(self) -> None:
        settle(self, rate=rate, eps=positive)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Both moving means, and the length of their memory."""
        return {**like(parameter, "m", "s"), **like(parameter, "memory", init=1)}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, s, k, g = states["m"], states["s"], states["memory"], parameter.grad
        r, x = part_of(parameter, "r"), part_of(parameter, "x")
        r[...] = 1 / (k[...] + 1)
        m[...] = (1 - r[...]) * m[...] + r[...] * g[...]
        s[...] = (1 - r[...]) * s[...] + r[...] * g[...] ** 2
        x[...] = m[...] ** 2 / (s[...] + self.eps)
        k[...] = 1 + k[...] * (1 - x[...])
        least = minimum(rate_of(self.rate, parameter, step), x[...])
        parameter[...] += -g[...] * least / (sqrt(s[...]) + self.eps)  # type: ignore[misc]
