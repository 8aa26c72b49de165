"""Schedules one after another: a warm-up before any, or several, each from a step of its own on.

warmup:   then(0) (start + (1 - start) t / steps)  for t < steps,  else then(t - steps)
chained:  s_k(t - m_k)  for m_k <= t < m_k+1
"""

from typing import Any

from phistar.errors import UsageError
from phistar.language.functions import where
from phistar.optim.schedules.plateau import Plateau
from phistar.optim.schedules.schedule import Schedule, at, first_rate, increasing
from phistar.optim.settings import counted, fraction, positive, written
from phistar.optim.settings import rate as rate_or_schedule


def warmup(steps: int, then: Any, start: float = 0.0) -> Schedule:
    """In a straight line up to where another schedule, or a rate, begins; then that one.

    start: the fraction of that first rate at step 0, so by default the rate there is 0.
    """
    steps = counted("the steps of warmup", steps)
    start = fraction("start of warmup", start)
    then = rate_or_schedule("what comes after a warmup", then)

    def formula(t: Any) -> Any:
        peak = then(t) if isinstance(then, Plateau) else first_rate(then)
        share = start + (1 - start) * t / steps if start else t / steps
        return where(t < steps, peak * share, at(then, t - steps))

    arguments = [("", steps, None), ("", then, None), ("start", start, 0.0)]
    return Schedule(written("warmup", arguments), formula)


def chained(schedules: list[Any], milestones: list[int]) -> Schedule:
    """Several schedules (or rates), the next from each milestone on; each begins at its step 0.

    Raises UsageError if the milestones do not grow, or are not one fewer than the schedules.
    """
    parts = [part if callable(part) else positive("a rate of chained", part) for part in schedules]
    steps = increasing("the milestones of chained", milestones)
    if len(parts) != len(steps) + 1:
        raise UsageError(
            f"chained has {len(parts)} schedules and {len(steps)} milestones: "
            "it takes one milestone between every two schedules"
        )

    def formula(t: Any) -> Any:
        now = at(parts[-1], t - steps[-1])
        starts = (0, *steps)
        for n in range(len(parts) - 2, -1, -1):
            begun = t - starts[n] if starts[n] else t
            now = where(t < steps[n], at(parts[n], begun), now)
        return now

    return Schedule(written("chained", [("", parts, None), ("", list(steps), None)]), formula)
