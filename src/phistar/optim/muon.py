"""Muon: the step of a matrix is its momentum made orthogonal, by Newton and Schulz's iteration.

m = μ m + (1 - μ) g;  u = (1 - μ) g + μ m;  X = u / |u|
A = X Xᵀ;  X = a X + (b A + c A A) X, five times;  Φ = (1 - rate λ) Φ - rate * s * X
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.functions import maximum
from phistar.language.scans import scan
from phistar.language.subscripts import first, last
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.parts import letters, like, norm, part_of, shrink
from phistar.optim.settings import (
    counted,
    fraction,
    not_negative,
    one_of,
    positive,
    rate,
    rest,
    settle,
    shown,
)
from phistar.optim.writing import Rate, rate_of

Coefficients = tuple[float, float, float]


def three_numbers(what: str, numbers: Any) -> Coefficients:
    found = tuple(numbers) if isinstance(numbers, tuple | list) else ()
    if len(found) != 3 or not all(isinstance(n, int | float) for n in found):
        raise UsageError(f"{what} must be three numbers a, b, c, not {numbers!r}")
    return found


@dataclass(frozen=True, repr=False)
class Muon:
    """Muon (Jordan et al., 2024), for matrices: give other parameters to another optimizer,
    `Groups({"*.W": Muon(0.02), "*": AdamW(1e-3)})`.

    weight_decay: decoupled. nesterov: look ahead along the momentum. ns_coefficients, ns_steps and
    eps: of the iteration. adjust_rate: what s is, "original" sqrt(max(1, rows / columns)), or
    "match_rms_adamw" 0.2 sqrt(max(rows, columns)) (Liu et al., 2025). Raises UsageError for numbers
    outside their ranges, and for a parameter that has not two axes.
    """

    rate: Rate = 1e-3
    weight_decay: float = 0.1
    momentum: float = 0.95
    nesterov: bool = True
    ns_coefficients: Coefficients = (3.4445, -4.7750, 2.0315)
    eps: float = 1e-7
    ns_steps: int = 5
    adjust_rate: str = "original"

    def __post_init__(self) -> None:
        settle(
            self, rate=rate, weight_decay=not_negative, momentum=fraction,
            ns_coefficients=three_numbers, eps=positive, ns_steps=counted,
            adjust_rate=one_of("original", "match_rms_adamw"),
        )  # fmt: skip

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The moving mean of the gradient."""
        if len(parameter.shape) != 2:
            raise UsageError(
                f"Muon updates matrices, but {parameter.name} has shape {parameter.shape}: "
                'optim.Groups({"...": Muon(...), "*": AdamW(...)}) gives it another optimizer'
            )
        return like(parameter, "momentum")

    def update(self, parameter: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        """The equations above."""
        m, g, u = states["momentum"], parameter.grad, part_of(parameter, "u")
        rate, (rows, columns) = rate_of(self.rate, parameter, step), parameter.shape
        m[...] = self.momentum * m[...] + rest(self.momentum) * g[...]
        ahead = rest(self.momentum) * g[...] + self.momentum * m[...]
        u[...] = ahead if self.nesterov else m[...]
        shrink(parameter, self.rate, self.weight_decay, step)
        adjusted = math.sqrt(max(1, rows / columns))
        if self.adjust_rate == "match_rms_adamw":
            adjusted = 0.2 * math.sqrt(max(rows, columns))
        X = self.orthogonal(parameter, u)
        i, j = letters(parameter)
        parameter[i, j] += -rate * adjusted * X(i, j)  # type: ignore[misc]

    def orthogonal(self, parameter: Parameter, u: Tensor) -> Any:
        """The matrix nearest to u whose singular values are about 1, as a function of i, j."""
        a, b, c = self.ns_coefficients
        size, X, A, B = (part_of(parameter, w) for w in ("norm", "X", "A", "B"))
        i, j = letters(parameter, "n", "k", "l")
        n, k, l = Index("n", self.ns_steps), Index("k"), Index("l")
        size[()] = maximum(norm(u, parameter), self.eps)
        wide = parameter.shape[0] <= parameter.shape[1]
        p, q = (i, j) if wide else (j, i)  # A is the smaller of X Xᵀ and Xᵀ X
        X[first - 1, p, q] = u[i, j] / size
        with scan(n):
            A[n, p, k] = X[n - 1, p, q] * X[n - 1, k, q]
            B[n, p, k] = b * A[n, p, k] + c * (A[n, p, l] * A[n, l, k])
            X[n, p, q] = a * X[n - 1, p, q] + B[n, p, k] * X[n - 1, k, q]
        return lambda i, j: X[(last, i, j) if wide else (last, j, i)]
