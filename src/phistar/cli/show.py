"""`phistar show RECIPE`: the equations, the backward program, the algorithm; text or LaTeX."""

import argparse
from dataclasses import replace

from phistar import compiler
from phistar.cli.recipes import Recipe, recipe
from phistar.errors import UsageError
from phistar.ir.printer import print_statements
from phistar.ir.program import Kind, Program
from phistar.language.traced import Program as Traced
from phistar.language.traced import trace
from phistar.training.algorithm import Algorithm, compile


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    size = chosen.batch_size if args.batch_size is None else args.batch_size
    if (args.algorithm or args.c) and args.latex:
        shown = "--algorithm" if args.algorithm else "--c"
        raise UsageError(f"{shown} is shown as text: leave out --latex")
    if args.c:
        print(c_source(chosen, size))
        return
    if args.algorithm:
        print(algorithm(chosen, size))
        return
    traced = forward(chosen, size)
    print(printed(traced.source, args.latex))
    if args.backward:
        print()
        print(printed(backward(traced), args.latex))


def forward(chosen: Recipe, size: int) -> Traced:
    """The loss of a minibatch as a program."""
    batch = chosen.example(size).batch(slice(None))
    return trace(chosen.loss, chosen.model(), **batch)


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


def algorithm(chosen: Recipe, size: int) -> Algorithm:
    """The whole training algorithm, for the recipe's own settings."""
    return compile(
        chosen.loss,
        chosen.model(),
        optimizer=chosen.optimizer(chosen.rate),
        batch=chosen.example(size).spec(size),
        epochs=chosen.epochs,
    )


def c_source(chosen: Recipe, size: int) -> str:
    """One step of training as C; no compiler is needed to look at it."""
    from phistar.backends.c.generate import generate

    return generate(compiler.lower(algorithm(chosen, size).step)).source
