"""What an optimizer is: the states it keeps beside each parameter, and the equations of an update.

    states(W)             {"m": ph.state(W.shape)}            kept, updated and saved with W
    update(W, states, t)  states["m"][...] = 0.9 * states["m"][...] + W.grad[...]
                          W[...] += -0.1 * states["m"][...]

`W.grad` is the tensor that will hold the derivative of the loss; `...` stands for all axes of the
parameter. The step t, an integer without axes, is 0 at the first update. An optimizer that looks at
all parameters together (the norm of all gradients) has update_all(states, t) instead, called once;
one that leaves parameters as they are says by chosen(parameters) which it takes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeAlias

from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor

States: TypeAlias = Mapping[str, Parameter]


class Optimizer(Protocol):
    """Anything with these two methods: called once for each parameter, not at each step.

    Two more are optional: `update_all` and `chosen`, see `write` and `chosen` below.
    """

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The states kept beside a parameter: `ph.state(parameter.shape)`, by name."""

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """Write the equations of one update."""


def write(optimizer: Any, states: Mapping[Parameter, States], step: Tensor) -> None:
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


def positive(what: str, number: Any) -> float:
    """number, if it is finite and greater than 0; else UsageError."""
    return positive_or(what, number, "a positive number")


def positive_or(what: str, number: Any, wanted: str) -> float:
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    if not plain or not math.isfinite(number) or number <= 0:
        raise UsageError(f"{what} must be {wanted}, not {number!r}")
    return float(number)


def not_negative(what: str, number: Any) -> float:
    """number, if it is finite and at least 0; else UsageError."""
    if number == 0 and not isinstance(number, bool):
        return 0.0
    return positive_or(what, number, "a number from 0 on")


def fraction(what: str, number: Any) -> float:
    """number, if it is at least 0 and less than 1; else UsageError."""
    found = not_negative(what, number)
    if found >= 1:
        raise UsageError(f"{what} must be from 0 to below 1, not {number!r}")
    return found


def shown(optimizer: Any) -> str:
    """An optimizer as it was written: SGD(rate=0.1), without what was left as it is."""
    said = [
        f"{f.name}={getattr(optimizer, f.name)!r}"
        for n, f in enumerate(fields(optimizer))
        if n == 0 or getattr(optimizer, f.name) != f.default
    ]
    return f"{type(optimizer).__name__}({', '.join(said)})"
