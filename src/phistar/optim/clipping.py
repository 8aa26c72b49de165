"""Gradient clipping, around any optimizer: by the norm of all gradients together, or by value.

norm = sqrt(Σ over all parameters of g²);  g = g * min(1, most / (norm + 1e-6))
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

from phistar.language.functions import clip, minimum, sqrt
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept
from phistar.optim.parts import as_type, named, total
from phistar.optim.settings import positive
from phistar.optim.wrapper import Wrapper, common_type

SMALL = 1e-6  # as in PyTorch: a gradient of 0 stays 0


@dataclass(frozen=True, repr=False, eq=False)
class ClipNorm(Wrapper):
    """What `clip_norm` makes."""

    name: ClassVar[str] = "clip_norm"
    norm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "norm", positive("the norm of clip_norm", self.norm))

    def update_all(self, states: Kept, step: Tensor) -> None:
        """The equations above, then those inside."""
        dtype, norm, scale = common_type(states), named("norm"), named("scale")
        squares = [as_type(dtype, square(p), p.dtype) for p in states]
        norm[()] = sqrt(reduce(lambda a, b: a + b, squares))
        scale[()] = minimum(1, self.norm / (norm + SMALL))
        self.with_gradients(
            states, step, "clipped", lambda p, n: as_type(p.dtype, scale, dtype) * p.grad[n]
        )


def square(parameter: Parameter) -> Any:
    """Σ g²."""
    return total(parameter, lambda n: parameter.grad[n] ** 2)


def clip_norm(optimizer: Any, norm: float) -> ClipNorm:
    """Make all gradients smaller by one factor where their norm, taken together, is larger
    (Pascanu et al., 2013; `torch.nn.utils.clip_grad_norm_`). Raises UsageError for a norm that is
    not positive.
    """
    return ClipNorm(optimizer, norm)


@dataclass(frozen=True, repr=False, eq=False)
class ClipValue(Wrapper):
    """What `clip_value` makes."""

    name: ClassVar[str] = "clip_value"
    value: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "value", positive("the value of clip_value", self.value))

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Clip each element, then the equations inside."""
        most = self.value
        self.with_gradients(states, step, "clipped", lambda p, n: clip(p.grad[n], -most, most))


def clip_value(optimizer: Any, value: float) -> ClipValue:
    """Clip every element of every gradient to [-value, value]. Raises UsageError for a value that
    is not positive.
    """
    return ClipValue(optimizer, value)
