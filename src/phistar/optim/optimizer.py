"""What an optimizer is: the states it keeps beside each parameter, and the equations of an update.

    states(W)             {"m": ph.state(W.shape)}            kept, updated and saved with W
    update(W, states, t)  states["m"][...] = 0.9 * states["m"][...] + W.grad[...]
                          W[...] += -0.1 * states["m"][...]

`W.grad` is the tensor that will hold the derivative of the loss; `...` stands for all axes of the
parameter. The step t, an integer without axes, is 0 at the first update. An optimizer that looks at
all parameters together (the norm of all gradients) has update_all(states, t) instead, called once;
one that leaves parameters as they are says by chosen(parameters) which it takes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from phistar.language.tensors import Parameter, Tensor

States: TypeAlias = Mapping[str, Parameter]
Kept: TypeAlias = Mapping[Parameter, States]  # every parameter that is updated, and its states


class Optimizer(Protocol):
    """Anything with these two methods: called once for each parameter, not at each step.

    Two more are optional: `update_all` and `chosen`, see `write` and `chosen` below.
    """

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The states kept beside a parameter: `ph.state(parameter.shape)`, by name."""

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """Write the equations of one update."""


def write(optimizer: Any, states: Kept, step: Tensor) -> None:
    """Write the update of every parameter: by `update_all(states, step)` if there is one."""
    if hasattr(optimizer, "update_all"):
        optimizer.update_all(states, step)
        return
    for parameter, kept in states.items():
        optimizer.update(parameter, kept, step)


def chosen(optimizer: Any, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
    """The parameters, each with its dotted name, that the optimizer changes: all, or a choice."""
    if hasattr(optimizer, "chosen"):
        found: Sequence[Parameter] = optimizer.chosen(parameters)
        return found
    return parameters
