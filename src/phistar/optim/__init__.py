"""Optimizers: pairs of initial states and update equations, in phistar's own notation."""

from phistar.optim import schedules
from phistar.optim.accumulating import accumulate
from phistar.optim.adabelief import AdaBelief
from phistar.optim.adafactor import Adafactor
from phistar.optim.adagrad import AdaDelta, AdaGrad
from phistar.optim.adam import Adam, AdamW, AMSGrad
from phistar.optim.adamax import AdaMax
from phistar.optim.averaging import EMA, SWA
from phistar.optim.clipping import clip_norm, clip_value
from phistar.optim.exponentiated import ExponentiatedGradient
from phistar.optim.ftrl import Ftrl
from phistar.optim.groups import Groups
from phistar.optim.layerwise import LAMB, LARS
from phistar.optim.lbfgs import LBFGS
from phistar.optim.lion import Lion
from phistar.optim.muon import Muon
from phistar.optim.nadam import NAdam
from phistar.optim.noise import SGLD, noise
from phistar.optim.optimizer import Optimizer
from phistar.optim.radam import RAdam
from phistar.optim.regularizing import l1, l2, max_norm, weight_decay
from phistar.optim.rmsprop import RMSProp
from phistar.optim.rprop import Rprop
from phistar.optim.sgd import SGD
from phistar.optim.smorms3 import SMORMS3

__all__ = [
    "EMA",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "SGLD",
    "SMORMS3",
    "SWA",
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
    "Groups",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "Rprop",
    "accumulate",
    "clip_norm",
    "clip_value",
    "l1",
    "l2",
    "max_norm",
    "noise",
    "schedules",
    "weight_decay",
]
