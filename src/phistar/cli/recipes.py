"""Recipes: a model, its loss, its data and settings that work, under a name for the command line.

A new recipe is a new row of RECIPES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from phistar import optim
from phistar.data import Dataset, mnist
from phistar.errors import UsageError, suggestion
from phistar.ir.dtypes import as_dtype
from phistar.language.models import Model
from phistar.zoo import mnist_mlp


@dataclass(frozen=True)
class Recipe:
    """What `phistar train NAME` trains, and how if not told otherwise.

    columns: the form of one example, by column: its shape and its type.
    """

    name: str
    summary: str
    model: Callable[[], Model]
    loss: Callable[..., Any]
    data: Callable[[], tuple[Dataset, Dataset]]
    columns: dict[str, tuple[tuple[int, ...], str]]
    optimizer: Callable[[float], optim.Optimizer]
    rate: float
    epochs: int
    batch_size: int
    metrics: tuple[str, ...] = ("accuracy",)

    def example(self, examples: int) -> Dataset:
        """Data of the right form, all zeros: enough to trace and print."""
        return Dataset(
            **{
                name: np.zeros((examples, *shape), as_dtype(dtype).numpy)
                for name, (shape, dtype) in self.columns.items()
            }
        )


RECIPES: dict[str, Recipe] = {
    r.name: r
    for r in (
        Recipe(
            name="mnist-mlp",
            summary="handwritten digits, one hidden layer of 128: about 98 % after 10 epochs",
            model=mnist_mlp.MLP,
            loss=mnist_mlp.loss,
            data=mnist,
            columns={"x": ((784,), "f32"), "label": ((), "i64")},
            optimizer=optim.SGD,
            rate=0.5,  # at 0.1 ten epochs end at 96.9 %, in PyTorch as here; at 0.5 at 97.9 %
            epochs=10,
            batch_size=128,
        ),
    )
}


def recipe(name: str) -> Recipe:
    """The recipe of that name; UsageError with the nearest name if there is none."""
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}: {suggestion(name, RECIPES)}")
    return RECIPES[name]
