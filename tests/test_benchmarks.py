"""The benchmark's runner, on a workload of a few numbers: it compares, measures and reports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="benchmarks are not in the source distribution"
)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def run(arguments: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--tiny", *arguments.split(), *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_run_compares_measures_and_writes(tmp_path: Path) -> None:
    options = "--peers phistar,numpy --backend numpy --windows 2 --seconds 0.01"
    done = run(f"W1 {options} --out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert result["name"] == "W1-8"
    assert set(result["peers"]) == {"phistar", "numpy"}
    for peer in result["peers"].values():
        assert peer["why_not"] == ""
        assert len(peer["windows"]) == 2
    assert result["ratios"]["minimum"]["peer"] == "numpy"
    assert result["ratios"]["minimum"]["ratio"] > 0
    assert result["floor"] > 0

    from benchmarks.reports import markdown
    from benchmarks.result import Report

    report = Report.from_json(json.loads(path.read_text(encoding="utf-8")))
    assert "| **W1-8** MLP 12-6-3, SGD, B = 8 |" in markdown(report)


def test_a_peer_that_cannot_run_is_named(tmp_path: Path) -> None:
    options = "--peers phistar --backend nosuch --windows 1 --seconds 0.01"
    done = run(f"W1 {options} --out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    (result,) = json.loads(path.read_text(encoding="utf-8"))["results"]
    assert "there is no backend 'nosuch'" in result["peers"]["phistar"]["why_not"]


def test_unknown_names_are_refused() -> None:
    assert "there is no workload W0" in run("W0").stderr
    assert "there is no peer chainer" in run("W1 --peers chainer").stderr


def test_results_that_differ_are_found() -> None:
    from benchmarks.agreement import differences

    results = {
        "phistar": [[2.0], [1.0]],
        "numpy": [[2.0], [1.1]],
        "torch-eager": [[2.0001], [1.0001]],
        "jax-jit": [[2.0], [float("nan")]],
    }
    assert differences(results) == {
        "numpy": "at step 1 it gives 1.1, torch-eager 1.0001",
        "jax-jit": "at step 1 it gives nan, torch-eager 1.0001",
    }


def test_minibatches_are_permutations() -> None:
    from benchmarks import workloads

    (workload,) = workloads.find(["W1"], tiny=True)
    rows = workload.rows(30)
    epoch = workload.examples // workload.batch
    assert rows.shape == (30, workload.batch)
    assert len(set(rows[:epoch].ravel().tolist())) == epoch * workload.batch
    assert (rows[:10] == workload.rows(10)).all()
