"""A rate that falls when the training loss does so no more; what it remembers are states.

best = min(best, L);  bad = 0 where L < best (1 - threshold), else bad + 1
rate = max(factor rate, min_rate), bad = 0   where bad > patience
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.language import scope
from phistar.language.expression import lift
from phistar.language.functions import cast, equal, maximum, where
from phistar.language.tensors import Tensor
from phistar.optim.parts import named
from phistar.optim.settings import counted, not_negative, one_of, positive, settle, shown, whole
from phistar.optim.writing import first_time, once, shared_state, training_loss

WORST = 1.0e300  # the best loss before any was seen; infinity would look like a diverged training


def factor_below_one(what: str, number: Any) -> float:
    found = positive(what, number)
    if found >= 1:
        raise UsageError(f"{what} must be between 0 and 1, not {number!r}")
    return found


@dataclass(frozen=True, repr=False, eq=False)
class Plateau:
    """The schedule that `plateau` makes: its rate depends on the losses, not on the step alone."""

    rate: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    threshold_mode: str = "rel"
    cooldown: int = 0
    min_rate: float = 0.0
    eps: float = 1e-8
    every: int = 1

    def __post_init__(self) -> None:
        settle(
            self, rate=positive, factor=factor_below_one, patience=whole, threshold=not_negative,
            threshold_mode=one_of("rel", "abs"), cooldown=whole, min_rate=not_negative,
            eps=not_negative, every=counted,
        )  # fmt: skip

    def __repr__(self) -> str:
        return shown(self).replace("Plateau(rate=", "plateau(")

    def __call__(self, step: Any) -> Any:
        """The rate now, in an optimizer's equations; UsageError for a plain number."""
        if isinstance(step, int | float | np.integer | np.floating):
            raise UsageError(
                f"the rate of {self!r} depends on the losses: it has none for step {step} alone"
            )
        rate = shared_state(self, "plateau", "rate", init=self.rate)
        before = once("before", (self,), lambda: rate)
        if first_time(self):
            self.observe(rate, step)
        return before

    def observe(self, rate: Tensor, step: Any) -> None:
        """The equations that look at the loss of this step, for the next ones."""
        loss: Any = cast(training_loss(), "f64")
        if self.every == 1:
            self.look(rate, loss)
            return
        total, seen = shared_state(self, "plateau", "total"), named("seen")
        total[()] = where(equal(step % self.every, 0), 0, total) + loss
        seen[()] = equal((step + 1) % self.every, 0)
        with scope.updates_only_if(lift(seen)):
            self.look(rate, total / self.every)

    def look(self, rate: Tensor, loss: Any) -> None:
        """The equations of one observation."""
        best = shared_state(self, "plateau", "best", init=WORST)
        bad, wait = (shared_state(self, "plateau", name) for name in ("bad", "wait"))
        better, worse, fall, lower = (named(n) for n in ("better", "worse", "fall", "lower"))
        relative = self.threshold_mode == "rel"
        bound = best * (1 - self.threshold) if relative else best - self.threshold
        better[()] = loss < bound
        worse[()] = where(better | (wait > 0), 0, bad + 1)
        fall[()] = worse > self.patience
        lower[()] = maximum(rate * self.factor, self.min_rate)
        best[()] = where(better, loss, best)
        bad[()] = where(fall, 0, worse)
        wait[()] = where(fall, self.cooldown, maximum(wait - 1, 0))
        rate[()] = where(fall & (rate - lower > self.eps), lower, rate)


def plateau(
    rate: float,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_rate: float = 0.0,
    eps: float = 1e-8,
    every: int = 1,
) -> Plateau:
    """Multiply the rate by `factor` when the training loss has not fallen for `patience` looks.

    Looks at the mean of the loss over `every` steps (the number of steps in an epoch makes one look
    an epoch); a loss counts as lower if it is by `threshold`, a share ("rel") or a difference
    ("abs"). cooldown: looks after a fall that do not count. A change of the rate less than eps is
    not made. The rate, the best loss and both counts are states, saved with the training. Raises
    UsageError for numbers outside their ranges.
    """
    return Plateau(
        rate, factor, patience, threshold, threshold_mode, cooldown, min_rate, eps, every
    )
