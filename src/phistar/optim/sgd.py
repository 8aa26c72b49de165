"""Stochastic gradient descent: Φ -= rate * Φ.grad; with momentum, a moving sum of gradients.

g = Φ.grad + decay Φ;  m = μ m + g;  Φ -= rate * m            (Nesterov: rate * (g + μ m))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor, state
from phistar.optim.optimizer import fraction, not_negative, positive, shown


@dataclass(frozen=True, repr=False)
class SGD:
    """Stochastic gradient descent with a constant rate (Robbins and Monro, 1951).

    momentum: how much of the last step's direction remains, from 0 to below 1 (Polyak, 1964).
    nesterov: look ahead along it (Sutskever et al., 2013). weight_decay: times the parameter is
    added to the gradient. Raises UsageError for numbers outside these ranges.
    """

    rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", positive("the rate of SGD", self.rate))
        object.__setattr__(self, "momentum", fraction("the momentum of SGD", self.momentum))
        decay = not_negative("the weight decay of SGD", self.weight_decay)
        object.__setattr__(self, "weight_decay", decay)
        if self.nesterov and not self.momentum:
            raise UsageError(
                "nesterov=True wants a momentum: SGD(0.1, momentum=0.9, nesterov=True)"
            )

    def __repr__(self) -> str:
        return shown(self)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving sum of gradients, if there is momentum."""
        if not self.momentum:
            return {}
        return {"momentum": state(*parameter.shape, dtype=parameter.dtype)}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """parameter -= rate * parameter.grad, or what momentum makes of it"""
        g: Any = parameter.grad[...]
        if self.weight_decay:
            g = g + self.weight_decay * parameter[...]
        if self.momentum:
            m = states["momentum"]
            m[...] = self.momentum * m[...] + g
            g = g + self.momentum * m[...] if self.nesterov else m[...]
        parameter[...] += -self.rate * g  # type: ignore[misc]
