"""Verdicts on backward statements, and the report of all of them: it prints as a table."""

from dataclasses import dataclass
from enum import Enum

from phistar.errors import GradientMismatch


class Status(Enum):
    """What came of a check, the worst last."""

    OK = "ok"
    KINK = "kink"
    MISMATCH = "mismatch"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """One backward statement, the forward statement it comes from, and how far off it is.

    error: |got - expected| relative to the size of the terms of both.
    """

    statement: str
    forward: str
    status: Status
    error: float
    expected: float
    got: float


@dataclass(frozen=True)
class Report:
    """The verdicts on all backward statements; it prints as a table."""

    verdicts: tuple[Verdict, ...]

    @property
    def mismatches(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.status is Status.MISMATCH)

    @property
    def ok(self) -> bool:
        return not self.mismatches

    def raise_for_mismatch(self) -> None:
        """GradientMismatch naming the first statement that is wrong, if there is one."""
        for v in self.mismatches:
            raise GradientMismatch(
                "a backward statement disagrees with finite differences\n"
                f"  {v.statement}\n"
                f"  from  {v.forward}\n"
                f"  it gives {v.got:.8g}; finite differences give {v.expected:.8g}"
            )

    def __str__(self) -> str:
        rows = [(str(v.status), f"{v.error:.1e}", v.statement) for v in self.verdicts]
        head = ("verdict", "error", "backward statement")
        widths = [max(len(row[n]) for row in (head, *rows)) for n in range(2)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {text}" for a, b, text in (head, *rows)
        )
