"""What the equations of one update share: numbers written once, states of no parameter, the loss.

rate = 0.1 * (1 + cos(π now / 1000)) / 2          once, not again for each parameter
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from phistar.errors import UsageError
from phistar.ir.dtypes import DType
from phistar.language.functions import cast
from phistar.language.tensors import Parameter, Tensor, state, tensors

Rate: TypeAlias = float | Callable[[Any], Any]  # a number, or a function of the step number


@dataclass(eq=False)
class Writing:
    """The update that is being written.

    loss: of this step's minibatch, before the update. shared: states beside no parameter, by name;
    they last longer than this object, which is made for each size of a minibatch.
    """

    loss: Tensor
    shared: dict[str, Parameter]
    known: dict[Hashable, Tensor] = field(default_factory=dict)
    done: set[Hashable] = field(default_factory=set)
    owners: list[tuple[Any, str]] = field(default_factory=list)


_writing: ContextVar[Writing | None] = ContextVar("phistar_writing", default=None)


@contextmanager
def writing(now: Writing) -> Iterator[Writing]:
    """Equations written inside are of this update."""
    token = _writing.set(now)
    try:
        yield now
    finally:
        _writing.reset(token)


def current() -> Writing:
    """The update that is being written; UsageError outside of one."""
    now = _writing.get()
    if now is None:
        raise UsageError("this is known only while an optimizer's equations are written")
    return now


def training_loss() -> Tensor:
    """The loss of the step's minibatch, a tensor without axes, for an optimizer's equations."""
    return current().loss


def once(name: str, key: Hashable, value: Callable[[], Any]) -> Tensor:
    """A tensor without axes for all parameters: its equation is written when it is first asked for.

    key: what the value depends on besides the name.
    """
    known = current().known
    if (name, key) not in known:
        made = tensors(name)
        assert isinstance(made, Tensor)
        made[()] = value()
        known[name, key] = made
    return known[name, key]


def first_time(key: Hashable) -> bool:
    """Whether this update asks for the first time: for equations that stand in it once."""
    known = current().done
    if key in known:
        return False
    known.add(key)
    return True


def shared_state(
    owner: Any,
    prefix: str,
    name: str,
    shape: tuple[int, ...] = (),
    init: float = 0,
    dtype: str | DType = DType.F64,
) -> Parameter:
    """What is kept from step to step beside no parameter: the state `<prefix>.<name>`.

    owner: the optimizer or schedule whose state it is; another owner's has another prefix.
    """
    now = current()
    alike = [o for o, p in now.owners if p == prefix]
    number = next((n for n, o in enumerate(alike, 1) if o is owner), len(alike) + 1)
    if number > len(alike):
        now.owners.append((owner, prefix))
    full = f"{prefix}{number if number > 1 else ''}.{name}"
    if full not in now.shared:
        now.shared[full] = state(shape, init=init, dtype=dtype)
        now.shared[full].name = full
    return now.shared[full]


def rate_of(rate: Any, parameter: Parameter, step: Tensor) -> Any:
    """A rate in the type of a parameter: the number, or what the schedule says at this step."""
    if not callable(rate):
        return rate
    key = (rate, parameter.dtype, step)
    return once("rate", key, lambda: cast(rate(now_of(step)), parameter.dtype))


def rate_at(rate: Any, step: Tensor) -> Any:
    """A rate for numbers that are computed from it: in f64."""
    if not callable(rate):
        return rate
    return once("rate", (rate, DType.F64, step), lambda: cast(rate(now_of(step)), DType.F64))


def now_of(step: Tensor) -> Tensor:
    """The step number as schedules get it, in f64."""
    return once("now", (step,), lambda: cast(step, DType.F64))


def number_of(step: Tensor) -> Tensor:
    """t = 1, 2, ... as papers count, in f64: 1 - 0.999^t has no digits to lose."""
    return once("t", (step,), lambda: cast(step + 1, DType.F64))


def scalar(name: str, key: Hashable, parameter: Parameter, value: Callable[[], Any]) -> Tensor:
    """A number for all parameters of one type, computed in f64."""
    dtype = parameter.dtype
    return once(name, (key, dtype), lambda: value() if dtype is DType.F64 else cast(value(), dtype))
