"""AdaGrad and AdaDelta: each element's step is divided by the size of its gradients.

AdaGrad:   s += g²;  Φ -= rate / (1 + decay t) * g / (sqrt(s) + ε)                   t = 0, 1, ...
AdaDelta:  s = ρ s + (1 - ρ) g²;  d = sqrt(u + ε) / sqrt(s + ε) * g
           u = ρ u + (1 - ρ) d²;  Φ -= rate * d
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like, part_of
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, now_of, rate_at, rate_of, scalar


@dataclass(frozen=True, repr=False)
class AdaGrad:
    """AdaGrad (Duchi et al., 2011). rate_decay: the rate is divided by 1 + rate_decay * step.
    initial: what the sums of squares begin with. Raises UsageError for numbers outside their
    ranges.
    """

    rate: Rate = 1e-2
    rate_decay: float = 0.0
    weight_decay: float = 0.0
    initial: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, rate_decay=not_negative, weight_decay=not_negative,
            initial=not_negative, eps=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The sum of the squared gradients."""
        return like(parameter, "s", init=self.initial)

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        s, g = states["s"], decayed(parameter, self.weight_decay)
        rate = rate_of(self.rate, parameter, step)
        if self.rate_decay:
            full, slower = rate_at(self.rate, step), 1 + self.rate_decay * now_of(step)
            rate = scalar("step_size", (self, step), parameter, lambda: full / slower)
        s[...] += g**2  # type: ignore[misc]
        parameter[...] += -rate * g / (sqrt(s[...]) + self.eps)  # type: ignore[misc]


@dataclass(frozen=True, repr=False)
class AdaDelta:
    """AdaDelta (Zeiler, 2012, algorithm 1). rho: how slowly both means move. Raises UsageError for
    numbers outside their ranges.
    """

    rate: Rate = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(self, rate=rate, rho=fraction, eps=not_negative, weight_decay=not_negative)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving means of the squared gradient and of the squared step."""
        return like(parameter, "s", "u")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        s, u, d = states["s"], states["u"], part_of(parameter, "d")
        g = decayed(parameter, self.weight_decay)
        s[...] = self.rho * s[...] + rest(self.rho) * g**2
        d[...] = sqrt(u[...] + self.eps) / sqrt(s[...] + self.eps) * g
        u[...] = self.rho * u[...] + rest(self.rho) * d[...] ** 2
        parameter[...] += -rate_of(self.rate, parameter, step) * d[...]  # type: ignore[misc]
