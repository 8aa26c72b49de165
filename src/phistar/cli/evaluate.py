"""`phistar eval RUN` and `phistar predict RUN`: a trained model on the recipe's test set."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from phistar.cli.recipes import recipe
from phistar.cli.recipes.recipe import Recipe
from phistar.cli.runs import MODEL, newest_run, read_record
from phistar.cli.train import shown
from phistar.data import Dataset
from phistar.errors import UsageError
from phistar.language.models import Model
from phistar.parameters.saving import load
from phistar.training.evaluating import evaluate, predict


def measure(args: argparse.Namespace) -> None:
    """Print the loss and the metrics on the test set."""
    chosen, weights = find(args.what, args.weights)
    model, test = trained(chosen, weights)
    for part, loss in chosen.losses.items():
        results = evaluate(
            model,
            loss,
            test,
            chosen.metrics,
            batch_size=args.batch_size,
            backend=args.backend,
        )
        for name, value in results.items():
            print(" ".join(["test", *([part] if part else []), name, shown(name, value)]))


def write_predictions(args: argparse.Namespace) -> None:
    """Write the model's output for every example of the test set."""
    chosen, weights = find(args.what, args.weights)
    chosen.refuse_to_predict()
    model, test = trained(chosen, weights)
    output: Any = predict(model, test, batch_size=args.batch_size, backend=args.backend)
    with args.out.open("wb") as file:
        np.save(file, output)
    print(f"{args.out}: {output.dtype} {output.shape}, a row for each of {len(test):,} examples")


def trained(chosen: Recipe, weights: Path) -> tuple[Model, Dataset]:
    """The recipe's model with those weights, and its test set."""
    model = chosen.model()
    load(model, weights)
    return model, chosen.data()[1]


def find(what: str, weights: Path | None) -> tuple[Recipe, Path]:
    """The recipe and the weights of a run, or of a recipe: those given, else its newest run's."""
    folder = Path(what)
    if folder.is_dir():
        return recipe(read_record(folder)["recipe"]), weights or folder / MODEL
    if "/" in what:
        raise UsageError(f"there is no folder {what}")
    chosen = recipe(what)
    return chosen, weights or newest_run(chosen.name) / MODEL
