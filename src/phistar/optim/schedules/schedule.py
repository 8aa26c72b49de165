"""A schedule: a formula of the step number that prints as it was written.

schedule(100) is a number; schedule(step), of an expression, an expression.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.language.expression import lift
from phistar.language.functions import cast

Formula = Callable[[Any], Any]


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """A rate as a function of the step number. formula: of an f64 expression."""

    text: str
    formula: Formula

    def __call__(self, step: Any) -> Any:
        """The rate at a step: a float for a number, else an expression."""
        if isinstance(step, int | float | np.integer | np.floating):
            return value_at(self.formula, step)
        return self.formula(step)

    def __repr__(self) -> str:
        return self.text


def value_at(formula: Formula, step: Any) -> float:
    """What a formula gives at a plain number, in f64."""
    return float(cast(formula(cast(lift(step), "f64")), "f64").value)


def at(schedule: Any, step: Any) -> Any:
    """The rate at a step: of a number, the number."""
    return schedule(step) if callable(schedule) else schedule


def first_rate(schedule: Any) -> float:
    """The rate at step 0 as a number."""
    return value_at(schedule, 0) if callable(schedule) else float(schedule)


def increasing(what: str, steps: Any) -> tuple[float, ...]:
    """Steps, if they are numbers greater than 0 and each greater than the one before."""
    found = tuple(steps) if isinstance(steps, list | tuple) else ()
    numbers = all(isinstance(n, int | float) and not isinstance(n, bool) for n in found)
    if not found or not numbers or any(a >= b for a, b in zip((0, *found), found, strict=False)):
        raise UsageError(f"{what} must be step numbers that grow, as in [30, 80], not {steps!r}")
    return found
