"""AdaBelief: large steps where the gradient is as its mean foretold, small ones where it is not.

m = β1 m + (1 - β1) g;  s = β2 s + (1 - β2) (g - m)² + ε
Φ -= rate * (m / (1 - β1^t)) / (sqrt(s / (1 - β2^t)) + ε)                       t = 1, 2, ...
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, rate_at, scalar


@dataclass(frozen=True, repr=False)
class AdaBelief:
    """AdaBelief (Zhuang et al., 2020, algorithm 2; eps as in the authors' later versions).
    weight_decay: times the parameter is added to the gradient. Raises UsageError for numbers
    outside their ranges.
    """

    rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-16
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving means of the gradient and of how far from it the gradient was."""
        return like(parameter, "m", "s")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, s, g = states["m"], states["s"], decayed(parameter, self.weight_decay)
        t, key, rate = number_of(step), (self, step), rate_at(self.rate, step)
        step_size = scalar("step_size", key, parameter, lambda: rate / (1 - self.beta1**t))
        root = scalar("root", key, parameter, lambda: 1 / sqrt(1 - self.beta2**t))
        m[...] = self.beta1 * m[...] + rest(self.beta1) * g
        s[...] = self.beta2 * s[...] + rest(self.beta2) * (g - m[...]) ** 2 + self.eps
        parameter[...] += (  # type: ignore[misc]
            -step_size * m[...] / (sqrt(s[...]) * root + self.eps)
        )
