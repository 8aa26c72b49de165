"""Random fields: `ph.uniform[b, j]`, `ph.normal[b, k]`, `ph.bernoulli(p)[b, j]`.

One number for each setting of the indices: a pure function (Philox, Salmon et al. 2011) of the
seed, the step, the place in the program and the indices' values. The backward program,
another backend or a resumed run sees the same numbers.
"""

from __future__ import annotations

from typing import Any

from phistar.errors import SubscriptError
from phistar.ir.program import Distribution
from phistar.language import scope
from phistar.language.expression import Expr, Index, RandomField, lift
from phistar.language.functions import where


class Field:
    """A distribution waiting for its indices."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution

    def __repr__(self) -> str:
        return f"ph.{self.distribution.value}"

    def __getitem__(self, indices: Any) -> Expr:
        parts = indices if isinstance(indices, tuple) else (indices,)
        if not all(isinstance(i, Index) for i in parts):
            raise SubscriptError(f"{self!r}[...] takes plain indices, as in {self!r}[b, j]")
        if len({i.name for i in parts}) < len(parts):
            raise SubscriptError(f"{self!r}[...] names an index twice")
        return RandomField(self.distribution, parts, scope.next_place())


uniform = Field(Distribution.UNIFORM)
normal = Field(Distribution.NORMAL)


class Bernoulli:
    """1 with probability p, else 0, once its indices are known."""

    def __init__(self, p: Any) -> None:
        self.p = lift(p)

    def __getitem__(self, indices: Any) -> Expr:
        return where(uniform[indices] < self.p, 1.0, 0.0)


def bernoulli(p: Any) -> Bernoulli:
    """A field of ones (with probability p, a number or an expression) and zeros."""
    return Bernoulli(p)
