"""`phistar check RECIPE`: a verdict on every backward statement of a recipe's small model.

Each backward statement is held against finite differences in f64; one that is wrong is named, and
the exit status is then 1.
"""

import argparse

from phistar import verify
from phistar.cli.recipes import recipe
from phistar.errors import GradientMismatch
from phistar.language.evaluation import seed
from phistar.language.verification import gradient_report
from phistar.training.columns import asked_by


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    seed(args.seed)
    wrong: list[str] = []
    for part, loss in chosen.losses.items():
        model, batch = chosen.minimal(args.seed)
        report = gradient_report(loss, (model,), asked_by(loss, batch))
        show(report, f"{chosen.name} {part}".strip())
        wrong += [v.statement for v in report.mismatches]
    if wrong:
        raise GradientMismatch(
            f"{len(wrong)} gradients of {chosen.name} disagree with finite differences, "
            f"the first of them\n  {wrong[0]}"
        )


def show(report: verify.Report, name: str) -> None:
    """The table of verdicts, and what they come to."""
    print(f"# {name}: every backward statement against finite differences, in f64")
    print(report)
    counts = {status: sum(v.status is status for v in report.verdicts) for status in verify.Status}
    said = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
    print(f"{len(report.verdicts)} verdicts: {said}")
