"""A whole training algorithm as one object, `ph.compile(...)`, that prints as source.

for each epoch: shuffle; for each minibatch: forward, backward, update
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.contract import Compiled
from phistar.data.dataset import BatchSpec
from phistar.errors import UsageError
from phistar.ir.program import Program
from phistar.language.models import Model
from phistar.language.tensors import Parameter, Tensor
from phistar.optim import Optimizer
from phistar.training.columns import check_model, mode
from phistar.training.loop import Form, Loop, form_of
from phistar.training.steps import States, Step, make_step

Array = np.ndarray[Any, Any]
Values = dict[Tensor, Array]


class Algorithm:
    """Forward, backward and update for one minibatch, compiled; and the loops around them.

    step: the program of one step. compiled: that program, compiled. states: what the optimizer
    keeps beside each parameter, by name. shared: what it keeps beside none.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        model: Model,
        optimizer: Optimizer,
        batch: BatchSpec,
        *,
        epochs: int | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        backend: str | None = None,
    ) -> None:
        self.loss, self.model, self.optimizer, self.batch = loss, model, optimizer, batch
        self.epochs, self.shuffle, self.drop_last = epochs, shuffle, drop_last
        self.backend = backend
        self.states: States = {}
        self.shared: dict[str, Parameter] = {}
        self._steps: dict[int, Step] = {}
        self._compiled: dict[int, Compiled] = {}
        self._loops: dict[tuple[int, Form], Loop] = {}
        self.parts = self.step_for(batch.size)

    @property
    def step(self) -> Program:
        """One step as a program: forward, backward, update."""
        return self.parts.program

    def __str__(self) -> str:
        from phistar.training.listing import listing

        return listing(self)

    @property
    def compiled(self) -> Compiled:
        """That program, compiled."""
        return self.compiled_for(self.batch.size)

    def step_for(self, size: int) -> Step:
        """The step for a minibatch of that many examples."""
        if size not in self._steps:
            with mode(self.model, training=True):
                spec = self.batch.resized(size)
                step = make_step(
                    self.loss, self.model, self.optimizer, self.states, self.shared, spec
                )
            self._steps[size] = step
        return self._steps[size]

    def compiled_for(self, size: int) -> Compiled:
        """The compiled step for a minibatch of that many examples."""
        if size not in self._compiled:
            self._compiled[size] = compiler.compile(self.step_for(size).program, self.backend)
        return self._compiled[size]

    def initial_values(self, seed: int) -> Values:
        """Every parameter and state, the optimizer's too; those without a value get their first."""
        from phistar.language import initial

        self.model.initialize(seed)
        kept: dict[Tensor, None] = dict.fromkeys(
            [*self.model.named_tensors().values(), *self.parts.kept.values()]
        )
        for tensor in kept:
            if tensor.data is None and isinstance(tensor, Parameter):
                initial.materialize(tensor, seed)
        return {tensor: data for tensor in kept if (data := tensor.data) is not None}

    def run(
        self, values: Values, columns: Mapping[str, Array], seed: int = 0, number: int = 0
    ) -> tuple[float, Values]:
        """One step: the loss of the minibatch, and the values after the update.

        number: which step this is, from 0 on; random fields are a function of it and of the seed.
        """
        size = len(next(iter(columns.values())))
        step = self.step_for(size)
        results = self.compiled_for(size)(inputs_of(step, values, columns, number), seed, number)
        new = {owner: results[name] for name, owner in step.kept.items() if name in results}
        return float(results[step.loss.name]), {**values, **new}

    def steps(
        self,
        values: Values,
        columns: Mapping[str, Any],
        rows: Array,
        seed: int = 0,
        number: int = 0,
    ) -> tuple[Array, Values]:
        """Many steps in one call: the loss of each, and the values after the last.

        columns: whole columns by name, arrays or `ph.data.Column`. rows: the examples of each
        minibatch, whole numbers [steps, batch]. number: which step the first is. The minibatches
        are gathered by the compiled program where the backend compiles loops.
        """
        loop = self._loop_for(rows.shape[1], columns)
        losses, new = loop.run(values, columns, rows, seed, number)
        return losses, {**values, **new}

    def _loop_for(self, size: int, columns: Mapping[str, Any]) -> Loop:
        """The compiled loop over steps of that many examples."""
        form = form_of(columns)
        if (size, form) not in self._loops:
            self._loops[size, form] = Loop(self.step_for(size), columns, self.backend)
        return self._loops[size, form]


def inputs_of(
    step: Step, values: Values, columns: Mapping[str, Array], number: int
) -> dict[str, Array]:
    """The arrays a step reads, by the names of its inputs."""
    given = step.values(values)
    given |= {name: columns[symbol.name] for name, symbol in step.columns.items()}
    if step.counter is not None:
        given[step.counter] = np.asarray(number, np.int64)
    return given


def compile(
    loss: Callable[..., Any],
    model: Model,
    *,
    optimizer: Optimizer,
    batch: BatchSpec,
    epochs: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    backend: str | None = None,
) -> Algorithm:
    """The training algorithm for a loss: printed, it is source, from the epoch loop to the update.

    loss: a function `loss(model, x, label)` that names the columns it reads; averaged over its
    batch index if it keeps one. batch: what a minibatch looks like, `data.spec(128)`. Raises
    DataError if the data lacks a column that the loss asks for.
    """
    check_model(model)
    check_optimizer(optimizer)
    if not isinstance(batch, BatchSpec):
        raise UsageError(f"batch= wants the form of a minibatch, data.spec(128), not {batch!r}")
    return Algorithm(
        loss,
        model,
        optimizer,
        batch,
        epochs=epochs,
        shuffle=shuffle,
        drop_last=drop_last,
        backend=backend,
    )


def check_optimizer(optimizer: Any) -> None:
    """UsageError if it does not have the methods of an optimizer."""
    updates = hasattr(optimizer, "update") or hasattr(optimizer, "update_all")
    if not (hasattr(optimizer, "states") and updates):
        raise UsageError(f"optimizer= wants an optimizer, such as ph.SGD(0.1), not {optimizer!r}")


def store(values: Values) -> None:
    """Give parameters and states these values."""
    for tensor, array in values.items():
        if tensor.data is not array:
            tensor.data = array
            tensor.version += 1
