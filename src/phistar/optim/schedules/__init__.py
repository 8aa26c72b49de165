"""Rates that change as training goes on: equations of the step number, 0 at the first update.

    ph.Adam(ph.schedules.warmup(100, ph.schedules.cosine(1e-3, steps=2000)))

Every optimizer's rate may be a number, one of these, or any function of the step number, which is
then written with phistar's functions: `lambda step: 0.1 / ph.sqrt(step + 1)`. The equation is part
of the compiled step. For a plain number these give a plain number: `cosine(1e-3, 2000)(500)`.
"""

from phistar.optim.schedules.cycles import cosine_restarts, cyclic, one_cycle
from phistar.optim.schedules.decays import (
    constant,
    cosine,
    exponential,
    inverse,
    linear,
    multistep,
    polynomial,
    sigmoid,
    step,
)
from phistar.optim.schedules.joined import chained, warmup
from phistar.optim.schedules.plateau import plateau
from phistar.optim.schedules.schedule import Schedule

__all__ = [
    "Schedule",
    "chained",
    "constant",
    "cosine",
    "cosine_restarts",
    "cyclic",
    "exponential",
    "inverse",
    "linear",
    "multistep",
    "one_cycle",
    "plateau",
    "polynomial",
    "sigmoid",
    "step",
    "warmup",
]
