"""The words of the command line: what each command takes, with help that teaches by examples."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from phistar.compiler import BACKENDS
from phistar.errors import UsageError, suggestion

EXAMPLES = """\
examples:
  phistar train mnist-mlp                   train on MNIST; model, source and plot go to runs/
  phistar train mnist-mlp --epochs 3 --lr 0.2 --seed 1
  phistar eval runs/mnist-mlp-20260101-120000
  phistar show mnist-mlp --backward         the equations and their backward program
  phistar check mnist-mlp                   each backward statement, held against differences
  phistar data list                         the data sets that come by name
  phistar info                              versions, backends, folders

files: PHISTAR_DATA names a folder with data sets, PHISTAR_HOME one for phistar's own files.
"""
TRAIN_EXAMPLES = """\
examples:
  phistar train mnist-mlp
  phistar train mnist-mlp --epochs 3 --batch-size 64 --lr 0.05 --out runs/slow
  phistar train mnist-mlp --resume          go on with the last run, stopped in whatever way

The folder then holds model.safetensors, algorithm.txt (the whole algorithm as source), plot.png
run.json (the settings and the results) and snapshots/ (docs/snapshots.md).
"""
EVAL_EXAMPLES = """\
examples:
  phistar eval runs/mnist-mlp-20260101-120000
  phistar eval mnist-mlp                    the newest run of that recipe under runs/
  phistar eval mnist-mlp --weights model.safetensors
"""
TIME_EXAMPLES = """examples:
  phistar time mnist-mlp                    where a step's time goes, on the c backend
  phistar time mnist-mlp --batch-size 32
"""
CHECK_EXAMPLES = """\
examples:
  phistar check mnist-mlp                   a verdict on each backward statement
  phistar check mnist-mlp --seed 1          at other values

The model is a small one of the same equations. The exit status is 1 if a statement is wrong.
"""
RESUME_EXAMPLES = """\
examples:
  phistar verify-resume mnist-mlp           two trainings, one of them stopped, bit by bit
  phistar verify-resume mnist-mlp --steps 2000 --stops 10 --kills 10

Every part runs in a process of its own. Exit status 1 if one bit differs.
"""
EXPORT_EXAMPLES = """examples:
  phistar export mnist-mlp --out mnist-c --epochs 2     the whole training, with its data
  phistar export runs/mnist-mlp-mine --out mlp-c        what the trained model says
"""
DATA_EXAMPLES = """\
examples:
  phistar data list                         every set: examples, bytes, where it is, licence
  phistar data get cifar10                  fetch it, check it, keep it
  phistar data show mnist                   the first pictures, in mnist.png
  phistar data show sst --examples 5 --seed 1

docs/datasets.md has their columns and sources.
"""
SHOW_EXAMPLES = """\
examples:
  phistar show mnist-mlp                    the forward program: the loss, statement by statement
  phistar show mnist-mlp --backward         and the backward program
  phistar show mnist-mlp --algorithm        the epoch loop, the minibatch, every update
  phistar show mnist-mlp --latex            for a paper
  phistar show mnist-mlp --c                the C that runs
"""


class Parser(argparse.ArgumentParser):
    """Mistakes are UsageErrors of one line, which name the nearest word that there is."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")

    def options(self) -> list[str]:
        """Every option this parser takes."""
        return [o for a in self._actions for o in a.option_strings if o.startswith("--")]


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command's settings; `run` is the function that does it. Raises UsageError."""
    parser, commands = make_parser()
    if not argv:
        parser.print_help(sys.stdout)
        raise SystemExit(0)
    if not argv[0].startswith("-") and argv[0] not in commands:
        raise UsageError(f"there is no command {argv[0]!r}: {suggestion(argv[0], commands)}")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        refuse_unknown(unknown[0], innermost(commands.get(argv[0], parser), argv[1:]))
    return args


def innermost(parser: Parser, words: Sequence[str]) -> Parser:
    """The parser of an action, if the command has actions and the next word is one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words and words[0] in action.choices:
            found: Parser = action.choices[words[0]]
            return found
    return parser


def refuse_unknown(word: str, parser: Parser) -> NoReturn:
    name = word.partition("=")[0]
    if not name.startswith("-"):
        raise UsageError(f"{word!r} is one word too many (see {parser.prog} --help)")
    raise UsageError(f"there is no option {name}: {suggestion(name, parser.options())}")


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command, and those of its subcommands by name."""
    from phistar import __version__

    parser = Parser(
        prog="phistar",
        description="phistar compiles equations into training programs.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"phistar {__version__}")
    under = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands = {
        "train": train(under),
        "eval": evaluation(
            under, "eval", "measure a trained model on the test set", "evaluate:measure"
        ),
        "predict": prediction(under),
        "show": show(under),
        "check": check(under),
        "verify-resume": verifying(under),
        "time": timing(under),
        "export": exporting(under),
        "data": datasets(under),
        "info": info(under),
    }
    return parser, commands


def command(under: Any, name: str, summary: str, epilog: str, run: str) -> Parser:
    """A subcommand; `run`, "module:function", is imported when it runs."""
    made: Parser = under.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog
    )
    made.set_defaults(run=Later(run))
    return made


class Later:
    """A function that is imported when it is called."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __call__(self, args: argparse.Namespace) -> None:
        module, _, function = self.where.partition(":")
        getattr(import_module(f"phistar.cli.{module}"), function)(args)


def train(under: Any) -> Parser:
    made = command(under, "train", "train a recipe", TRAIN_EXAMPLES, "train:run")
    made.add_argument("recipe", metavar="RECIPE", help=recipes())
    made.add_argument("--epochs", type=whole(0), help="passes over the training set")
    made.add_argument("--batch-size", type=whole(1), help="examples in a minibatch")
    made.add_argument("--lr", type=float, help="the rate of the optimizer")
    made.add_argument("--seed", type=whole(0), help="parameters and order follow from it")
    made.add_argument("--out", type=Path, help="folder of the run; default runs/RECIPE-TIME")
    made.add_argument(
        "--weights", type=Path, help="begin with those of a file: safetensors, .pth, .npz, .h5"
    )
    add_backend(made)
    add_snapshots(made)
    return made


def add_snapshots(parser: Parser) -> None:
    """What `phistar train` takes for trainings that survive anything."""
    at = parser.add_argument_group("stopping and going on")
    at.add_argument(
        "--resume", action="store_true", help="go on with a run: --out, or the last of the recipe"
    )
    at.add_argument(
        "--force", action="store_true", help="go on though settings or data have changed"
    )
    at.add_argument("--snapshot-every", type=whole(1), metavar="STEPS", help="take a snapshot so")
    at.add_argument(
        "--snapshot-minutes", type=positive, metavar="M", help="or so; 5 if nothing is said"
    )
    at.add_argument("--keep", type=whole(1), default=3, help="how many of the last stay; 3")
    at.add_argument(
        "--best", metavar="METRIC", help='the best by it stays too: "test accuracy", "test loss"'
    )
    at.add_argument("--until", type=whole(1), metavar="STEP", help="save and leave there")
    at.add_argument(
        "--nonfinite", choices=("stop", "skip"), default="stop", help="what a NaN does; stop"
    )


def evaluation(under: Any, name: str, summary: str, run: str) -> Parser:
    made = command(under, name, summary, EVAL_EXAMPLES, run)
    add_trained(made)
    return made


def prediction(under: Any) -> Parser:
    summary = "write what a trained model says of the test set"
    made = evaluation(under, "predict", summary, "evaluate:write_predictions")
    made.add_argument(
        "--out", type=Path, default=Path("predictions.npy"), help="a NumPy file, a row an example"
    )
    return made


def show(under: Any) -> Parser:
    made = command(under, "show", "print a recipe's equations", SHOW_EXAMPLES, "show:run")
    made.add_argument("recipe", metavar="RECIPE", help=recipes())
    made.add_argument("--backward", action="store_true", help="the backward program too")
    made.add_argument("--algorithm", action="store_true", help="the whole training algorithm")
    made.add_argument("--latex", action="store_true", help="as LaTeX")
    made.add_argument("--c", action="store_true", help="the C that a step of training becomes")
    made.add_argument("--batch-size", type=whole(1), help="examples in a minibatch")
    return made


def check(under: Any) -> Parser:
    summary = "hold every backward statement of a recipe's model against finite differences"
    made = command(under, "check", summary, CHECK_EXAMPLES, "checking:run")
    made.add_argument("recipe", metavar="RECIPE", help=recipes())
    made.add_argument("--seed", type=whole(0), default=0, help="values follow from it")
    return made


def verifying(under: Any) -> Parser:
    summary = "prove that a recipe's training stops and goes on with the same bits"
    made = command(under, "verify-resume", summary, RESUME_EXAMPLES, "verify_resume:run")
    made.add_argument("recipe", metavar="RECIPE", help=recipes())
    made.add_argument("--steps", type=whole(2), default=100, help="how many steps are compared")
    made.add_argument("--stops", type=whole(1), default=3, help="how often one of them is stopped")
    made.add_argument("--kills", type=whole(0), default=2, help="how often it is killed; 2")
    made.add_argument("--batch-size", type=whole(1), help="examples in a minibatch")
    made.add_argument("--seed", type=whole(0), default=0, help="the training's, and of the stops")
    add_backend(made)
    return made


def timing(under: Any) -> Parser:
    summary = "time each equation of a step of training: forward, backward, update"
    made = command(under, "time", summary, TIME_EXAMPLES, "timing:run")
    made.add_argument("recipe", metavar="RECIPE", help=recipes())
    made.add_argument("--batch-size", type=whole(1), help="examples in a minibatch")
    made.add_argument("--steps", type=whole(1), default=200, help="how many steps are timed")
    return made


def exporting(under: Any) -> Parser:
    summary = "write a recipe's training, or a trained model, as C that builds without Python"
    made = command(under, "export", summary, EXPORT_EXAMPLES, "exporting:run")
    made.add_argument("what", metavar="RECIPE", help="a recipe: its training; a run: its model")
    made.add_argument("--out", type=Path, required=True, help="an empty folder, or one to make")
    made.add_argument("--weights", type=Path, help="a recipe's model with the weights of a file")
    made.add_argument("--epochs", type=whole(1), help="passes over the training set")
    made.add_argument("--batch-size", type=whole(1), help="examples in a minibatch, or in a call")
    made.add_argument("--seed", type=whole(0), default=0, help="parameters and order follow")
    return made


def datasets(under: Any) -> Parser:
    made = command(
        under, "data", "list, fetch and look at data sets", DATA_EXAMPLES, "datasets:list_sets"
    )
    inner = made.add_subparsers(title="actions", metavar="ACTION", required=True)
    command(inner, "list", "list the data sets and where they are", "", "datasets:list_sets")
    getting = command(inner, "get", "fetch a data set, if it is not here", "", "datasets:get")
    getting.add_argument("name", metavar="NAME", help="as `phistar data list` has it")
    showing = command(inner, "show", "pictures or texts of a data set", "", "datasets:show")
    showing.add_argument("name", metavar="NAME", help="as `phistar data list` has it")
    showing.add_argument("--examples", type=whole(1), help="how many; 160 pictures, 3 texts")
    showing.add_argument("--test", action="store_true", help="those of the test set")
    showing.add_argument("--seed", type=whole(0), help="chosen at random; the first ones if absent")
    showing.add_argument("--out", type=Path, help="file of the pictures; NAME.png")
    return made


def info(under: Any) -> Parser:
    return command(under, "info", "print versions, backends and folders", "", "info:run")


def add_trained(parser: Parser) -> None:
    parser.add_argument("what", metavar="RUN", help="folder of a run, or the name of a recipe")
    parser.add_argument(
        "--weights", type=Path, help="a file or folder of weights: safetensors, .pth, .npz, .h5"
    )
    parser.add_argument("--batch-size", type=whole(1), default=1000, help="examples at a time")
    add_backend(parser)


def add_backend(parser: Parser) -> None:
    parser.add_argument(
        "--backend", type=backend, help=f"{', '.join(BACKENDS)}; default PHISTAR_BACKEND"
    )


def whole(least: int) -> Callable[[str], int]:
    """Reads a whole number that is not less than the least."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"wants a whole number from {least} on, not {text}")
        return int(text)

    return read


def positive(text: str) -> float:
    """Reads a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"wants a number above 0, not {text}")
    return number


def backend(name: str) -> str:
    if name not in BACKENDS:
        raise argparse.ArgumentTypeError(f"there is no {name!r}: {suggestion(name, BACKENDS)}")
    return name


def recipes() -> str:
    from phistar.cli.recipes import RECIPES

    return "; ".join(f"{name}: {r.summary}" for name, r in RECIPES.items()).replace("%", "%%")
