"""Functions that change what flows backward and leave what flows forward.

scaled     y[...] = s x[...] + stop_gradient((1 - s) x[...])
reversed   the same with s = -scale
"""

from typing import Any

import phistar as ph
from phistar.errors import DTypeError, UsageError
from phistar.language.tensors import Tensor


def scale_gradient(x: Any, s: float) -> Tensor:
    """x, whose gradient is s times what it would be: x (...) -> (...).

    Raises UsageError for what is no tensor or a factor that is no number, DTypeError for whole
    numbers, which have no gradient.
    """
    return scaled(x, "s", s, "scale_gradient")


def reverse_gradient(x: Any, scale: float = 1.0) -> Tensor:
    """x, whose gradient is -scale times what it would be (Ganin and Lempitsky 2015).

    Raises as `scale_gradient` does.
    """
    return scaled(x, "scale", scale, "reverse_gradient", -1)


def scaled(x: Any, what: str, s: Any, name: str, sign: int = 1) -> Tensor:
    if not isinstance(x, Tensor):
        raise UsageError(f"{name} takes a tensor, not {type(x).__name__}")
    if isinstance(s, bool) or not isinstance(s, int | float):
        raise UsageError(f"{what} of {name} must be a number, not {s!r}")
    if not x.dtype.is_float:
        raise DTypeError(f"{name} takes floating numbers, not {x.dtype.value}")
    y, s = Tensor("y"), sign * s
    y[...] = s * x[...] + ph.stop_gradient((1 - s) * x[...])
    return y
