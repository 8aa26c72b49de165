"""Each objective of a recipe as a training algorithm, and their texts one below the other."""

from collections.abc import Mapping
from typing import Any

from phistar import optim
from phistar.cli.recipes.recipe import Recipe
from phistar.data.dataset import BatchSpec
from phistar.language.models import Model
from phistar.training.algorithm import Algorithm, compile


def algorithms(
    chosen: Recipe,
    model: Model,
    optimizer: optim.Optimizer,
    batch: BatchSpec,
    epochs: int,
    backend: str | None = None,
) -> dict[str, Algorithm]:
    """The algorithm of each objective, by the part of the model that it trains."""
    return {
        part: compile(
            loss,
            model,
            optimizer=optim.Groups({f"{part}.*": optimizer, "*": None}) if part else optimizer,
            batch=batch,
            epochs=epochs,
            backend=backend,
        )
        for part, loss in chosen.losses.items()
    }


def listed(texts: Mapping[str, Any]) -> str:
    """Texts by the part of the model they are about, under its name where there are several."""
    return "\n\n".join(f"# {part}\n{text}" if part else str(text) for part, text in texts.items())
