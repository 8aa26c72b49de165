"""Measures the workloads: `python -m benchmarks.run [W1 W2 ...] [--peers torch,jax] [--windows 7]`.

Every peer runs in a process of its own. Those whose results differ from the others' are refused;
the rest take turns, a window each, round after round, and so does the machine itself.
"""

import argparse
import json
import os
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from rich.console import Console

from benchmarks import agreement, machine, reports, workloads
from benchmarks.process import Process, WorkerError, pause
from benchmarks.result import Measured, Report, Result
from benchmarks.workload import PEERS, Workload

RESULTS = Path(__file__).parent / "results"


class Run:
    """The measurement of one workload: start, compare, calibrate, then windows in turns."""

    def __init__(self, workload: Workload, options: argparse.Namespace, console: Console) -> None:
        self.workload, self.options, self.console = workload, options, console
        self.processes: dict[str, Process] = {}
        self.measured: dict[str, Measured] = {}

    def __call__(self) -> Result:
        with ExitStack() as self.stack:
            self.compare()
            self.calibrate()
            rates = self.measure()
        w = self.workload
        floor = machine.floor(w, rates)
        return Result(w.name, w.title, w.flops, w.bytes, floor, rates, self.measured)

    def compare(self) -> None:
        """Start the peers and keep those whose results agree."""
        results = {}
        for peer in self.options.peers:
            if peer not in self.workload.adapters:
                continue
            self.say(f"{peer}: first steps")
            self.measured[peer] = Measured()
            process = self.processes[peer] = self.started(peer)
            try:
                self.measured[peer].version = process.ask(
                    "start", workload=self.workload.name, peer=peer, tiny=self.options.tiny
                )["version"]
                results[peer] = process.ask("check", steps=agreement.STEPS)["results"]
            except WorkerError as error:
                self.refuse(peer, str(error))
        for peer, why in agreement.differences(results).items():
            self.refuse(peer, why)

    def calibrate(self) -> None:
        """Find how many steps fill a window."""
        for peer, process in list(self.processes.items()):
            try:
                answer = process.ask("calibrate", seconds=self.options.seconds)
                self.measured[peer].steps = answer["steps"]
            except WorkerError as error:
                self.refuse(peer, str(error))
                continue
            self.say(f"{peer}: {answer['steps']} steps of {reports.micro(answer['seconds'])} µs")

    def measure(self) -> dict[str, float]:
        """The windows of all peers, in turns; returns the best that the machine did in its own."""
        itself = self.started("machine")
        rates = []
        for _ in range(self.options.windows):
            for peer, process in list(self.processes.items()):
                pause()
                try:
                    self.measured[peer].windows.append(process.ask("window")["seconds"])
                except WorkerError as error:
                    self.measured[peer].windows.clear()
                    self.refuse(peer, str(error))
            pause()
            rates.append(itself.ask("machine"))
        return {name: max(found[name] for found in rates) for name in rates[0]}

    def started(self, peer: str) -> Process:
        python = self.options.python.get(peer.split("-")[0], sys.executable)
        process = Process(self.options.threads, self.options.backend, python)
        self.stack.callback(process.end)
        return process

    def refuse(self, peer: str, why: str) -> None:
        self.processes.pop(peer).end()
        self.measured[peer].why_not = why
        self.say(f"{peer} is not measured: {why}")

    def say(self, what: str) -> None:
        self.console.print(f"{self.workload.name}: {what}", style="dim", markup=False)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    chosen = workloads.find(options.workloads, options.tiny)
    console = Console()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[: options.threads])  # the workers inherit it
    now = datetime.now()
    date = now.isoformat(timespec="seconds")
    report = Report(date, machine.description(), options.threads, [])
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{now:%Y-%m-%d-%H%M%S}.json"
    for workload in chosen:
        report.results.append(Run(workload, options, console)())
        reports.show(report.results[-1], console)
        path.write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {path}")
    if reports.chart(report, path.with_suffix(".png")):
        console.print(f"drawn in {path.with_suffix('.png')}")
    if options.write_docs:
        reports.write_docs(report)
        console.print(f"put into {reports.DOCS}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    parser.add_argument("workloads", nargs="*", help="W1 (all its sizes) or W1-32; all if none")
    parser.add_argument("--peers", type=peers, default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--windows", type=int, default=7, help="of each peer (default 7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="a window takes (default 0.3)")
    parser.add_argument("--threads", type=int, default=2, help="and cores (default 2)")
    parser.add_argument("--backend", default="c", help="phistar's (default c)")
    parser.add_argument(
        "--python",
        type=pythons,
        default={},
        metavar="LIBRARY=PATH,...",
        help="for libraries that are installed elsewhere: tensorflow=/other/bin/python",
    )
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the adapters")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for JSON and chart")
    parser.add_argument("--write-docs", action="store_true", help="table into docs/benchmarks.md")
    return parser.parse_args(arguments)


def peers(text: str) -> list[str]:
    """The peers of these names: torch-eager, or torch for all of PyTorch."""
    wanted = text.split(",")
    known = {part for peer in PEERS for part in (peer, peer.split("-")[0])}
    if unknown := sorted(set(wanted) - known):
        raise argparse.ArgumentTypeError(f"there is no peer {unknown[0]}: {', '.join(PEERS)}")
    return [peer for peer in PEERS if {peer, peer.split("-")[0]} & set(wanted)]


def pythons(text: str) -> dict[str, str]:
    """The interpreter of each library that has one of its own."""
    return dict(pair.split("=", 1) for pair in text.split(","))


if __name__ == "__main__":
    main()
