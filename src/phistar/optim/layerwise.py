"""LARS and LAMB: the step of each parameter is in proportion to its norm, for large minibatches.

LARS:  local = η |Φ| / (|Φ.grad| + λ |Φ| + ε);  m = μ m + rate * local * (Φ.grad + λ Φ);  Φ -= m
LAMB:  u = m̂ / (sqrt(v̂) + ε) + λ Φ;  Φ -= rate * |Φ| / |u| * u              m̂, v̂ as in Adam
Where |Φ| or the norm below it is 0, the quotient counts as 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.language.functions import sqrt, where
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like, norm, part_of
from phistar.optim.settings import fraction, not_negative, positive, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, rate_of, scalar


@dataclass(frozen=True, repr=False)
class LARS:
    """LARS (You et al., 2017, algorithm 1). trust_coefficient: η. weight_decay: λ. Raises
    UsageError for numbers outside their ranges.
    """

    rate: Rate
    momentum: float = 0.9
    weight_decay: float = 0.0
    trust_coefficient: float = 1e-3
    eps: float = 1e-8

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, momentum=fraction, weight_decay=not_negative,
            trust_coefficient=positive, eps=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving sum of steps."""
        return like(parameter, "momentum")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, rate = states["momentum"], rate_of(self.rate, parameter, step)
        size, slope, local = (part_of(parameter, w) for w in ("norm", "slope", "local"))
        size[()] = norm(parameter)
        slope[()] = norm(parameter.grad, parameter)
        trust = self.trust_coefficient * size / (slope + self.weight_decay * size + self.eps)
        local[()] = rate * where((size > 0) & (slope > 0), trust, 1)
        m[...] = self.momentum * m[...] + local * decayed(parameter, self.weight_decay)
        parameter[...] += -m[...]  # type: ignore[misc]


@dataclass(frozen=True, repr=False)
class LAMB:
    """LAMB (You et al., 2020, algorithm 2). weight_decay: λ. Raises UsageError for numbers outside
    their ranges.
    """

    rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Adam's two moving means."""
        return like(parameter, "m", "v")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, v, g = states["m"], states["v"], parameter.grad
        t, key = number_of(step), (self, step)
        first = scalar("first", key, parameter, lambda: 1 / (1 - self.beta1**t))
        root = scalar("root", key, parameter, lambda: 1 / sqrt(1 - self.beta2**t))
        u, size, length, local = (part_of(parameter, w) for w in ("u", "norm", "length", "local"))
        m[...] = self.beta1 * m[...] + rest(self.beta1) * g[...]
        v[...] = self.beta2 * v[...] + rest(self.beta2) * g[...] ** 2
        direction: Any = first * m[...] / (sqrt(v[...]) * root + self.eps)
        if self.weight_decay:
            direction = direction + self.weight_decay * parameter[...]
        u[...] = direction
        size[()] = norm(parameter)
        length[()] = norm(u, parameter)
        trust = where((size > 0) & (length > 0), size / length, 1)
        local[()] = rate_of(self.rate, parameter, step) * trust
        parameter[...] += -local * u[...]  # type: ignore[misc]
