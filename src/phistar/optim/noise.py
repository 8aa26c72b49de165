"""Noise: added to gradients, or as much of it as makes parameters samples (Langevin dynamics).

noise:  g + σ ξ                    SGLD:  Φ -= rate g;  Φ += sqrt(2 rate T) ξ              ξ normal
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from phistar.language.expression import lift
from phistar.language.functions import sqrt
from phistar.language.randomness import normal
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept
from phistar.optim.parts import Letters, letters
from phistar.optim.settings import positive, rate, settle, shown
from phistar.optim.wrapper import Wrapper
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class SGLD:
    """Stochastic gradient Langevin dynamics (Welling and Teh, 2011; their ε is 2 * rate).

    After a while the parameters are samples of a distribution in proportion to
    e^(-loss / temperature): of the posterior if the loss is a mean over N examples and temperature
    1 / N. Raises UsageError for numbers that are not positive.
    """

    rate: Rate
    temperature: float = 1.0

    def __post_init__(self) -> None:
        settle(self, rate=rate, temperature=positive)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equation above."""
        n, rate = letters(parameter), rate_of(self.rate, parameter, step)
        scale = sqrt(lift(2 * self.temperature * rate))
        parameter[n] += -rate * parameter.grad[n] + scale * normal[n]  # type: ignore[misc]


@dataclass(frozen=True, repr=False, eq=False)
class Noise(Wrapper):
    """What `noise` makes."""

    name: ClassVar[str] = "noise"
    deviation: Rate

    def __post_init__(self) -> None:
        super().__post_init__()
        deviation = rate("the deviation of noise", self.deviation)
        object.__setattr__(self, "deviation", deviation)

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Add to the gradients, then the equations inside."""

        def noisy(parameter: Parameter, n: Letters) -> Any:
            return parameter.grad[n] + rate_of(self.deviation, parameter, step) * normal[n]

        self.with_gradients(states, step, "noisy", noisy)


def noise(optimizer: Any, deviation: Rate) -> Noise:
    """Add normal noise to each gradient (Neelakantan et al., 2015). deviation: a number or a
    schedule, `lambda t: (0.01 / (1 + t) ** 0.55) ** 0.5` as there. Raises UsageError for a number
    that is not positive.
    """
    return Noise(optimizer, deviation)
