"""Lion: every element moves by the rate, in the direction of the sign of a moving mean.

u = sign(β1 m + (1 - β1) g);  Φ -= rate * (u + λ Φ);  m = β2 m + (1 - β2) g
"""

from collections.abc import Mapping
from dataclasses import dataclass

from phistar.language.functions import sign
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import like, shrink
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, rate_of


@dataclass(frozen=True, repr=False)
class Lion:
    """Lion (Chen et al., 2023, algorithm 2). weight_decay: λ, decoupled as in AdamW. Raises
    UsageError for numbers outside their ranges.
    """

    rate: Rate = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(self, rate=rate, beta1=fraction, beta2=fraction, weight_decay=not_negative)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving mean of the gradient."""
        return like(parameter, "m")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, g, rate = states["m"], parameter.grad, rate_of(self.rate, parameter, step)
        shrink(parameter, self.rate, self.weight_decay, step)
        parameter[...] += (  # type: ignore[misc]
            -rate * sign(self.beta1 * m[...] + rest(self.beta1) * g[...])
        )
        m[...] = self.beta2 * m[...] + rest(self.beta2) * g[...]
