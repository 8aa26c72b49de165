"""What a run has measured, as it is kept in JSON. All times are seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

Summary = Callable[[list[float]], float]
SUMMARIES: Mapping[str, Summary] = {"minimum": min, "median": median}


@dataclass
class Measured:
    """A peer's windows, each as seconds a step; or, if there are none, why."""

    windows: list[float] = field(default_factory=list)
    steps: int = 0  # in a window
    version: str = ""
    why_not: str = ""


@dataclass
class Result:
    """A workload's measurements. floor: the least seconds that a step can take on this machine."""

    name: str
    title: str
    flops: float
    bytes: float
    floor: float
    machine: dict[str, float]
    peers: dict[str, Measured]

    def time(self, peer: str, how: Summary) -> float | None:
        """A peer's time for a step, by the minimum or the median of its windows."""
        windows = self.peers[peer].windows if peer in self.peers else []
        return how(windows) if windows else None

    def best(self, how: Summary) -> str | None:
        """The quickest peer, phistar left out."""
        times = {
            peer: time
            for peer in self.peers
            if peer != "phistar" and (time := self.time(peer, how)) is not None
        }
        return min(times, key=times.__getitem__) if times else None

    def ratio(self, peer: str | None, how: Summary) -> float | None:
        """A peer's time by phistar's: how many times as quick phistar is."""
        own = self.time("phistar", how)
        theirs = None if peer is None else self.time(peer, how)
        return None if own is None or theirs is None else theirs / own


@dataclass
class Report:
    """All results of a run."""

    date: str
    machine: str
    threads: int
    results: list[Result]

    def as_json(self) -> dict[str, Any]:
        """Everything, with the ratios to the best peer, which follow from the rest, beside it."""
        found = asdict(self)
        for result, written in zip(self.results, found["results"], strict=True):
            written["ratios"] = {
                name: {"peer": result.best(how), "ratio": result.ratio(result.best(how), how)}
                for name, how in SUMMARIES.items()
            }
        return found

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Report:
        results = []
        for written in read["results"]:
            peers = {name: Measured(**peer) for name, peer in written["peers"].items()}
            kept = {k: v for k, v in written.items() if k != "ratios"}
            results.append(Result(**{**kept, "peers": peers}))
        return cls(read["date"], read["machine"], read["threads"], results)
