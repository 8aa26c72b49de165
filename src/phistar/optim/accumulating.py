"""Accumulation over micro-batches: one update from the mean gradient of several steps.

sum = (0 at the first of n steps, else sum) + g / n;   the update of `sum`, at the last of n steps
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phistar.language import scope
from phistar.language.expression import lift
from phistar.language.functions import equal, where
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, write
from phistar.optim.parts import like, named
from phistar.optim.settings import counted
from phistar.optim.wrapper import Wrapper, beside, own_and_inside


@dataclass(frozen=True, repr=False, eq=False)
class Accumulate(Wrapper):
    """What `accumulate` makes."""

    name: ClassVar[str] = "accumulate"
    steps: int

    def __post_init__(self) -> None:
        super().__post_init__()
        counted("the steps of accumulate", self.steps)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The sum so far, beside the states of the optimizer inside."""
        return beside(super().states(parameter), "sum", like(parameter, "sum")["sum"])

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Add to the sums; at the last of the steps, the equations inside: the sums are its
        gradients, and its step number counts updates.
        """
        updates, due = named("updates"), named("due")
        updates[()] = step // self.steps
        due[()] = equal(step % self.steps, self.steps - 1)
        sums: dict[Tensor, Tensor] = {}
        inside: dict[Parameter, Mapping[str, Parameter]] = {}
        for parameter, kept in states.items():
            total, inside[parameter] = own_and_inside(kept, "sum")
            before = where(equal(step % self.steps, 0), 0, total[...])
            total[...] = before + parameter.grad[...] / self.steps
            sums[parameter] = total
        with scope.gradients_being(sums), scope.updates_only_if(lift(due)):
            write(self.optimizer, inside, updates)


def accumulate(optimizer: Any, steps: int) -> Accumulate:
    """Update every `steps` steps, with the mean of their gradients: as one minibatch so many times
    as large. Schedules inside count updates. Steps that are left over at the end change nothing.
    Raises UsageError for a number of steps less than 1.
    """
    return Accumulate(optimizer, steps)
