"""Penalties and constraints on parameters, around any optimizer.

weight_decay:  Φ -= rate λ Φ, before the update          l2:  g + λ Φ          l1:  g + λ sign(Φ)
max_norm:      Φ_i *= min(1, most / |Φ_i|) for each row i, after the update
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from phistar.language.functions import sign, sqrt, where
from phistar.language.reductions import sum as sum_over
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, write
from phistar.optim.parts import Letters, letters, part_of, shrink
from phistar.optim.settings import not_negative, positive
from phistar.optim.settings import rate as rate_or_schedule
from phistar.optim.wrapper import Wrapper
from phistar.optim.writing import Rate


@dataclass(frozen=True, repr=False, eq=False)
class WeightDecay(Wrapper):
    """What `weight_decay` makes."""

    name: ClassVar[str] = "weight_decay"
    decay: float
    own_rate: Rate | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        decay = not_negative("the decay of weight_decay", self.decay)
        object.__setattr__(self, "decay", decay)
        if self.own_rate is not None:
            rate_or_schedule("the rate of weight_decay", self.own_rate)
        else:
            _ = self.rate

    @property
    def rate(self) -> Any:
        """That of the optimizer inside, if no other is given."""
        return super().rate if self.own_rate is None else self.own_rate

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Every parameter shrinks, then the equations inside."""
        for parameter in states:
            shrink(parameter, self.rate, self.decay, step)
        write(self.optimizer, states, step)


def weight_decay(optimizer: Any, decay: float, rate: Rate | None = None) -> WeightDecay:
    """Decoupled weight decay (Loshchilov and Hutter, 2019): before each update every parameter
    loses rate * decay of itself.

    rate: that of the optimizer unless given; optimizers without one rate, such as Groups, want it.
    Raises UsageError if there is none, and for a decay below 0.
    """
    return WeightDecay(optimizer, decay, rate)


@dataclass(frozen=True, repr=False, eq=False)
class L2(Wrapper):
    """What `l2` makes."""

    name: ClassVar[str] = "l2"
    penalty: float

    def __post_init__(self) -> None:
        super().__post_init__()
        penalty = not_negative(f"the penalty of {self.name}", self.penalty)
        object.__setattr__(self, "penalty", penalty)

    def update_all(self, states: Kept, step: Tensor) -> None:
        """The gradients with the penalty's, then the equations inside."""
        self.with_gradients(states, step, "penalized", self.penalized)

    def penalized(self, parameter: Parameter, n: Letters) -> Any:
        """g + λ Φ."""
        return parameter.grad[n] + self.penalty * parameter[n]


@dataclass(frozen=True, repr=False, eq=False)
class L1(L2):
    """What `l1` makes."""

    name: ClassVar[str] = "l1"

    def penalized(self, parameter: Parameter, n: Letters) -> Any:
        """g + λ sign(Φ)."""
        return parameter.grad[n] + self.penalty * sign(parameter[n])


def l2(optimizer: Any, penalty: float) -> L2:
    """Add penalty * Φ to each gradient, the derivative of penalty / 2 * Σ Φ². Raises UsageError for
    a penalty below 0.
    """
    return L2(optimizer, penalty)


def l1(optimizer: Any, penalty: float) -> L1:
    """Add penalty * sign(Φ) to each gradient, the derivative of penalty * Σ |Φ|. Raises UsageError
    for a penalty below 0.
    """
    return L1(optimizer, penalty)


@dataclass(frozen=True, repr=False, eq=False)
class MaxNorm(Wrapper):
    """What `max_norm` makes."""

    name: ClassVar[str] = "max_norm"
    norm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "norm", positive("the norm of max_norm", self.norm))

    def update_all(self, states: Kept, step: Tensor) -> None:
        """The equations inside, then every row that is too long is made shorter."""
        write(self.optimizer, states, step)
        for parameter in states:
            if len(parameter.shape) > 1:
                self.shorten(parameter)

    def shorten(self, parameter: Parameter) -> None:
        i, *rest = letters(parameter)
        length = part_of(parameter, "length")
        length[i] = sqrt(sum_over[tuple(rest)](parameter[i, *rest] ** 2))
        factor = where(length[i] > self.norm, self.norm / length[i], 1)
        parameter[i, *rest] = factor * parameter[i, *rest]


def max_norm(optimizer: Any, norm: float) -> MaxNorm:
    """After each update no row of a parameter (all axes but the first) is longer than norm
    (Srebro et al., 2005). Parameters with fewer than two axes are left alone. Raises UsageError for
    a norm that is not positive.
    """
    return MaxNorm(optimizer, norm)
