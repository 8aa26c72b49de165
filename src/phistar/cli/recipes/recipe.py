"""What a recipe is: a model, what it minimises, data and settings that work.

Most recipes have one loss, a function of the model and the data's columns, whatever it measures:
-ln P(y|x), an ELBO, noise predicted. A recipe with several objectives names the part of the model
that each of them trains: {"discriminator": loss_d, "generator": loss_g}.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar import optim
from phistar.data import Dataset
from phistar.errors import UsageError
from phistar.ir.dtypes import as_dtype
from phistar.language.models import Model
from phistar.training.history import History

Loss = Callable[..., Any]
Rng = np.random.Generator
Columns = Mapping[str, tuple[tuple[int, ...], str]]
Batch = dict[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Recipe:
    """What `phistar train NAME` trains, and how if not told otherwise.

    loss: a function of the model and of columns; or several, by the part of the model each trains.
    data: the training set and the test set. columns: the form of one example, by column: its shape
    and its type. small: a model so small, with a minibatch, that `phistar check` can hold each
    statement against finite differences. optimizer: from its rate, which may be a schedule.
    schedule: the rate and the number of steps -> the rate at each step. metrics: the first is
    plotted; without any it is the loss. measured: the sets on which loss and metrics are measured
    after each epoch. output: what a row of `phistar predict` holds, None if it makes no sense for
    this model, and then `instead` says why. fit: what trains, with the arguments of `ph.fit`, if
    that is not `ph.fit`.
    """

    name: str
    summary: str
    model: Callable[[], Model]
    loss: Loss | Mapping[str, Loss]
    data: Callable[[], tuple[Dataset, Dataset]]
    columns: Columns
    small: Callable[[Rng], tuple[Model, Batch]]
    optimizer: Callable[[Any], optim.Optimizer]
    rate: float
    epochs: int
    batch_size: int
    schedule: Callable[[float, int], Any] | None = None
    metrics: tuple[Any, ...] = ()
    measured: tuple[str, ...] = ("train", "test")
    output: str | None = "P(y|x)"
    instead: str = ""
    fit: Callable[..., History] | None = None

    @property
    def losses(self) -> Mapping[str, Loss]:
        """Every objective by the part it trains; "" is the whole model."""
        return self.loss if isinstance(self.loss, Mapping) else {"": self.loss}

    @property
    def plotted(self) -> str:
        """What the plot shows after each epoch."""
        first = (*self.metrics, "loss")[0]
        return str(getattr(first, "name", None) or getattr(first, "__name__", first))

    def training(self, rate: float, steps: int) -> optim.Optimizer:
        """The optimizer for so many steps."""
        return self.optimizer(rate if self.schedule is None else self.schedule(rate, steps))

    def example(self, examples: int) -> Dataset:
        """Data of the right form, all zeros: enough to trace and print."""
        return Dataset(
            **{
                name: np.zeros((examples, *shape), as_dtype(dtype).numpy)
                for name, (shape, dtype) in self.columns.items()
            }
        )

    def minimal(self, seed: int) -> tuple[Model, Batch]:
        """The small model, initialised, and its minibatch, of the columns' types."""
        model, batch = self.small(np.random.default_rng(seed))
        model.initialize(seed)
        types = {name: as_dtype(dtype).numpy for name, (_, dtype) in self.columns.items()}
        return model, {name: np.asarray(x, types[name]) for name, x in batch.items()}

    def refuse_to_predict(self) -> None:
        """UsageError if the model says nothing of an example."""
        if self.output is None:
            raise UsageError(f"{self.name} predicts nothing: {self.instead}")
