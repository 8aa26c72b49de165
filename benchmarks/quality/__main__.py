"""The table of what is reached: a row a recipe, by seed, the median, and what is wanted of it."""

import argparse
from collections.abc import Callable
from statistics import median

from benchmarks.quality.accuracy import accuracy
from benchmarks.quality.elbo import ratio_to_torch

Measure = Callable[[str, int, int | None], float]

# What is measured of a recipe's model, and the least or the most of its median.
# fmt: off
ROWS: dict[str, tuple[Measure, str, float]] = {
    "logistic": (accuracy,       "test accuracy, %, at least",                              92.0),
    "mlp":      (accuracy,       "test accuracy, %, at least",                              98.3),
    "lenet":    (accuracy,       "test accuracy, %, at least",                              99.0),
    "vae":      (ratio_to_torch, "|1 - ELBO / PyTorch's|, of the test set, %, at most",      1.0),
}
# fmt: on


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=list(ROWS), help=", ".join(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    args = parser.parse_args()
    lines = []
    for name in args.recipes:
        measure, what, wanted = ROWS[name]
        found = [measure(name, seed, args.epochs) for seed in args.seeds]
        reached = median(found)
        good = reached >= wanted if "least" in what else reached <= wanted
        cells = [
            *(name, f"{what} {wanted:g}"),
            ", ".join(f"{value:.2f}" for value in found),
            *(f"{reached:.2f}", "yes" if good else "NO"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    seeds = ", ".join(map(str, args.seeds))
    print(f"\n| recipe | measured | seeds {seeds} | median | reached |\n|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
