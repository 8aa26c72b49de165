"""`phistar train RECIPE`: train, and leave the model, the source and the plot in a folder."""

import argparse
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phistar.cli.objectives import algorithms, listed
from phistar.cli.recipes import recipe
from phistar.cli.recipes.recipe import Recipe
from phistar.cli.runs import MODEL, PLOT, SOURCE, new_folder, write_record
from phistar.compiler import default_backend
from phistar.errors import PhistarError
from phistar.language.models import Model
from phistar.parameters.saving import save
from phistar.training.fitting import fit
from phistar.training.history import History
from phistar.training.interruption import Interrupted


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    settings = {
        "epochs": chosen.epochs if args.epochs is None else args.epochs,
        "batch_size": chosen.batch_size if args.batch_size is None else args.batch_size,
        "rate": chosen.rate if args.lr is None else args.lr,
        "seed": args.seed,
        "backend": args.backend or default_backend(),
    }
    train, test = chosen.data()
    model = chosen.model()
    steps = settings["epochs"] * -(-len(train) // settings["batch_size"])
    optimizer = chosen.training(settings["rate"], steps)
    source = listed(
        algorithms(
            chosen,
            model,
            optimizer,
            train.spec(settings["batch_size"]),
            settings["epochs"],
            settings["backend"],
        )
    )
    folder = new_folder(chosen.name, args.out)
    print(
        f"{chosen.name}: {len(train):,} examples to train on, {len(test):,} to test on; "
        f"{optimizer}, batch {settings['batch_size']}, seed {settings['seed']}, "
        f"backend {settings['backend']}"
    )
    sets = {"train": train, "test": test}
    training: Callable[..., History] = chosen.fit or fit
    try:
        history = training(
            model,
            chosen.loss,
            train,
            optimizer=optimizer,
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            validation={n: d for n, d in sets.items() if n in chosen.measured},
            metrics=chosen.metrics,
            seed=settings["seed"],
            backend=settings["backend"],
        )
    except Interrupted as stopped:
        leave(folder, chosen, model, source, stopped.history, settings)
        raise
    leave(folder, chosen, model, source, history, settings)


def leave(
    folder: Path,
    chosen: Recipe,
    model: Model,
    source: str,
    history: History,
    settings: dict[str, Any],
) -> None:
    """Write everything into the run's folder, and say what is where."""
    save(model, folder / MODEL)
    (folder / SOURCE).write_text(source + "\n", encoding="utf-8")
    write_record(folder, record(chosen, history, settings))
    results = history.epochs[-1].metrics if history.epochs else {}
    for name, value in results.items():
        if name.startswith("test."):
            print(f"{name.replace('.', ' ')} {shown(name, value)}")
    print(f"model   {folder / MODEL}")
    print(f"source  {folder / SOURCE}")
    print(f"plot    {plot(history, folder / PLOT, chosen)}")


def shown(name: str, value: float) -> str:
    """97.65 % of an accuracy, 0.0812 of everything else."""
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:.4f}"


def plot(history: History, path: Path, chosen: Recipe) -> str:
    """Draw the plot; where it is, or why it is not."""
    from phistar.training.plotting import plot_history

    try:
        return str(plot_history(history, path, chosen.plotted))
    except PhistarError as error:
        return f"none: {error}"


def record(chosen: Recipe, history: History, settings: dict[str, Any]) -> dict[str, Any]:
    """What run.json keeps."""
    from phistar import __version__

    epochs = [
        {"epoch": e.number, "loss": e.loss, **e.metrics, "seconds": round(e.seconds, 3)}
        for e in history.epochs
    ]
    return {
        "recipe": chosen.name,
        "settings": settings,
        "steps": len(history.losses),
        "epochs": epochs,
        "phistar": __version__,
        "python": platform.python_version(),
    }
