"""Results as a table in the terminal, as Markdown for docs/benchmarks.md, and as a bar chart."""

import math
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.result import Report, Result

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: written by benchmarks.run -->", "<!-- end of results -->"


def show(result: Result, console: Console) -> None:
    """The table of one workload, the quickest first."""
    floor, rates = result.floor, result.machine
    table = Table(title=f"{result.name}: {result.title}", title_justify="left")
    table.add_column("peer", no_wrap=True)
    for heading in ("min µs", "median µs", "/ phistar", "median", "/ floor", "steps"):
        table.add_column(heading, justify="right")
    for peer in sorted(result.peers, key=lambda p: result.time(p, min) or float("inf")):
        least, middle = result.time(peer, min), result.time(peer, median)
        if least is None or middle is None:
            continue
        table.add_row(
            peer,
            micro(least),
            micro(middle),
            number(result.ratio(peer, min)),
            number(result.ratio(peer, median)),
            number(least / floor),
            str(result.peers[peer].steps),
        )
    console.print(table)
    for peer, measured in result.peers.items():
        if measured.why_not:
            console.print(f"{peer} is not measured: {measured.why_not}", markup=False)
    console.print(
        f"floor {micro(floor)} µs: {result.flops / 1e6:.4g} MFLOP at {rates['peak'] / 1e9:.0f} "
        f"GFLOP/s, {result.bytes / 1e6:.4g} MB at {rates['memory'] / 1e9:.0f} GB/s from memory, "
        f"{rates['cache'] / 1e9:.0f} GB/s in the cache\n"
    )


def markdown(report: Report) -> str:
    """One row a workload, one column a peer: minimum microseconds a step."""
    peers = [p for p in order(report) if any(p in r.peers for r in report.results)]
    head = ["workload", "floor", *peers, "best peer / phistar: minimum", "median"]
    lines = [
        f"Measured on {report.date[:10]}: {report.machine}; {report.threads} threads. Minimum "
        "microseconds a step; in brackets the multiple of the floor.",
        "",
        row(head),
        row(["---", *["---:"] * (len(head) - 1)]),
    ]
    for result in report.results:
        cells = [f"**{result.name}** {result.title}", micro(result.floor)]
        cells += [cell(result, peer) for peer in peers]
        cells += [number(result.ratio(result.best(how), how)) for how in (min, median)]
        lines.append(row(cells))
    used = {
        peer.split("-")[0]: measured.version
        for result in report.results
        for peer, measured in result.peers.items()
        if measured.version
    }
    missing = {
        f"{peer} ({result.name}): {measured.why_not}"
        for result in report.results
        for peer, measured in result.peers.items()
        if measured.why_not
    }
    lines += ["", "Versions: " + ", ".join(f"{name} {v}" for name, v in used.items()) + "."]
    if missing:
        lines += ["", "Not measured:", "", *(f"- {line}" for line in sorted(missing))]
    return "\n".join(lines) + "\n"


def cell(result: Result, peer: str) -> str:
    least = result.time(peer, min)
    if least is None:
        return "not measured" if peer in result.peers else ""
    text = f"{micro(least)} ({number(least / result.floor)})"
    return f"**{text}**" if peer == result.best(min) else text


def order(report: Report) -> list[str]:
    """Every peer once, in the order of the first workload that has it."""
    return list(dict.fromkeys(peer for result in report.results for peer in result.peers))


def write_docs(report: Report) -> None:
    """Put the Markdown table between the marks of docs/benchmarks.md."""
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    DOCS.write_text(f"{before}{BEGIN}\n\n{markdown(report)}\n{END}{after}", encoding="utf-8")


def chart(report: Report, path: Path) -> bool:
    """A bar for each peer of each workload: its time by phistar's. False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    results = [r for r in report.results if r.time("phistar", min) is not None]
    peers = [p for p in order(report) if p != "phistar"]
    if not results or not peers:
        return False
    figure = Figure(figsize=(4 + 1.2 * len(results), 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(peers)
    for k, peer in enumerate(peers):
        heights = [result.ratio(peer, min) or 0 for result in results]
        at = [x + (k - (len(peers) - 1) / 2) * width for x in range(len(results))]
        axes.bar(at, heights, width, label=peer)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_xticks(range(len(results)), [result.name for result in results])
    axes.set_ylabel("time of a step / phistar's time")
    axes.set_title(f"{report.machine}\n{report.threads} threads, {report.date[:10]}", fontsize=8)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)
    return True


def micro(seconds: float) -> str:
    """In microseconds."""
    return number(1e6 * seconds)


def number(value: float | None) -> str:
    """Three figures, or all before the point."""
    if value is None:
        return ""
    return f"{value:.{max(0, 2 - math.floor(math.log10(max(value, 1))))}f}"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
