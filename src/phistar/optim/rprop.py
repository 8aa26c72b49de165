"""Rprop: each element has a step size of its own, which grows while its gradient keeps its sign.

δ = clip(δ * (η+ if g g' > 0, η- if g g' < 0, else 1));  g = 0 where g g' < 0
Φ -= δ sign(g);  g' = g                                        g' is the gradient before; δ = rate
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.errors import UsageError
from phistar.language.functions import clip, sign, where
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import like, part_of
from phistar.optim.settings import above_one, fraction, positive, settle, shown


@dataclass(frozen=True, repr=False)
class Rprop:
    """Rprop without weight backtracking (Riedmiller and Braun, 1993), for whole data sets.

    rate: the first step size, a number. eta_minus, eta_plus: how step sizes shrink and grow.
    step_min, step_max: their bounds. Raises UsageError for numbers outside their ranges.
    """

    rate: float = 1e-2
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    step_min: float = 1e-6
    step_max: float = 50.0

    def __post_init__(self) -> None:
        settle(
            self, rate=positive, eta_minus=fraction, eta_plus=above_one, step_min=positive,
            step_max=positive,
        )  # fmt: skip
        if self.step_min > self.step_max:
            raise UsageError(
                f"the step sizes of Rprop run from {self.step_min} to {self.step_max}: "
                "step_min must not be larger than step_max"
            )

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The gradient before, and the step sizes."""
        return {**like(parameter, "before"), **like(parameter, "size", init=self.rate)}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        before, size, same = states["before"], states["size"], part_of(parameter, "same")
        same[...] = sign(parameter.grad[...] * before[...])
        factor = where(same[...] > 0, self.eta_plus, where(same[...] < 0, self.eta_minus, 1))
        size[...] = clip(size[...] * factor, self.step_min, self.step_max)
        before[...] = where(same[...] < 0, 0, parameter.grad[...])
        parameter[...] += -size[...] * sign(before[...])  # type: ignore[misc]
