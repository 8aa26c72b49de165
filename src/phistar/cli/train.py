"""`phistar train RECIPE`: train, and leave the model, the source and the plot in a folder."""

import argparse
import inspect
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from phistar.cli.objectives import algorithms, listed
from phistar.cli.recipes import recipe
from phistar.cli.recipes.recipe import Recipe
from phistar.cli.runs import (
    MODEL,
    PLOT,
    SNAPSHOTS,
    SOURCE,
    new_folder,
    read_record,
    run_to_resume,
    write_record,
)
from phistar.compiler import default_backend
from phistar.errors import PhistarError, UsageError
from phistar.language.models import Model
from phistar.parameters.saving import load, save
from phistar.training.fitting import fit
from phistar.training.history import History
from phistar.training.interruption import Interrupted
from phistar.training.snapshots import Snapshots


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    earlier = run_to_resume(chosen.name, args.out) if args.resume else None
    settings = settings_of(args, chosen, earlier)
    train, test = chosen.data()
    model = chosen.model()
    if args.weights is not None:
        print(load(model, args.weights))
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
    training: Callable[..., History] = chosen.fit or fit
    refuse_snapshots(args, chosen, training)
    folder = earlier or new_folder(chosen.name, args.out)
    print(
        f"{chosen.name}: {len(train):,} examples to train on, {len(test):,} to test on; "
        f"{optimizer}, batch {settings['batch_size']}, seed {settings['seed']}, "
        f"backend {settings['backend']}"
    )
    sets = {"train": train, "test": test}
    if earlier is None:
        write_record(folder, record(chosen, History(), settings, finished=False))
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
            **snapshot_options(args, folder, training),
        )
    except Interrupted as stopped:
        leave(folder, chosen, model, source, stopped.history, settings)
        raise
    leave(folder, chosen, model, source, history, settings)


def settings_of(args: argparse.Namespace, chosen: Recipe, earlier: Path | None) -> dict[str, Any]:
    """What was asked for; else what the run that goes on had; else what the recipe says."""
    had = read_record(earlier).get("settings", {}) if earlier else {}
    asked = {
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "rate": args.lr,
        "seed": args.seed,
        "backend": args.backend,
    }
    usual = {
        "epochs": chosen.epochs,
        "batch_size": chosen.batch_size,
        "rate": chosen.rate,
        "seed": 0,
        "backend": default_backend(),
    }
    return {
        name: had.get(name, usual[name]) if value is None else value
        for name, value in asked.items()
    }


def takes(training: Callable[..., History], name: str) -> bool:
    """Whether what trains a recipe has an argument of that name."""
    parameters = inspect.signature(training).parameters.values()
    return any(p.name == name or p.kind is p.VAR_KEYWORD for p in parameters)


def refuse_snapshots(
    args: argparse.Namespace, chosen: Recipe, training: Callable[..., History]
) -> None:
    """UsageError if snapshots are asked for and the recipe trains in a way that takes none."""
    asked = args.resume or args.snapshot_every or args.snapshot_minutes or args.best or args.until
    if asked and not takes(training, "snapshots"):
        raise UsageError(f"{chosen.name} trains in a way of its own, which takes no snapshots")
    if args.nonfinite == "skip" and not takes(training, "nonfinite"):
        raise UsageError(f"{chosen.name} trains in a way of its own, which skips no steps")


def snapshot_options(
    args: argparse.Namespace, folder: Path, training: Callable[..., History]
) -> dict[str, Any]:
    """The arguments of fit that say where snapshots go and whether to go on from one."""
    if not takes(training, "snapshots"):
        return {}
    wishes = Snapshots(
        folder / SNAPSHOTS,
        every=args.snapshot_every,
        minutes=args.snapshot_minutes,
        keep=args.keep,
        best=args.best,
        until=args.until,
    )
    return {
        "snapshots": wishes,
        "resume": args.resume,
        "force": args.force,
        **({} if args.nonfinite == "stop" else {"nonfinite": args.nonfinite}),
    }


def enough(history: History, settings: dict[str, Any]) -> bool:
    """Whether all epochs are done."""
    return bool(len(history.epochs) >= settings["epochs"])


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
    write_record(folder, record(chosen, history, settings, enough(history, settings)))
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


def record(
    chosen: Recipe, history: History, settings: dict[str, Any], finished: bool
) -> dict[str, Any]:
    """What run.json keeps."""
    from phistar import __version__

    epochs = [
        {"epoch": e.number, "loss": e.loss, **e.metrics, "seconds": round(e.seconds, 3)}
        for e in history.epochs
    ]
    return {
        "recipe": chosen.name,
        "settings": settings,
        "finished": finished,
        "steps": len(history.losses),
        "epochs": epochs,
        "phistar": __version__,
        "python": platform.python_version(),
    }
