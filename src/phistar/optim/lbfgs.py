"""L-BFGS: Newton's step with a curvature read off the last steps s_k and changes of gradient y_k.

α_k = ρ_k (s_k · q);  q -= α_k y_k                  for k = m, ..., 1;  q = -g at first
d += (α_k - ρ_k (y_k · d)) s_k                      for k = 1, ..., m;  d = γ q at first
Φ += rate * d                                       ρ_k = 1 / (s_k · y_k);  γ = s_m · y_m / |y_m|²

Both recursions need only the products of the s, y and g with each other: q and d are sums of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.functions import abs, equal, minimum, where
from phistar.language.reductions import sum as sum_over
from phistar.language.scans import scan
from phistar.language.subscripts import first, last, pad
from phistar.language.tensors import Parameter, Tensor, state
from phistar.optim.optimizer import Kept
from phistar.optim.parts import Letters, as_type, letters, like, named, part_of, total
from phistar.optim.settings import counted, rate, settle, shown
from phistar.optim.wrapper import Whole, common_type
from phistar.optim.writing import Rate, rate_of, shared_state

Element = Callable[[Parameter, Mapping[str, Parameter], Letters], Any]
ENOUGH = 1e-10  # a pair is kept if s · y is greater: the curvature is positive


@dataclass(frozen=True, repr=False)
class LBFGS(Whole):
    """L-BFGS (Nocedal, 1980; Liu and Nocedal, 1989) with fixed steps, over all parameters together:
    for whole data sets, `batch_size=len(data)`.

    rate: a step of the whole direction is 1; the first is rate * min(1, 1 / Σ |g|). history_size:
    m, how many pairs are kept. Raises UsageError for numbers outside their ranges.
    """

    rate: Rate = 1.0
    history_size: int = 100

    def __post_init__(self) -> None:
        settle(self, rate=rate, history_size=counted)

    __repr__ = shown

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The pairs s and y, newest last, the gradient before and the step before."""
        shape, dtype = (self.history_size, *parameter.shape), parameter.dtype
        pairs = {name: state(shape, dtype=dtype) for name in ("s", "y")}
        return {**pairs, **like(parameter, "before", "moved")}

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Keep the newest pair, find the direction, go along it."""
        now = History(self, states, common_type(states))
        now.remember(step)
        alpha, delta = now.recursions()
        now.move(alpha, delta, step)


class History:
    """The pairs of all parameters, and the equations of one update over them."""

    def __init__(self, optimizer: LBFGS, states: Kept, dtype: DType) -> None:
        self.optimizer, self.states, self.dtype = optimizer, states, dtype
        self.k, self.l = Index("k", optimizer.history_size), Index("l", optimizer.history_size)
        self.rho = self.shared("rho", (optimizer.history_size,), 0)
        self.gamma = self.shared("gamma", (), 1)

    def shared(self, name: str, shape: tuple[int, ...], init: float) -> Parameter:
        return shared_state(self.optimizer, "lbfgs", name, shape, init, self.dtype)

    def dot(self, a: Element, b: Element) -> Any:
        """a · b over all parameters, each a function of a parameter's states and its indices."""
        terms = []
        for p, kept in self.states.items():
            n = letters(p, "k", "l")
            one, other = (as_type(self.dtype, e(p, kept, n), p.dtype) for e in (a, b))
            terms.append(one * other)
        return plus(terms)

    def remember(self, step: Tensor) -> None:
        """Keep the pair of the last step where its curvature is positive."""
        k, rho, gamma = self.k, self.rho, self.gamma
        sy, yy, keep = named("sy"), named("yy"), named("keep")
        change = {p: part_of(p, "change") for p in self.states}
        for p, kept in self.states.items():
            change[p][...] = p.grad[...] - kept["before"][...]
        sy[()] = self.dot(lambda p, kept, n: kept["moved"][n], lambda p, kept, n: change[p][n])
        yy[()] = self.dot(lambda p, kept, n: change[p][n], lambda p, kept, n: change[p][n])
        keep[()] = (step > 0) & (sy > ENOUGH)
        gamma[()] = where(keep, sy / yy, gamma)
        newest = equal(k, k.size - 1)
        rho[k] = where(keep, where(newest, 1 / sy, rho[pad(k + 1, 0, 1)]), rho[k])
        for p, kept in self.states.items():
            n = letters(p, "k", "l")
            for all_, new in ((kept["s"], kept["moved"]), (kept["y"], change[p])):
                shifted = where(newest, new[n], all_[(pad(k + 1, 0, 1), *n)])
                all_[(k, *n)] = where(keep, shifted, all_[(k, *n)])

    def recursions(self) -> tuple[Tensor, Tensor]:
        """What the direction has of each y and of each s: γ times minus α, and δ."""
        k, l, rho = self.k, self.l, self.rho
        SY, YY, sg, yg, sq, alpha, yd, delta = (
            named(name) for name in ("SY", "YY", "sg", "yg", "sq", "alpha", "yd", "delta")
        )
        SY[k, l] = self.dot(
            lambda p, kept, n: kept["s"][(k, *n)], lambda p, kept, n: kept["y"][(l, *n)]
        )
        YY[k, l] = self.dot(
            lambda p, kept, n: kept["y"][(k, *n)], lambda p, kept, n: kept["y"][(l, *n)]
        )
        sg[k] = self.dot(lambda p, kept, n: kept["s"][(k, *n)], lambda p, kept, n: p.grad[n])
        yg[k] = self.dot(lambda p, kept, n: kept["y"][(k, *n)], lambda p, kept, n: p.grad[n])
        sq[last + 1, l] = -sg[l]
        with scan(k, backwards=True):
            alpha[k] = rho[k] * sq[k + 1, k]
            sq[k, l] = sq[k + 1, l] - alpha[k] * SY[l, k]
        yd[first - 1, l] = -self.gamma * (yg[l] + sum_over[k](YY[l, k] * alpha[k]))
        with scan(k):
            delta[k] = alpha[k] - rho[k] * yd[k - 1, k]
            yd[k, l] = yd[k - 1, l] + delta[k] * SY[k, l]
        return alpha, delta

    def move(self, alpha: Tensor, delta: Tensor, step: Tensor) -> None:
        """Go along the direction: the whole of it, but a short way at the first step."""
        k, slope, length = self.k, named("slope"), named("length")
        slope[()] = plus([as_type(self.dtype, slopes(p), p.dtype) for p in self.states])
        short = minimum(1, 1 / slope)
        length[()] = where(equal(step, 0), short, 1)
        for p, kept in self.states.items():
            n, moved = letters(p, "k", "l"), kept["moved"]
            rate = rate_of(self.optimizer.rate, p, step)
            a, d, g, t = (
                as_type(p.dtype, e, self.dtype) for e in (alpha[k], delta[k], self.gamma, length)
            )
            newton = -g * (p.grad[n] + sum_over[k](a * kept["y"][(k, *n)]))
            moved[n] = rate * t * (newton + sum_over[k](d * kept["s"][(k, *n)]))
            kept["before"][...] = p.grad[...]
            p[...] += moved[...]  # type: ignore[misc]


def slopes(parameter: Parameter) -> Any:
    """Σ |g|."""
    return total(parameter, lambda n: abs(parameter.grad[n]))


def plus(terms: list[Any]) -> Any:
    """The sum of expressions."""
    return reduce(lambda a, b: a + b, terms)
