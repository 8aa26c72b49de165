"""Adam: steps of about the size of the rate, by moving means of the gradient and of its square.

m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²
Φ -= rate * (m / (1 - β1^t)) / (sqrt(v / (1 - β2^t)) + ε)                       t = 1, 2, ...
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phistar.language.functions import cast, sqrt
from phistar.language.tensors import Parameter, Tensor, state, tensors
from phistar.optim.optimizer import fraction, not_negative, positive, shown


@dataclass(frozen=True, repr=False)
class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1). weight_decay: times the parameter is added to the
    gradient. Raises UsageError for numbers outside their ranges.
    """

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        checked = {
            "rate": positive(f"the rate of {name}", self.rate),
            "beta1": fraction(f"beta1 of {name}", self.beta1),
            "beta2": fraction(f"beta2 of {name}", self.beta2),
            "eps": not_negative(f"eps of {name}", self.eps),
            "weight_decay": not_negative(f"the weight decay of {name}", self.weight_decay),
        }
        for field_name, number in checked.items():
            object.__setattr__(self, field_name, number)

    def __repr__(self) -> str:
        return shown(self)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The two moving means, zero at first."""
        shape = parameter.shape
        return {name: state(*shape, dtype=parameter.dtype) for name in ("m", "v")}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above; the bias corrections are numbers, computed once a step."""
        gradient: Any = parameter.grad[...]
        if self.weight_decay:
            gradient = gradient + self.weight_decay * parameter[...]
        self.move(parameter, states, step, gradient)

    def move(
        self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor, gradient: Any
    ) -> None:
        """Both means, and the step."""
        m, v = states["m"], states["v"]
        rate, root = tensors("rate root")
        t = cast(step + 1, parameter.dtype)
        rate[()] = self.rate / (1 - self.beta1**t)
        root[()] = 1 / sqrt(1 - self.beta2**t)
        m[...] = self.beta1 * m[...] + (1 - self.beta1) * gradient
        v[...] = self.beta2 * v[...] + (1 - self.beta2) * gradient**2
        parameter[...] += (  # type: ignore[misc]
            -rate * m[...] / (sqrt(v[...]) * root + self.eps)
        )


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2): before the step
    the parameter shrinks by rate * weight_decay of itself.
    """

    weight_decay: float = field(default=0.01)

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """Shrink, then Adam's step."""
        if self.weight_decay:
            parameter[...] = (1 - self.rate * self.weight_decay) * parameter[...]
        self.move(parameter, states, step, parameter.grad[...])
