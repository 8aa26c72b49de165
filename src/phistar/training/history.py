"""What happened during training: the loss of each step, what was measured after each epoch."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set; `number` counts from 1.

    loss: the mean over its examples. metrics: what was measured after it, by name
    (`validation.accuracy`). seconds: of training, without the measuring.
    """

    number: int
    loss: float
    metrics: dict[str, float]
    seconds: float
    examples: int

    @property
    def row(self) -> dict[str, str]:
        """The epoch as one row of a table."""
        return {
            "epoch": str(self.number),
            "loss": f"{self.loss:.4f}",
            **{name: f"{value:.4f}" for name, value in self.metrics.items()},
            "seconds": f"{self.seconds:.1f}",
        }


@dataclass
class History:
    """A record of training: `losses` of the steps, `epochs`; prints as a table.

    skipped: the steps, from 0 on, whose update was left out since it was not finite.
    """

    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The time spent in training, without the measuring."""
        return sum(e.seconds for e in self.epochs)

    @property
    def epoch_losses(self) -> list[float]:
        """The mean loss of each epoch."""
        return [e.loss for e in self.epochs]

    @property
    def metrics(self) -> dict[str, list[float]]:
        """What was measured after the epochs, by name."""
        names = dict.fromkeys(name for e in self.epochs for name in e.metrics)
        return {n: [e.metrics.get(n, float("nan")) for e in self.epochs] for n in names}

    def __str__(self) -> str:
        return table([e.row for e in self.epochs]) if self.epochs else "no epoch was finished"

    __repr__ = __str__


def table(rows: Iterable[dict[str, str]]) -> str:
    """Rows as aligned columns under their names."""
    rows = list(rows)
    widths = {n: max(len(n), *(len(r.get(n, "")) for r in rows)) for r in rows for n in r}
    lines = ["  ".join(n.rjust(w) for n, w in widths.items())]
    lines += ["  ".join(r.get(n, "").rjust(w) for n, w in widths.items()) for r in rows]
    return "\n".join(lines)
