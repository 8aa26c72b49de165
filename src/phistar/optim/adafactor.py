"""Adafactor: Adam's second moment of a matrix kept as a row and a column, the step relative to Φ.

R = β R + (1 - β) mean_j g²;  C = β C + (1 - β) mean_i g²;  v_ij = R_i C_j / mean_i R    β = 1 - t^γ
u = g / sqrt(max(v, ε1²));  α = max(ε2, rms(Φ)) * min(rate, 1 / sqrt(t))             t = 1, 2, ...
Φ -= α * u / max(1, rms(u) / d)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.functions import maximum, minimum, rsqrt, sqrt
from phistar.language.reductions import mean
from phistar.language.tensors import Parameter, Tensor, state
from phistar.optim.parts import letters, like, part_of, shrink, total
from phistar.optim.settings import Check, not_negative, positive, rate, settle, shown
from phistar.optim.writing import Rate, number_of, rate_at, scalar


def optional(check: Check) -> Check:
    return lambda what, number: None if number is None else check(what, number)


def negative_or_zero(what: str, number: Any) -> float:
    return -not_negative(f"minus {what}", -number)


@dataclass(frozen=True, repr=False)
class Adafactor:
    """Adafactor (Shazeer and Stern, 2018, algorithms 4 and 5), factored over the last two axes; a
    vector keeps its whole second moment.

    beta2_decay: γ, at most 0. eps1: None is the smallest step of the parameter's type. d: steps
    whose root mean square is larger are clipped to it. weight_decay: decoupled, as in AdamW. Raises
    UsageError for numbers outside their ranges.
    """

    rate: Rate = 1e-2
    beta2_decay: float = -0.8
    eps1: float | None = None
    eps2: float = 1e-3
    d: float = 1.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, beta2_decay=negative_or_zero, eps1=optional(not_negative),
            eps2=not_negative, d=positive, weight_decay=not_negative,
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The second moment of each row and of each column, or of each element of a vector."""
        shape, dtype = parameter.shape, parameter.dtype
        if len(shape) < 2:
            return like(parameter, "v")
        return {
            "rows": state(shape[:-1], dtype=dtype),
            "columns": state((*shape[:-2], shape[-1]), dtype=dtype),
        }

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        t, key, rate = number_of(step), (self, step), rate_at(self.rate, step)
        size = math.prod(parameter.shape)
        fresh = scalar("fresh", key, parameter, lambda: t**self.beta2_decay)
        bound = scalar("bound", key, parameter, lambda: minimum(rate, 1 / sqrt(t)))
        alpha, u, clipped = (part_of(parameter, word) for word in ("alpha", "u", "clipped"))
        square = total(parameter, lambda n: parameter[n] ** 2)
        alpha[()] = maximum(sqrt(square / size), self.eps2) * bound
        shrink(parameter, self.rate, self.weight_decay, step)
        n = letters(parameter)
        v = self.moments(parameter, states, fresh, n)
        u[n] = rsqrt(maximum(v, self.least(parameter) ** 2)) * parameter.grad[n]
        clipped[()] = alpha / maximum(
            1, sqrt(total(parameter, lambda n: u[n] ** 2) / size) / self.d
        )
        parameter[...] += -clipped * u[...]  # type: ignore[misc]

    def least(self, parameter: Parameter) -> float:
        """ε1."""
        if self.eps1 is not None:
            return self.eps1
        if parameter.dtype is DType.BF16:  # which NumPy does not know
            return 2.0**-7
        return float(np.finfo(parameter.dtype.numpy).eps)

    def moments(
        self,
        parameter: Parameter,
        states: Mapping[str, Parameter],
        fresh: Tensor,
        n: tuple[Index, ...],
    ) -> Any:
        """Update the second moment; what it is at the indices n."""
        g = parameter.grad
        if len(n) < 2:
            v = states["v"]
            v[n] = (1 - fresh) * v[n] + fresh * g[n] ** 2
            return v[n]
        *lead, i, j = n
        R, C, middle = states["rows"], states["columns"], part_of(parameter, "middle")
        R[*lead, i] = (1 - fresh) * R[*lead, i] + fresh * mean[j](g[n] ** 2)
        C[*lead, j] = (1 - fresh) * C[*lead, j] + fresh * mean[i](g[n] ** 2)
        middle[*lead] = maximum(mean[i](R[*lead, i]), self.least(parameter))
        return R[*lead, i] * C[*lead, j] / middle[*lead]
