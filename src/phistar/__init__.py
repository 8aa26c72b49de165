"""phistar compiles equations into training programs.

    import phistar as ph

What the user writes comes from `phistar.language`; training, data and the rest are imported when
they are first used, so that `import phistar` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from phistar import errors as errors
from phistar.errors import (
    BackendError,
    CompileError,
    DataError,
    DefinitionError,
    DTypeError,
    ExpressionError,
    GradientMismatch,
    IndexRangeError,
    ModelError,
    NotFiniteError,
    ParseError,
    PhistarError,
    ProgramError,
    ShapeError,
    SnapshotError,
    SnapshotWarning,
    SubscriptError,
    SummationError,
    UsageError,
    WeightsError,
)
from phistar.language.evaluation import seed
from phistar.language.functions import (
    abs,
    arccos,
    arcsin,
    arctan,
    cast,
    ceil,
    celu,
    clip,
    cos,
    cosh,
    elementwise,
    elu,
    equal,
    erf,
    erfc,
    exp,
    expm1,
    floor,
    gelu,
    hard_sigmoid,
    hard_swish,
    hardtanh,
    isinf,
    isnan,
    leaky_relu,
    log,
    log1p,
    log_sigmoid,
    maximum,
    minimum,
    mish,
    not_equal,
    reciprocal,
    relu,
    relu6,
    round,
    rsqrt,
    selu,
    sigmoid,
    sign,
    silu,
    sin,
    sinh,
    softplus,
    softsign,
    sqrt,
    square,
    stop_gradient,
    tan,
    tanh,
    where,
)
from phistar.language.gradients import backward_source, backward_steps, source
from phistar.language.indices import index, indices
from phistar.language.models import Model
from phistar.language.randomness import bernoulli, normal, uniform
from phistar.language.reductions import (
    all,
    any,
    argmax,
    argmin,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    prod,
    softmax,
    sum,
)
from phistar.language.scans import scan
from phistar.language.subscripts import first, last, pad
from phistar.language.tensors import Parameter, Tensor, param, state, tensor, tensors
from phistar.language.traced import Program, trace
from phistar.language.transformations import (
    grad,
    jit,
    per_example_grad,
    value_and_grad,
    vmap,
)
from phistar.language.verification import check_gradients

if TYPE_CHECKING:
    from phistar import data as data
    from phistar import init as init
    from phistar import losses as losses
    from phistar import metrics as metrics
    from phistar import nn as nn
    from phistar import optim as optim
    from phistar import parameters as parameters
    from phistar import zoo as zoo
    from phistar.hub.loading import pretrained as pretrained
    from phistar.ir.check import check as check
    from phistar.ir.parser import parse as parse
    from phistar.optim import schedules as schedules
    from phistar.optim.adafactor import Adafactor as Adafactor
    from phistar.optim.adagrad import AdaGrad as AdaGrad
    from phistar.optim.adam import Adam as Adam
    from phistar.optim.adam import AdamW as AdamW
    from phistar.optim.lbfgs import LBFGS as LBFGS
    from phistar.optim.lion import Lion as Lion
    from phistar.optim.muon import Muon as Muon
    from phistar.optim.nadam import NAdam as NAdam
    from phistar.optim.radam import RAdam as RAdam
    from phistar.optim.rmsprop import RMSProp as RMSProp
    from phistar.optim.sgd import SGD as SGD
    from phistar.parameters.freezing import freeze as freeze
    from phistar.parameters.freezing import unfreeze as unfreeze
    from phistar.parameters.saving import load as load
    from phistar.parameters.saving import save as save
    from phistar.training.algorithm import compile as compile
    from phistar.training.alternating import alternate as alternate
    from phistar.training.evaluating import evaluate as evaluate
    from phistar.training.evaluating import predict as predict
    from phistar.training.exporting import export_c as export_c
    from phistar.training.fitting import fit as fit
    from phistar.training.history import History as History
    from phistar.training.interruption import Interrupted as Interrupted
    from phistar.training.snapshots import Snapshot as Snapshot
    from phistar.training.snapshots import Snapshots as Snapshots

__version__ = "0.1.0"

# What is imported when it is first used: the name, and where it is ("" for a module of its own).
# fmt: off
LATER: dict[str, str] = {
    "data": "", "init": "", "losses": "", "metrics": "", "nn": "", "optim": "",
    "parameters": "",
    "pretrained": "phistar.hub.loading",
    "zoo": "",
    "Adafactor": "phistar.optim.adafactor",
    "AdaGrad":  "phistar.optim.adagrad",
    "Adam":     "phistar.optim.adam",
    "AdamW":    "phistar.optim.adam",
    "LBFGS":    "phistar.optim.lbfgs",
    "Lion":     "phistar.optim.lion",
    "Muon":     "phistar.optim.muon",
    "NAdam":    "phistar.optim.nadam",
    "RAdam":    "phistar.optim.radam",
    "RMSProp":  "phistar.optim.rmsprop",
    "schedules": "phistar.optim",
    "SGD":      "phistar.optim.sgd",
    "alternate": "phistar.training.alternating",
    "compile":  "phistar.training.algorithm",
    "fit":      "phistar.training.fitting",
    "evaluate": "phistar.training.evaluating",
    "predict":  "phistar.training.evaluating",
    "export_c": "phistar.training.exporting",
    "Interrupted": "phistar.training.interruption",
    "History":  "phistar.training.history",
    "Snapshot": "phistar.training.snapshots.snapshot",
    "Snapshots": "phistar.training.snapshots.wishes",
    "save":     "phistar.parameters.saving",
    "load":     "phistar.parameters.saving",
    "freeze":   "phistar.parameters.freezing",
    "unfreeze": "phistar.parameters.freezing",
    "parse":    "phistar.ir.parser",
    "check":    "phistar.ir.check",
}
# fmt: on


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module 'phistar' has no attribute {name!r}")
    home = LATER[name]
    made = getattr(import_module(home), name) if home else import_module(f"phistar.{name}")
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})


__all__ = [
    *(name for name in globals() if not name.startswith("_")),
    *LATER,
]
