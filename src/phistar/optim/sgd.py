"""Stochastic gradient descent: Φ -= rate * Φ.grad; with momentum, a moving sum of gradients.

g = Φ.grad + decay Φ;  m = μ m + g;  Φ -= rate * m            (Nesterov: rate * (g + μ m))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import decayed, like
from phistar.optim.settings import fraction, not_negative, rate, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class SGD:
    """Stochastic gradient descent (Robbins and Monro, 1951).

    rate: a number, or a schedule. momentum: how much of the last step's direction remains, from 0
    to below 1 (Polyak, 1964). nesterov: look ahead along it (Sutskever et al., 2013). weight_decay:
    times the parameter is added to the gradient. Raises UsageError for numbers outside these
    ranges.
    """

    rate: Rate
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(self, rate=rate, momentum=fraction, weight_decay=not_negative)
        if self.nesterov and not self.momentum:
            raise UsageError(
                "nesterov=True wants a momentum: SGD(0.1, momentum=0.9, nesterov=True)"
            )

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving sum of gradients, if there is momentum."""
        return like(parameter, "momentum") if self.momentum else {}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """parameter -= rate * parameter.grad, or what momentum makes of it"""
        g: Any = decayed(parameter, self.weight_decay)
        if self.momentum:
            m = states["momentum"]
            m[...] = self.momentum * m[...] + g
            g = g + self.momentum * m[...] if self.nesterov else m[...]
        parameter[...] += -rate_of(self.rate, parameter, step) * g  # type: ignore[misc]
