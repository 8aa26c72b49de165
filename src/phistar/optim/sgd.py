"""Stochastic gradient descent: Φ -= rate * Φ.grad."""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import positive


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with a constant rate (Robbins and Monro, 1951).

    Raises UsageError if the rate is not a positive number.
    """

    rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", positive("the rate of SGD", self.rate))

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """parameter -= rate * parameter.grad"""
        parameter[...] += -self.rate * parameter.grad[...]  # type: ignore[misc]
