"""Optimizers that look at all parameters together, and those around another optimizer.

clip_norm(Adam(1e-3), 1.0):  all gradients are made smaller, then Adam's equations are written
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, chosen


class Whole(ABC):
    """An optimizer with `update_all`; for one parameter it is the same."""

    @abstractmethod
    def update_all(self, states: Kept, step: Tensor) -> None:
        """Write the equations of one update of all parameters."""

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The update of one parameter alone."""
        self.update_all({parameter: states}, step)


@dataclass(frozen=True, repr=False)
class Wrapper(Whole):
    """An optimizer around another one, whose states it keeps beside its own."""

    optimizer: Any

    def __post_init__(self) -> None:
        updates = hasattr(self.optimizer, "update") or hasattr(self.optimizer, "update_all")
        if not (hasattr(self.optimizer, "states") and updates):
            raise UsageError(
                f"{type(self).__name__} wants an optimizer first, such as ph.SGD(0.1), "
                f"not {self.optimizer!r}"
            )

    @property
    def rate(self) -> Any:
        """The rate of the optimizer inside; UsageError if it has none."""
        if not hasattr(self.optimizer, "rate"):
            raise UsageError(f"{self.optimizer!r} has no single rate: say rate=")
        return self.optimizer.rate

    def chosen(self, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
        """Those of the optimizer inside."""
        return chosen(self.optimizer, parameters)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Those of the optimizer inside."""
        inside: Mapping[str, Parameter] = self.optimizer.states(parameter)
        return inside
