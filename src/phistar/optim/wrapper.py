"""Optimizers that look at all parameters together, and those around another optimizer.

clip_norm(Adam(1e-3), 1.0):  all gradients are made smaller, then Adam's equations are written
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, ClassVar

from phistar.errors import UsageError
from phistar.ir.dtypes import DType
from phistar.language import scope
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, States, chosen, write
from phistar.optim.parts import Letters, letters, part_of
from phistar.optim.settings import written

Gradient = Callable[[Parameter, Letters], Any]


class Whole(ABC):
    """An optimizer with `update_all`; for one parameter it is the same."""

    @abstractmethod
    def update_all(self, states: Kept, step: Tensor) -> None:
        """Write the equations of one update of all parameters."""

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The update of one parameter alone."""
        self.update_all({parameter: states}, step)


@dataclass(frozen=True, repr=False, eq=False)
class Wrapper(Whole):
    """An optimizer around another one, whose states it keeps beside its own."""

    name: ClassVar[str]
    optimizer: Any

    def __post_init__(self) -> None:
        check_optimizer(f"{self.name} wants an optimizer first, such as", self.optimizer)

    def __repr__(self) -> str:
        own = [f for f in fields(self) if f.repr]
        return written(self.name, [(word(f), getattr(self, f.name), f.default) for f in own])

    @property
    def rate(self) -> Any:
        """The rate of the optimizer inside; UsageError if it has none."""
        if not hasattr(self.optimizer, "rate"):
            raise UsageError(f"{self.optimizer!r} has no rate of its own: say rate=")
        return self.optimizer.rate

    def chosen(self, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
        """Those of the optimizer inside."""
        return chosen(self.optimizer, parameters)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Those of the optimizer inside."""
        inside: Mapping[str, Parameter] = self.optimizer.states(parameter)
        return inside

    def with_gradients(self, states: Kept, step: Tensor, word: str, gradient: Gradient) -> None:
        """The equations inside, of another gradient, which gets the name `W.<word>`."""
        made: dict[Tensor, Tensor] = {}
        for parameter in states:
            made[parameter], n = part_of(parameter, word), letters(parameter)
            made[parameter][n] = gradient(parameter, n)
        with scope.gradients_being(made):
            write(self.optimizer, states, step)


def word(field: Field[Any]) -> str:
    """How an argument is written: without its name, or, if it may be left out, with it."""
    return "" if field.default is MISSING else field.name.removeprefix("own_")


def check_optimizer(wanted: str, optimizer: Any) -> None:
    """UsageError if it has not the methods of an optimizer."""
    updates = hasattr(optimizer, "update") or hasattr(optimizer, "update_all")
    if not (hasattr(optimizer, "states") and updates):
        raise UsageError(f"{wanted} ph.SGD(0.1), not {optimizer!r}")


def common_type(parameters: Any) -> DType:
    """The type in which numbers of all parameters meet: f64 if one is f64, else f32."""
    return DType.F64 if any(p.dtype is DType.F64 for p in parameters) else DType.F32


# Two wrappers may keep states of one word: W.average, W.average2, the outer one's last.


def beside(inside: States, word: str, own: Parameter) -> States:
    """States of an optimizer inside, and one of the wrapper's own."""
    number = 1 + sum(key in inside for key in numbered(word, len(inside) + 1))
    return {**inside, numbered(word, number)[-1]: own}


def own_and_inside(kept: States, word: str) -> tuple[Parameter, States]:
    """The wrapper's own state of that word, and all others."""
    mine = [key for key in numbered(word, len(kept)) if key in kept][-1]
    return kept[mine], {key: state for key, state in kept.items() if key != mine}


def numbered(word: str, most: int) -> list[str]:
    return [word, *(f"{word}{n}" for n in range(2, most + 1))]
