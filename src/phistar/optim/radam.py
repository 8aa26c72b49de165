"""RAdam: Adam whose first steps, when the second moment is not yet known, are steps of momentum.

m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;  m̂ = m / (1 - β1^t)                  t = 1, 2, ...
ρ∞ = 2 / (1 - β2) - 1;  ρ = ρ∞ - 2 t β2^t / (1 - β2^t)
r = sqrt((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
Φ -= rate * m̂ * r sqrt(1 - β2^t) / (sqrt(v) + ε)   where ρ > 5,   else   Φ -= rate * m̂
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.language.functions import maximum, sqrt, where
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like, shrink
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, once, rate_at, scalar


@dataclass(frozen=True, repr=False)
class RAdam:
    """RAdam (Liu et al., 2020, algorithm 2). decoupled_weight_decay: the parameter shrinks, as in
    AdamW, instead of adding to the gradient. Raises UsageError for numbers outside their ranges.
    """

    rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Both moving means."""
        return like(parameter, "m", "v")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, v, rate = states["m"], states["v"], rate_at(self.rate, step)
        if self.decoupled_weight_decay:
            shrink(parameter, self.rate, self.weight_decay, step)
        g = decayed(parameter, 0 if self.decoupled_weight_decay else self.weight_decay)
        t, key = number_of(step), (self, step)
        step_size = scalar("step_size", key, parameter, lambda: rate / (1 - self.beta1**t))
        rho = once("rho", key, lambda: self.length - 2 * t * self.beta2**t / (1 - self.beta2**t))
        r = scalar("r", key, parameter, lambda: self.rectified(rho, t))
        m[...] = self.beta1 * m[...] + rest(self.beta1) * g
        v[...] = self.beta2 * v[...] + rest(self.beta2) * g**2
        d = where(rho > 5, r / (sqrt(v[...]) + self.eps), 1)
        parameter[...] += -step_size * m[...] * d  # type: ignore[misc]

    @property
    def length(self) -> float:
        """ρ∞, the length of a plain mean that is as uncertain as the moving one."""
        return 2 / rest(self.beta2) - 1

    def rectified(self, rho: Any, t: Any) -> Any:
        """r sqrt(1 - β2^t), where it is a number."""
        most = self.length
        share = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
        return sqrt(maximum(share, 0) * (1 - self.beta2**t))
