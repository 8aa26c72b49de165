"""`phistar eval RUN` and `phistar predict RUN`: a trained model on the recipe's test set."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from phistar.cli.recipes import Recipe, recipe
from phistar.cli.runs import MODEL, newest_run, read_record
from phistar.cli.train import shown
from phistar.data import Dataset
from phistar.errors import UsageError
from phistar.language.models import Model
from phistar.parameters.saving import load
from phistar.training.evaluating import evaluate, predict


def measure(args: argparse.Namespace) -> None:
    """Print the loss and the metrics on the test set."""
    chosen, model, test = trained(args)
    results = evaluate(
        model,
        chosen.loss,
        test,
        chosen.metrics,
        batch_size=args.batch_size,
        backend=args.backend,
    )
    for name, value in results.items():
        print(f"test {name} {shown(name, value)}")


def write_predictions(args: argparse.Namespace) -> None:
    """Write the model's output for every example of the test set."""
    _, model, test = trained(args)
    output: Any = predict(model, test, batch_size=args.batch_size, backend=args.backend)
    with args.out.open("wb") as file:
        np.save(file, output)
    print(f"{args.out}: {output.dtype} {output.shape}, a row for each of {len(test):,} examples")


def trained(args: argparse.Namespace) -> tuple[Recipe, Model, Dataset]:
    """The recipe, its model with the weights asked for, and its test set."""
    chosen, weights = find(args.what, args.weights)
    model = chosen.model()
    load(model, weights)
    return chosen, model, chosen.data()[1]


def find(what: str, weights: Path | None) -> tuple[Recipe, Path]:
    """The recipe and the weights of a run, or of a recipe: those given, else its newest run's."""
    folder = Path(what)
    if folder.is_dir():
        return recipe(read_record(folder)["recipe"]), weights or folder / MODEL
    if "/" in what:
        raise UsageError(f"there is no folder {what}")
    chosen = recipe(what)
    return chosen, weights or newest_run(chosen.name) / MODEL
