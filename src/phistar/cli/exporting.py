"""`phistar export`: a recipe's training, or what a trained model says, as C that builds anywhere.

phistar export mnist-mlp --out folder             the whole training, with its data
phistar export runs/mnist-mlp-... --out folder    the model of a run, for a batch of examples
"""

import argparse
from pathlib import Path
from typing import Any

from phistar.cli.evaluate import find, trained
from phistar.cli.objectives import algorithms
from phistar.cli.recipes import RECIPES, recipe
from phistar.errors import UsageError
from phistar.training.columns import asked_by, mode
from phistar.training.exporting import export_c


def run(args: argparse.Namespace) -> None:
    folder = Path(args.what).is_dir() or args.weights is not None
    files = model(args) if folder or args.what not in RECIPES else training(args)
    print(f"{args.out}: {', '.join(path.name for path in files if path.parent == args.out)}")
    print(f"build it with: cd {args.out} && cc -O3 *.c -lm")


def training(args: argparse.Namespace) -> list[Path]:
    """The recipe's training, all epochs of it."""
    chosen = recipe(args.what)
    train, _ = chosen.data()
    size = chosen.batch_size if args.batch_size is None else args.batch_size
    whole = train[: len(train) // size * size]
    if not len(whole):
        raise UsageError(f"{chosen.name} has {len(train):,} examples, fewer than a batch of {size}")
    epochs = chosen.epochs if args.epochs is None else args.epochs
    optimizer = chosen.training(chosen.rate, epochs * (len(whole) // size))
    made = algorithms(chosen, chosen.model(), optimizer, whole.spec(size), epochs, "c")
    if len(made) > 1:
        raise UsageError(
            f"{chosen.name} has {len(made)} objectives in turns: export what it has learnt, "
            "phistar export RUN"
        )
    return export_c(next(iter(made.values())), args.out, data=whole, seed=args.seed)


def model(args: argparse.Namespace) -> list[Path]:
    """What a trained model says of a batch of examples."""
    chosen, weights = find(args.what, args.weights)
    chosen.refuse_to_predict()
    net, test = trained(chosen, weights)
    size = min(1 if args.batch_size is None else args.batch_size, len(test))
    columns = asked_by(net, test.batch(slice(0, size)), given=0)

    def predict(net: Any, **columns: Any) -> Any:
        return net(**columns)

    def of(*arrays: Any) -> Any:
        return predict(net, **dict(zip(columns, arrays, strict=True)))

    with mode(net, training=False):
        return export_c(of, args.out, *columns.values(), name="predict")
