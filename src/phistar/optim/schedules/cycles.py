"""Rates that rise and fall: cosines that start again, one cycle, many cycles."""

import math
from typing import Any

from phistar.errors import UsageError
from phistar.language import functions as f
from phistar.optim.schedules.decays import between, checked, half_cosine
from phistar.optim.schedules.schedule import Schedule
from phistar.optim.settings import counted, fraction, one_of, positive, written

NEAR = 1e-10  # the logarithm of a restart's step may be a little less than a whole number


def cosine_restarts(rate: float, steps: int, growth: int = 1, end: float = 0.0) -> Schedule:
    """Half cosines from rate to end, begun anew (Loshchilov and Hutter, 2017): the first of so many
    steps, each later one `growth` times as long.
    """
    rate, steps, end = checked("cosine_restarts", rate, steps, end)
    growth = counted("the growth of cosine_restarts", growth)

    def share(t: Any) -> Any:
        if growth == 1:
            return t % steps / steps
        longer = f.log(1 + t * ((growth - 1) / steps)) / math.log(growth)
        length = growth ** f.floor(longer + NEAR)  # of this one, in first ones
        return (t - steps * (length - 1) / (growth - 1)) / (steps * length)

    arguments = [("", rate, None), ("", steps, None), ("growth", growth, 1), ("end", end, 0.0)]
    return Schedule(
        written("cosine_restarts", arguments), lambda t: between(rate, end, half_cosine(share(t)))
    )


def one_cycle(
    max_rate: float,
    steps: int,
    rise: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    anneal: str = "cos",
    three_phase: bool = False,
) -> Schedule:
    """Up to max_rate and down again (Smith and Topin, 2018), then at its last rate.

    Begins at max_rate / div_factor, is highest after the fraction `rise` of the steps, and ends at
    the first rate / final_div_factor. anneal: "cos" or "linear". three_phase: back to the first
    rate as fast as it rose, then down to the last.
    """
    top = positive("the max_rate of one_cycle", max_rate)
    steps = counted("the steps of one_cycle", steps)
    rise = fraction("rise of one_cycle", rise)
    begin = top / positive("div_factor of one_cycle", div_factor)
    least = begin / positive("final_div_factor of one_cycle", final_div_factor)
    one_of("cos", "linear")("anneal of one_cycle", anneal)
    if rise * steps <= 1:
        raise UsageError(f"one_cycle must rise for at least one step: rise={rise} of {steps} steps")
    if three_phase and 2 * rise * steps - 2 >= steps - 1:
        raise UsageError(f"one_cycle rises and falls in more than its {steps} steps: rise={rise}")
    ends = [rise * steps - 1, steps - 1.0]
    rates = [begin, top, least]
    if three_phase:
        ends, rates = (
            [rise * steps - 1, 2 * rise * steps - 2, steps - 1.0],
            [begin, top, begin, least],
        )
    phases = list(zip([0.0, *ends], ends, rates, rates[1:], strict=False))

    def phase(t: Any, start: float, stop: float, low: float, high: float) -> Any:
        share = f.minimum((t - start) / (stop - start), 1)
        return high + (low - high) * (half_cosine(share) if anneal == "cos" else 1 - share)

    def formula(t: Any) -> Any:
        now = phase(t, *phases[-1])
        for part in reversed(phases[:-1]):
            now = f.where(t <= part[1], phase(t, *part), now)
        return now

    arguments = [
        ("", top, None), ("", steps, None), ("rise", rise, 0.3), ("div_factor", div_factor, 25.0),
        ("final_div_factor", final_div_factor, 1e4), ("anneal", anneal, "cos"),
        ("three_phase", three_phase, False),
    ]  # fmt: skip
    return Schedule(written("one_cycle", arguments), formula)


def cyclic(
    rate: float,
    max_rate: float,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: float = 1.0,
) -> Schedule:
    """From rate to max_rate and back, again and again (Smith, 2017).

    step_size_down: as many steps as up unless given. mode: "triangular", "triangular2" (each cycle
    half as high as the one before) or "exp_range" (the height times gamma^t).
    """
    low = positive("the rate of cyclic", rate)
    height = positive("the max_rate of cyclic", max_rate) - low
    if height <= 0:
        raise UsageError(f"the max_rate {max_rate} of cyclic must be greater than its rate, {low}")
    up = counted("step_size_up of cyclic", step_size_up)
    down = counted("step_size_down of cyclic", up if step_size_down is None else step_size_down)
    one_of("triangular", "triangular2", "exp_range")("mode of cyclic", mode)
    gamma = positive("gamma of cyclic", gamma)

    def formula(t: Any) -> Any:
        place = t % (up + down)
        share = f.minimum(place / up, (up + down - place) / down)
        scale: Any = {"triangular": 1.0, "exp_range": gamma**t}.get(mode)
        if mode == "triangular2":
            scale = 0.5 ** f.floor(t / (up + down))
        return low + height * share * scale

    arguments = [
        ("", low, None), ("", max_rate, None), ("", up, None),
        ("step_size_down", step_size_down, None), ("mode", mode, "triangular"),
        ("gamma", gamma, 1.0),
    ]  # fmt: skip
    return Schedule(written("cyclic", arguments), formula)
