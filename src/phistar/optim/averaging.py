"""Averages of the weights, kept beside them as states and used for evaluation.

EMA:  A = Φ after the first update;  A = d A + (1 - d) Φ after each later one
SWA:  A += (Φ - A) / (n + 1) after the update at every so many steps;     n counts what A has so far
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from phistar.errors import UsageError
from phistar.language import scope
from phistar.language.expression import lift
from phistar.language.functions import cast, equal, where
from phistar.language.models import Model
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, write
from phistar.optim.parts import like, named
from phistar.optim.settings import counted, fraction, rest, whole
from phistar.optim.wrapper import Wrapper, beside, own_and_inside
from phistar.optim.writing import shared_state

Made = WeakKeyDictionary[Parameter, list[tuple[Parameter, Parameter]]]
Averages = Mapping[Parameter, Parameter]


@dataclass(frozen=True, repr=False, eq=False)
class Averaging(Wrapper):
    """An optimizer that keeps an average of each parameter; `averaged` gives it to the model."""

    made: Made = field(default_factory=WeakKeyDictionary, init=False, repr=False, kw_only=True)

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """The average, beside the states of the optimizer inside."""
        return beside(super().states(parameter), "average", like(parameter, "average")["average"])

    def update_all(self, states: Kept, step: Tensor) -> None:
        """The equations inside, then those of the averages."""
        owns = {p: own_and_inside(kept, "average") for p, kept in states.items()}
        write(self.optimizer, {p: inside for p, (_, inside) in owns.items()}, step)
        count = shared_state(self, self.name.lower(), "count", dtype="i64")
        for parameter, (average, _) in owns.items():
            made = self.made.setdefault(parameter, [])
            if (average, count) not in made:
                made.append((average, count))
        self.average({p: own for p, (own, _) in owns.items()}, count, step)

    @abstractmethod
    def average(self, averages: Averages, count: Parameter, step: Tensor) -> None:
        """The equations of the averages, and of how many values are in them."""

    @contextmanager
    def averaged(self, model: Model) -> Iterator[Model]:
        """Inside, the model's parameters have their averages: to evaluate, predict or save.

            with ema.averaged(model):
                ph.evaluate(model, loss, test)

        Raises UsageError if no training with this optimizer has averaged any of them.
        """
        before = {p: p.data for p in model.parameters.values() if self.latest(p) is not None}
        if not before:
            raise UsageError(
                f"{self!r} has no averages for {type(model).__name__}: "
                "train it first, ph.fit(..., optimizer=this)"
            )
        try:
            for parameter in before:
                give(parameter, self.latest(parameter))
            yield model
        finally:
            for parameter, data in before.items():
                give(parameter, data)

    def latest(self, parameter: Parameter) -> Any:
        """The average of the last training that made one."""
        for average, count in reversed(self.made.get(parameter, ())):
            if count.data is not None and count.data > 0:
                return average.data
        return None


def give(parameter: Parameter, data: Any) -> None:
    parameter.data = data
    parameter.version += 1


@dataclass(frozen=True, repr=False, eq=False)
class EMA(Averaging):
    """An exponential moving average of the weights, `EMA(Adam(1e-3), 0.999)` (Polyak and Juditsky,
    1992; Tarvainen and Valpola, 2017).

    decay: how much of the average remains at each update. `with ema.averaged(model):` evaluates,
    predicts or saves with the averages. The model's own states (running means) are not averaged.
    Raises UsageError for a decay that is not from 0 to below 1.
    """

    name: ClassVar[str] = "EMA"
    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "decay", fraction("the decay of EMA", self.decay))

    def average(self, averages: Averages, count: Parameter, step: Tensor) -> None:
        """The equations above."""
        for parameter, A in averages.items():
            moved = self.decay * A[...] + rest(self.decay) * parameter[...]
            A[...] = where(equal(count, 0), parameter[...], moved)
        count[()] += 1  # type: ignore[misc]


@dataclass(frozen=True, repr=False, eq=False)
class SWA(Averaging):
    """The plain average of the weights after every `every` updates, once there were `start` of them
    (stochastic weight averaging, Izmailov et al., 2018).

    `with swa.averaged(model):` evaluates, predicts or saves with the averages. The model's own
    states (running means) are not averaged. Raises UsageError for numbers outside their ranges.
    """

    name: ClassVar[str] = "SWA"
    start: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("the start of SWA", self.start)
        counted("the every of SWA", self.every)

    def average(self, averages: Averages, count: Parameter, step: Tensor) -> None:
        """The equations above."""
        taken, done = named("taken"), step + 1 - self.start
        taken[()] = (done > 0) & equal(done % self.every, 0)
        with scope.updates_only_if(lift(taken)):
            for parameter, A in averages.items():
                n = cast(count, parameter.dtype)
                A[...] += (parameter[...] - A[...]) / (n + 1)  # type: ignore[misc]
            count[()] += 1  # type: ignore[misc]
