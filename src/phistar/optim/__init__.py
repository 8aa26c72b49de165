"""Optimizers: pairs of initial states and update equations, in phistar's own notation."""

from phistar.optim import schedules
from phistar.optim.adabelief import AdaBelief
from phistar.optim.adafactor import Adafactor
from phistar.optim.adagrad import AdaDelta, AdaGrad
from phistar.optim.adam import Adam, AdamW, AMSGrad
from phistar.optim.adamax import AdaMax
from phistar.optim.exponentiated import ExponentiatedGradient
from phistar.optim.ftrl import Ftrl
from phistar.optim.layerwise import LAMB, LARS
from phistar.optim.lbfgs import LBFGS
from phistar.optim.lion import Lion
from phistar.optim.muon import Muon
from phistar.optim.nadam import NAdam
from phistar.optim.optimizer import Optimizer
from phistar.optim.radam import RAdam
from phistar.optim.rmsprop import RMSProp
from phistar.optim.rprop import Rprop
from phistar.optim.sgd import SGD
from phistar.optim.smorms3 import SMORMS3

__all__ = [
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "SMORMS3",
    "AMSGrad",
    "AdaBelief",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adafactor",
    "Adam",
    "AdamW",
    "ExponentiatedGradient",
    "Ftrl",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "Rprop",
    "schedules",
]
