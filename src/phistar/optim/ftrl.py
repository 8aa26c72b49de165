"""FTRL-Proximal: follow the regularized leader; l1 makes elements exactly zero.

d' = (β + sqrt(n + g²)) / rate;  z += g - (d' - d) Φ;  n += g²;  d = d'
Φ = -(z - sign(z) l1) / (d + l2)  where |z| > l1,  else 0
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import abs, equal, sign, sqrt, where
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import like, part_of
from phistar.optim.settings import not_negative, rate, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class Ftrl:
    """FTRL-Proximal (McMahan et al., 2013, algorithm 1), begun where the parameter begins (there:
    at 0). beta, l1, l2: as there. Raises UsageError for numbers outside their ranges.
    """

    rate: Rate
    beta: float = 1.0
    l1: float = 0.0
    l2: float = 0.0

    def __post_init__(self) -> None:
        settle(self, rate=rate, beta=not_negative, l1=not_negative, l2=not_negative)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """z, n and d, each one over the rate of an element."""
        return like(parameter, "z", "n", "d")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above; at the first step z is what gives Φ as it is."""
        z, n, d, g = states["z"], states["n"], states["d"], parameter.grad
        first, rate = equal(step, 0), rate_of(self.rate, parameter, step)
        new = part_of(parameter, "d.new")
        begin = -parameter[...] * (self.beta / rate + self.l2) - sign(parameter[...]) * self.l1
        before = where(first, self.beta / rate, d[...])
        new[...] = (self.beta + sqrt(n[...] + g[...] ** 2)) / rate
        z[...] = where(first, begin, z[...]) + g[...] - (new[...] - before) * parameter[...]
        n[...] += g[...] ** 2  # type: ignore[misc]
        d[...] = new[...]
        moved = -(z[...] - sign(z[...]) * self.l1) / (d[...] + self.l2)
        parameter[...] = where(abs(z[...]) > self.l1, moved, 0)
