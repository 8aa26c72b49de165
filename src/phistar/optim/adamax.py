"""AdaMax: Adam with the largest gradient, slowly forgotten, in place of the root mean square.

m = β1 m + (1 - β1) g;  u = max(β2 u, |g| + ε);  Φ -= rate / (1 - β1^t) * m / u      t = 1, 2, ...
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import abs, maximum
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, rate_at, scalar


@dataclass(frozen=True, repr=False)
class AdaMax:
    """AdaMax (Kingma and Ba, 2015, algorithm 2). Raises UsageError for numbers outside their
    ranges.
    """

    rate: Rate = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving mean, and the largest gradient."""
        return like(parameter, "m", "u")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, u, g = states["m"], states["u"], decayed(parameter, self.weight_decay)
        t, rate = number_of(step), rate_at(self.rate, step)
        step_size = scalar("step_size", (self, step), parameter, lambda: rate / (1 - self.beta1**t))
        m[...] = self.beta1 * m[...] + rest(self.beta1) * g
        u[...] = maximum(self.beta2 * u[...], abs(g) + self.eps)
        parameter[...] += -step_size * m[...] / u[...]  # type: ignore[misc]
