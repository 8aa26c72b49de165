"""Adam: steps of about the size of the rate, by moving means of the gradient and of its square.

m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²
Φ -= rate * (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε)                       t = 1, 2, ...
AMSGrad: the largest v so far instead of v.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phistar.language.functions import maximum, sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like, shrink
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, rate_at, scalar


@dataclass(frozen=True, repr=False)
class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1). weight_decay: times the parameter is added to the
    gradient. amsgrad: never forget a large gradient (Reddi et al., 2018). Raises UsageError for
    numbers outside their ranges.
    """

    rate: Rate = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The two moving means, zero at first, and the largest second one."""
        return like(parameter, "m", "v", *(["largest"] if self.amsgrad else []))

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above; the bias corrections are numbers, computed once a step."""
        self.move(parameter, states, step, decayed(parameter, self.weight_decay))

    def move(
        self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor, gradient: Any
    ) -> None:
        """Both means, and the step."""
        m, v = states["m"], states["v"]
        step_size, root = self.corrections(parameter, step)
        m[...] = self.beta1 * m[...] + rest(self.beta1) * gradient
        v[...] = self.beta2 * v[...] + rest(self.beta2) * gradient**2
        if self.amsgrad:
            v = states["largest"]
            v[...] = maximum(v[...], states["v"][...])
        parameter[...] += (  # type: ignore[misc]
            -step_size * m[...] / (sqrt(v[...]) * root + self.eps)
        )

    def corrections(self, parameter: Parameter, step: Tensor) -> tuple[Tensor, Tensor]:
        """rate / (1 - β1^t) and 1 / sqrt(1 - β2^t), once for all parameters."""
        t, key, rate = number_of(step), (self, step), rate_at(self.rate, step)
        step_size = scalar("step_size", key, parameter, lambda: rate / (1 - self.beta1**t))
        return step_size, scalar("root", key, parameter, lambda: 1 / sqrt(1 - self.beta2**t))


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2): before the step
    the parameter shrinks by rate * weight_decay of itself.
    """

    weight_decay: float = field(default=0.01)

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """Shrink, then Adam's step."""
        shrink(parameter, self.rate, self.weight_decay, step)
        self.move(parameter, states, step, parameter.grad[...])


@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """Adam(amsgrad=True): the largest second moment so far (Reddi et al., 2018, algorithm 2)."""

    amsgrad: bool = field(default=True)
