"""Optimizers: pairs of initial states and update equations, in phistar's own notation."""

from phistar.optim.adam import Adam, AdamW
from phistar.optim.optimizer import Optimizer
from phistar.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
