"""A history as a figure for a paper: the loss of every step, the accuracy after every epoch."""

from pathlib import Path
from typing import Any

import numpy as np

from phistar.errors import UsageError
from phistar.training.history import History

INK = "#22333b"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by colour-blind readers too
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def plot_history(history: History, path: str | Path, metric: str = "accuracy") -> Path:
    """Write the figure as PNG, PDF or SVG, by the path's ending; returns the path.

    Left: the loss of every step, raw and smoothed. Right: the metric after every epoch, on each set
    it was measured on. Raises UsageError if matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            "the plot needs the package matplotlib: pip install 'phistar[plot]'"
        ) from None
    if not history.losses:
        raise UsageError("there is nothing to plot: the history has no steps")
    measured = {n: v for n, v in history.metrics.items() if n.rpartition(".")[2] == metric}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2 if measured else 4.0, 2.8), layout="constrained")
        axes = figure.subplots(1, 2 if measured else 1, squeeze=False)[0]
        plot_losses(axes[0], history)
        if measured:
            plot_metric(axes[1], measured, metric)
        figure.savefig(path, dpi=200)
    return Path(path)


def plot_losses(axes: Any, history: History) -> None:
    """The loss of every step: a thin line, and its running mean over it."""
    losses = np.asarray(history.losses)
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=COLOURS[0], linewidth=0.4, alpha=0.35, label="each step")
    window = max(1, len(losses) // 50)
    if window > 1:
        axes.plot(
            steps,
            smoothed(losses, window),
            color=COLOURS[0],
            linewidth=1.4,
            label=f"mean of {window} steps",
        )
    axes.set_xlabel("step")
    axes.set_ylabel("training loss")
    if (losses > 0).all() and losses.max() > 20 * losses.min():
        axes.set_yscale("log")
    axes.margins(x=0.02)
    axes.legend(loc="best")


def smoothed(values: np.ndarray[Any, Any], window: int) -> np.ndarray[Any, Any]:
    """The mean of the last `window` values, of fewer at the start."""
    total = np.cumsum(values)
    earlier = np.concatenate([np.zeros(window), total[:-window]])
    counts = np.minimum(np.arange(1, len(values) + 1), window)
    return np.asarray((total - earlier) / counts)


def plot_metric(axes: Any, measured: dict[str, list[float]], metric: str) -> None:
    """The metric after every epoch, a line for each set."""
    from matplotlib.ticker import MaxNLocator

    for colour, (name, values) in zip(reversed(COLOURS[:2]), measured.items(), strict=False):
        epochs = np.arange(1, len(values) + 1)
        label = f"{name.rpartition('.')[0]} ({values[-1]:.4f})"
        axes.plot(epochs, values, "o-", color=colour, linewidth=1.2, markersize=3.5, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel(metric)
    axes.margins(x=0.05, y=0.1)
    axes.legend(loc="lower right")
