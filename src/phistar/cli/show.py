"""`phistar show RECIPE`: the equations, the backward program, the algorithm; text or LaTeX.

A recipe with several objectives shows each of them, under the part of the model that it trains.
"""

import argparse
from dataclasses import replace

from phistar import compiler
from phistar.cli.objectives import algorithms, listed
from phistar.cli.recipes import recipe
from phistar.cli.recipes.recipe import Loss, Recipe
from phistar.errors import UsageError
from phistar.ir.printer import print_statements
from phistar.ir.program import Kind, Program
from phistar.language.traced import Program as Traced
from phistar.language.traced import trace
from phistar.training.algorithm import Algorithm
from phistar.training.columns import asked_by


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    size = chosen.batch_size if args.batch_size is None else args.batch_size
    if (args.algorithm or args.c) and args.latex:
        shown = "--algorithm" if args.algorithm else "--c"
        raise UsageError(f"{shown} is shown as text: leave out --latex")
    if args.c:
        print(listed({part: c_source(a) for part, a in training(chosen, size).items()}))
    elif args.algorithm:
        print(listed(training(chosen, size)))
    else:
        print(listed({p: equations(chosen, f, size, args) for p, f in chosen.losses.items()}))


def equations(chosen: Recipe, loss: Loss, size: int, args: argparse.Namespace) -> str:
    """The forward statements of a loss, and the backward statements if they are asked for."""
    traced = forward(chosen, loss, size)
    shown = printed(traced.source, args.latex)
    return f"{shown}\n\n{printed(backward(traced), args.latex)}" if args.backward else shown


def forward(chosen: Recipe, loss: Loss, size: int) -> Traced:
    """The loss of a minibatch as a program."""
    batch = chosen.example(size).batch(slice(None))
    return trace(loss, chosen.model(), **asked_by(loss, batch))


def backward(traced: Traced) -> Program:
    """The backward statements, in the order in which they run."""
    wrt = [t for t in traced.source.inputs if t.kind is Kind.PARAMETER]
    made = compiler.differentiate(traced.source, traced.outputs[0], wrt, given=True)
    return replace(traced.source, statements=tuple(s for _, some in made.steps for s in some))


def printed(program: Program, as_latex: bool) -> str:
    if not as_latex:
        return print_statements(program)
    from phistar.ir.latex import latex_program

    return latex_program(program)


def training(chosen: Recipe, size: int) -> dict[str, Algorithm]:
    """The whole training algorithm of each objective, for the recipe's own settings."""
    batch = chosen.example(size).spec(size)
    optimizer = chosen.training(chosen.rate, chosen.epochs)
    return algorithms(chosen, chosen.model(), optimizer, batch, chosen.epochs)


def c_source(algorithm: Algorithm) -> str:
    """One step of training as C; no compiler is needed to look at it."""
    from phistar.backends.c.generate import generate

    return generate(compiler.lower(algorithm.step)).source
