"""Exponentiated gradient: parameters that are positive stay so, each multiplied by a factor.

Φ_j = Φ_j e^(-rate g_j) / Σ_k Φ_k e^(-rate g_k)          (not normalized: without the division)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.errors import UsageError
from phistar.language.functions import exp
from phistar.language.reductions import min as least_over
from phistar.language.reductions import sum as sum_over
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import letters, part_of
from phistar.optim.settings import rate, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class ExponentiatedGradient:
    """Exponentiated gradient (Kivinen and Warmuth, 1997, EG; EGU if not normalized).

    The last axis of every parameter holds numbers greater than 0 that sum to 1, and they do after
    each update: begin so, `ph.param(3, 10, init=0.1)`. normalized=False: they need not sum to 1.
    Raises UsageError for a rate that is none, and for a parameter without axes if normalized.
    """

    rate: Rate
    normalized: bool = True

    def __post_init__(self) -> None:
        settle(self, rate=rate)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equation above; the gradient without its least element, so that nothing overflows."""
        rate, g = rate_of(self.rate, parameter, step), parameter.grad
        if not self.normalized:
            parameter[...] = parameter[...] * exp(-rate * g[...])
            return
        if not parameter.shape:
            raise UsageError(
                f"{parameter.name} is one number and cannot sum to 1 with others: "
                "ExponentiatedGradient(..., normalized=False)"
            )
        *lead, j = letters(parameter)
        least, moved, mass = (part_of(parameter, w) for w in ("least", "moved", "mass"))
        least[*lead] = least_over[j](g[*lead, j])
        moved[*lead, j] = parameter[*lead, j] * exp(-rate * (g[*lead, j] - least[*lead]))
        mass[*lead] = sum_over[j](moved[*lead, j])
        parameter[*lead, j] = moved[*lead, j] / mass[*lead]
