"""`phistar time RECIPE`: time, FLOPs, bytes, share of the machine's limit, equation by equation."""

import argparse

import numpy as np

from phistar.cli.recipes import recipe
from phistar.cli.show import training
from phistar.ir.printer import print_assign
from phistar.training.timing import Times, measure


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    size = chosen.batch_size if args.batch_size is None else args.batch_size
    data = chosen.example(size * 50)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(data), (args.steps, size))
    for part, made in training(chosen, size).items():
        show(measure(made, data.columns, rows), f"{args.recipe} {part}".strip(), size)


def show(times: Times, name: str, size: int) -> None:
    from rich.console import Console
    from rich.table import Table

    title = f"{name}, a step of {size} examples: {times.seconds * 1e6:,.0f} µs"
    table = Table(title=title, box=None, expand=True)
    table.add_column("part", no_wrap=True, min_width=8)
    table.add_column("equations", overflow="ellipsis", no_wrap=True, ratio=1)
    for heading, width in (("µs", 7), ("%", 3), ("kFLOP", 7), ("kB", 6), ("of limit", 8)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    total = sum(t.seconds for t in times.nests)
    for timing in times.nests:
        first, *others = (print_assign(a) for a in timing.equations)
        table.add_row(
            timing.part,
            first + (f" ... and {len(others)} more" if others else ""),
            f"{timing.seconds * 1e6:,.1f}",
            f"{100 * timing.seconds / total:.0f}" if total else "",
            f"{timing.flops / 1e3:,.0f}",
            f"{timing.bytes / 1e3:,.0f}",
            f"{100 * times.share(timing):.0f} %",
        )
    console = Console(markup=False)
    console.print(table)
    for part in ("forward", "backward", "update"):
        seconds = sum(t.seconds for t in times.nests if t.part == part)
        console.print(f"{part:<9}{seconds * 1e6:10,.1f} µs")
    console.print(
        f"memory beside parameters and data: {times.memory / 1e6:,.1f} MB; the machine: "
        f"{times.peak / 1e9:,.0f} GFLOP/s, {times.bandwidth / 1e9:,.1f} GB/s from memory "
        "(what stays in a cache may pass 100 %)"
    )
