"""Pieces of updates that many optimizers share: states like a parameter, decay, norms.

g = Φ.grad + decay Φ;   Φ = (1 - rate decay) Φ;   |Φ| = sqrt(Σ Φ²)
"""

from collections.abc import Callable
from typing import Any

from phistar.ir.dtypes import DType
from phistar.language.expression import Index
from phistar.language.functions import cast, sqrt
from phistar.language.reductions import sum as sum_over
from phistar.language.tensors import Parameter, Tensor, state
from phistar.optim.writing import rate_at, scalar

Letters = tuple[Index, ...]


def like(parameter: Parameter, *names: str, init: float = 0) -> dict[str, Parameter]:
    """States of a parameter's shape and type, by name."""
    return {n: state(parameter.shape, init=init, dtype=parameter.dtype) for n in names}


def decayed(parameter: Parameter, weight_decay: float) -> Any:
    """The gradient of the loss with weight_decay / 2 * Σ Φ² added to it."""
    if not weight_decay:
        return parameter.grad[...]
    return parameter.grad[...] + weight_decay * parameter[...]


def shrink(parameter: Parameter, rate: Any, weight_decay: float, step: Tensor) -> None:
    """Decoupled weight decay: the parameter loses rate * weight_decay of itself."""
    if not weight_decay:
        return
    share: Any = 1 - weight_decay * rate_at(rate, step)
    key = (rate, weight_decay, step)
    kept = scalar("kept", key, parameter, lambda: share) if callable(rate) else share
    parameter[...] = kept * parameter[...]


def letters(parameter: Tensor, *taken: str) -> Letters:
    """An index for each axis, named as the model's equations name them where they agree."""
    names = parameter.definition.index_names
    known = [n for n in names if n is not None]
    usable = len(set(known)) == len(names) and not {*known} & {*taken}
    return tuple(Index(n) for n in (known if usable else [f"n{k}" for k in range(len(names))]))


def total(parameter: Tensor, element: Callable[[Letters], Any]) -> Any:
    """Σ over all axes of element(indices)."""
    indices = letters(parameter)
    return sum_over[indices](element(indices)) if indices else element(())


def norm(tensor: Tensor, of: Tensor | None = None) -> Any:
    """sqrt(Σ tensor²); of: the parameter whose axes it has."""
    return sqrt(total(tensor if of is None else of, lambda n: tensor[n] ** 2))


def as_type(dtype: DType, e: Any, own: DType) -> Any:
    """e, whose type is own, in another type; as it is if that is the same."""
    return e if own is dtype else cast(e, dtype)


def named(name: str) -> Tensor:
    """A tensor for a value between the equations of an update."""
    return Tensor(name)


def part_of(parameter: Parameter, word: str) -> Tensor:
    """A tensor of a parameter's update, with the parameter's name in front: W.step."""
    return named(f"{parameter.name}.{word}")
