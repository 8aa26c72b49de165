"""The workloads, one a file; each file has `workloads(tiny)`."""

from importlib import import_module

from benchmarks.workload import Workload

FILES = (
    "w1_mlp",
    "w2_wide",
    "w3_lenet",
    "w4_resnet20",
    "w5_lstm",
    "w6_gpt",
    "w9_inference",
    "w10_rows",
)


def find(names: list[str], tiny: bool = False) -> list[Workload]:
    """The workloads of these names: W1 (all its sizes) or W1-32; all without names."""
    every = [
        workload
        for file in FILES
        for workload in import_module(f"benchmarks.workloads.{file}").workloads(tiny)
    ]
    chosen = [w for w in every if not names or {w.name, w.name.split("-")[0]} & set(names)]
    known = {part for w in every for part in (w.name, w.name.split("-")[0])}
    if unknown := sorted(set(names) - known):
        raise SystemExit(f"there is no workload {unknown[0]}; there are {', '.join(sorted(known))}")
    return chosen
