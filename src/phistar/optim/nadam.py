"""NAdam: Adam that looks ahead along its momentum, which grows as training goes on.

m = β1 m + (1 - β1) g;  v = β2 v + (1 - β2) g²;  μ_t = β1 (1 - 0.96^(ψ t) / 2)       t = 1, 2, ...
Φ -= rate * ((1 - μ_t) / (1 - Π μ) g + μ_t+1 / (1 - μ_t+1 Π μ) m) / (sqrt(v / (1 - β2^t)) + ε)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.ir.dtypes import DType
from phistar.language.functions import sqrt
from phistar.language.tensors import Parameter, Tensor, state
from phistar.optim.parts import as_type, decayed, like, part_of, shrink
from phistar.optim.settings import fraction, not_negative, rate, rest, settle, shown
from phistar.optim.writing import Rate, number_of, once, rate_of, scalar


@dataclass(frozen=True, repr=False)
class NAdam:
    """NAdam (Dozat, 2016). momentum_decay: ψ. decoupled_weight_decay: the parameter shrinks, as in
    AdamW, instead of adding to the gradient. Raises UsageError for numbers outside their ranges.
    """

    rate: Rate = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta1=fraction, beta2=fraction, eps=not_negative,
            weight_decay=not_negative, momentum_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Both moving means, and the product of the momenta so far."""
        return {**like(parameter, "m", "v"), "product": state((), init=1, dtype=DType.F64)}

    def momentum(self, t: Any) -> Any:
        """μ at step t."""
        return self.beta1 * (1 - 0.5 * 0.96 ** (self.momentum_decay * t))

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, v, product = states["m"], states["v"], states["product"]
        t, key, rate = number_of(step), (self, step), rate_of(self.rate, parameter, step)
        root = scalar("root", key, parameter, lambda: 1 / sqrt(1 - self.beta2**t))
        now = once("momentum", key, lambda: self.momentum(t))
        ahead = once("ahead", key, lambda: self.momentum(t + 1))
        of_g, of_m, d = (part_of(parameter, word) for word in ("of_g", "of_m", "d"))
        if self.decoupled_weight_decay:
            shrink(parameter, self.rate, self.weight_decay, step)
        g = decayed(parameter, 0 if self.decoupled_weight_decay else self.weight_decay)
        product[()] *= now  # type: ignore[misc]
        m[...] = self.beta1 * m[...] + rest(self.beta1) * g
        v[...] = self.beta2 * v[...] + rest(self.beta2) * g**2
        of_g[()] = as_type(parameter.dtype, (1 - now) / (1 - product), DType.F64)
        of_m[()] = as_type(parameter.dtype, ahead / (1 - product * ahead), DType.F64)
        d[...] = of_g * g + of_m * m[...]
        parameter[...] += -rate * d[...] / (sqrt(v[...]) * root + self.eps)  # type: ignore[misc]
