"""Rates that fall from the first step on: by steps, by a power, by a curve.

cosine:  end + (rate - end) (1 + cos(π t / steps)) / 2;  after `steps` all of these stay at `end`
"""

import math
from typing import Any

from phistar.language import functions as f
from phistar.language.expression import lift
from phistar.optim.schedules.schedule import Schedule, increasing
from phistar.optim.settings import counted, not_negative, positive, written


def constant(rate: float) -> Schedule:
    """The same rate at every step."""
    rate = positive("the rate of constant", rate)
    return Schedule(written("constant", [("", rate, None)]), lambda t: lift(rate))


def step(rate: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """rate * gamma^k after k * step_size steps."""
    rate, gamma = positive("the rate of step", rate), positive("gamma of step", gamma)
    size = counted("the step size of step", step_size)
    text = written("step", [("", rate, None), ("", size, None), ("gamma", gamma, 0.1)])
    return Schedule(text, lambda t: rate * gamma ** f.floor(t / size))


def multistep(rate: float, milestones: list[int], gamma: float = 0.1) -> Schedule:
    """rate * gamma^k after k of the milestones, step numbers that grow."""
    rate, gamma = positive("the rate of multistep", rate), positive("gamma of multistep", gamma)
    steps = increasing("the milestones of multistep", milestones)
    arguments = [("", rate, None), ("", list(steps), None), ("gamma", gamma, 0.1)]

    def formula(t: Any) -> Any:
        now: Any = rate
        for n, milestone in enumerate(steps, 1):
            now = f.where(t < milestone, now, rate * gamma**n)
        return now

    return Schedule(written("multistep", arguments), formula)


def exponential(rate: float, gamma: float) -> Schedule:
    """rate * gamma^t."""
    rate, gamma = positive("the rate of exponential", rate), positive("gamma of exponential", gamma)
    text = written("exponential", [("", rate, None), ("", gamma, None)])
    return Schedule(text, lambda t: rate * gamma**t)


def inverse(rate: float, gamma: float, power: float = 1.0) -> Schedule:
    """rate / (1 + gamma t)^power; power 0.5 for the inverse square root."""
    rate, gamma = positive("the rate of inverse", rate), positive("gamma of inverse", gamma)
    power = positive("power of inverse", power)
    text = written("inverse", [("", rate, None), ("", gamma, None), ("power", power, 1.0)])
    return Schedule(text, lambda t: rate / (1 + gamma * t) ** power)


def polynomial(rate: float, steps: int, end: float = 0.0, power: float = 1.0) -> Schedule:
    """end + (rate - end) (1 - t / steps)^power, then end."""
    rate, steps, end = checked("polynomial", rate, steps, end)
    power = positive("power of polynomial", power)
    arguments = [("", rate, None), ("", steps, None), ("end", end, 0.0), ("power", power, 1.0)]
    return Schedule(
        written("polynomial", arguments),
        lambda t: between(rate, end, (1 - f.minimum(t, steps) / steps) ** power),
    )


def linear(rate: float, steps: int, end: float = 0.0) -> Schedule:
    """From rate to end in a straight line of so many steps, then end; end may be the larger."""
    rate, steps, end = checked("linear", rate, steps, end)
    text = written("linear", [("", rate, None), ("", steps, None), ("end", end, 0.0)])
    return Schedule(text, lambda t: rate + (end - rate) * f.minimum(t, steps) / steps)


def cosine(rate: float, steps: int, end: float = 0.0) -> Schedule:
    """From rate to end along half a cosine (Loshchilov and Hutter, 2017), then end."""
    rate, steps, end = checked("cosine", rate, steps, end)
    text = written("cosine", [("", rate, None), ("", steps, None), ("end", end, 0.0)])
    return Schedule(text, lambda t: between(rate, end, half_cosine(f.minimum(t, steps) / steps)))


def sigmoid(rate: float, middle: float, steepness: float, end: float = 0.0) -> Schedule:
    """end + (rate - end) σ(-steepness (t - middle)): high, and after `middle` low."""
    rate, middle = positive("the rate of sigmoid", rate), not_negative("middle of sigmoid", middle)
    slope, end = positive("steepness of sigmoid", steepness), not_negative("end of sigmoid", end)
    arguments = [("", rate, None), ("", middle, None), ("", slope, None), ("end", end, 0.0)]
    return Schedule(
        written("sigmoid", arguments),
        lambda t: between(rate, end, f.sigmoid(-slope * (t - middle))),
    )


def checked(name: str, rate: Any, steps: Any, end: Any) -> tuple[float, int, float]:
    return (
        positive(f"the rate of {name}", rate),
        counted(f"the steps of {name}", steps),
        not_negative(f"the end of {name}", end),
    )


def between(rate: float, end: float, share: Any) -> Any:
    """end + (rate - end) share."""
    return end + (rate - end) * share if end else rate * share


def half_cosine(share: Any) -> Any:
    """From 1 to 0 as share runs from 0 to 1."""
    return 0.5 * (1 + f.cos(math.pi * share))
