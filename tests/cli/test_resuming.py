"""`phistar train --resume` and `phistar verify-resume`, with processes that are really stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_phistar

from phistar.cli import main, recipes, verify_resume
from phistar.training.snapshots.reading import newest
from phistar.training.snapshots.writing import snapshots_in

SCRIPT = str(Path(small_phistar.__file__))


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recipes.RECIPES, "small", small_phistar.RECIPE)
    monkeypatch.setenv("PHISTAR_BACKEND", "numpy")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(p).absolute()) for p in sys.path))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(argv)
    return status, *capsys.readouterr()


def steps(folder: str) -> list[int]:
    return [at for at, _, _ in snapshots_in(Path(folder) / "snapshots")]


def test_train_leaves_a_snapshot_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "train", "small", "--out", "straight")[0] == 0
    assert run(capsys, "train", "small", "--out", "runs/small-1", "--until", "9")[0] == 0
    assert not json.loads(Path("runs/small-1/run.json").read_text())["finished"]
    assert run(capsys, "train", "small", "--resume")[0] == 0
    assert steps("runs/small-1") == [9, 21]
    record = json.loads(Path("runs/small-1/run.json").read_text())
    assert record["finished"] and record["steps"] == 21
    for name in ("model.safetensors", "algorithm.txt"):
        assert Path("runs/small-1", name).read_bytes() == Path("straight", name).read_bytes()


def test_a_run_goes_on_with_its_own_settings(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--seed", "3", "--batch-size", "20", "--lr", "0.05", "--epochs", "2"]
    run(capsys, "train", "small", "--out", "here", *own, "--until", "4")
    status, out, _ = run(capsys, "train", "small", "--out", "here", "--resume")
    assert status == 0
    assert "Adam(rate=0.05), batch 20, seed 3" in out
    assert steps("here") == [4, 10]
    status, out, _ = run(capsys, "train", "small", "--out", "here", "--resume", "--epochs", "3")
    assert steps("here") == [4, 10, 15]


def test_another_training_is_refused_and_force_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(capsys, "train", "small", "--out", "here", "--until", "4")
    words = ["train", "small", "--out", "here", "--resume", "--batch-size", "10"]
    status, _, err = run(capsys, *words)
    assert status == 1
    assert "the batch size was 16, it is 10 now. force=True (--force) goes on with" in err
    assert run(capsys, *words, "--force")[0] == 0
    assert steps("here") == [4, 34]


def test_an_unfinished_run_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "small", "--out", "here", "--until", "4")
    status, _, err = run(capsys, "train", "small", "--out", "here")
    assert status == 2
    assert "holds the snapshots of an earlier training" in err
    run(capsys, "train", "small", "--out", "here", "--resume")
    assert run(capsys, "train", "small", "--out", "here", "--epochs", "1")[0] == 0
    assert steps("here") == [7]


def test_nothing_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "train", "small", "--resume")
    assert status == 2
    assert err == ("phistar: there is no run of small with snapshots in runs/ to go on with\n")


def test_the_last_run_is_told_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("small-20260102-000000", "small-20260101-000000"):
        run(capsys, "train", "small", "--out", f"runs/{name}", "--until", "4")
    run(capsys, "train", "small", "--resume")
    assert steps("runs/small-20260102-000000") == [4, 21]
    assert steps("runs/small-20260101-000000") == [4]


def test_the_best_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--keep", "1", "--best", "test loss", "--lr", "0.5", "--snapshot-minutes", "60"]
    status, _, _ = run(capsys, "train", "small", "--out", "here", "--epochs", "6", *words)
    assert status == 0
    record = json.loads(Path("here/run.json").read_text())
    losses = [e["test.loss"] for e in record["epochs"]]
    best = 7 * (losses.index(min(losses)) + 1)
    assert steps("here") == sorted({best, 42})


def test_a_recipe_that_trains_in_its_own_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def own(model: Any, loss: Any, data: Any, *, optimizer: Any, epochs: int) -> Any: ...

    monkeypatch.setitem(recipes.RECIPES, "small", replace(small_phistar.RECIPE, fit=own))
    status, _, err = run(capsys, "train", "small", "--until", "5")
    assert (status, err) == (
        2,
        "phistar: small trains in a way of its own, which takes no snapshots\n",
    )
    status, _, err = run(capsys, "train", "small", "--nonfinite", "skip")
    assert (status, err) == (2, "phistar: small trains in a way of its own, which skips no steps\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--snapshot-minutes", "0"], "wants a number above 0, not 0"),
        (["--snapshot-minutes", "x"], "wants a number above 0, not x"),
        (["--keep", "0"], "wants a whole number from 1 on, not 0"),
        (["--nonfinite", "hope"], "invalid choice"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    status, _, err = run(capsys, "train", "small", *words)
    assert status == 2
    assert message in err


# Processes ----------------------------------------------------------------------------------------


def process(*words: str, data: str = "SLOW") -> subprocess.Popen[str]:
    environment = {**os.environ, "SMALL_DATA": data}
    return subprocess.Popen(
        [sys.executable, SCRIPT, *words], env=environment, text=True, stderr=subprocess.PIPE
    )


def wait_for_a_snapshot(folder: str, running: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 30
    while not steps(folder) and running.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(
    ("sent", "status"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGUSR1", 138), ("SIGKILL", -9)]
)
def test_a_signal_saves_and_leaves(
    capfd: pytest.CaptureFixture[str], sent: str, status: int
) -> None:
    long = ("train", "small", "--epochs", "200", "--snapshot-every", "2")
    running = process(*long, "--out", "here")
    wait_for_a_snapshot("here", running)
    running.send_signal(getattr(signal, sent))
    _, said = running.communicate(timeout=60)
    assert running.returncode == status
    found, damaged = newest(Path("here/snapshots"))
    assert found is not None and not damaged
    if sent != "SIGKILL":
        name = "Ctrl-C" if sent == "SIGINT" else sent
        assert f"stopped by {name} after {found.step} steps; saved in here/snapshots/step-" in said
    until = str(found.step + 5)
    for folder, more in (("here", ["--resume"]), ("straight", [])):
        assert main([*long, "--out", folder, "--until", until, *more]) == 0
    check = "optimizer.safetensors", "model.safetensors", "history.safetensors"
    for file in check:
        first, second = (newest(Path(f, "snapshots"))[0] for f in ("here", "straight"))
        assert first is not None and second is not None
        assert first.step == second.step == found.step + 5
        assert (first.path / file).read_bytes() == (second.path / file).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    """The first one waits for a step that takes a minute; the second does not."""
    script = tmp_path / "long_step.py"
    script.write_text(
        "import sys, time, small_phistar\n"
        "class Forever(small_phistar.Dataset):\n"
        "    def batch(self, rows):\n"
        "        print('drawing', flush=True)\n"
        "        end = time.monotonic() + 60\n"
        "        while time.monotonic() < end: time.sleep(0.01)\n"
        "        return super().batch(rows)\n"
        "small_phistar.Slow = Forever\n"
        "small_phistar.install()\n"
        "sys.exit(small_phistar.main(['train', 'small', '--out', 'here']))\n"
    )
    environment = {**os.environ, "SMALL_DATA": "SLOW"}
    running = subprocess.Popen(
        [sys.executable, str(script)], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stdout is not None
    while "drawing" not in running.stdout.readline():
        pass
    running.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert running.poll() is None
    began = time.monotonic()
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert time.monotonic() - began < 20
    running.communicate()


def verified(monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setattr(verify_resume, "PHISTAR", (sys.executable, SCRIPT))
    monkeypatch.setenv("SMALL_DATA", data)


def test_verify_resume(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    verified(monkeypatch, "")
    words = ["--steps", "30", "--stops", "1", "--kills", "1", "--batch-size", "10"]
    status, out, err = run(capsys, "verify-resume", "small", *words, "--backend", "numpy")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "small: 30 steps, seed 0, backend numpy"
    assert lines[-1] == "the same bits: 6 arrays of model and optimizer, 30 losses"
    assert sum("stopped: left" in line for line in lines) >= 2


def test_verify_resume_finds_a_recipe_that_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verified(monkeypatch, "CARELESS")
    status, _, err = run(capsys, "verify-resume", "small", "--steps", "8", "--stops", "1",
                         "--kills", "0")  # fmt: skip
    assert status == 1
    assert "small does not go on with the same bits: " in err
    assert "W0, W1" in err and "the losses differ" in err


def test_verify_resume_tells_what_a_process_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_resume, "PHISTAR", (sys.executable, "-m", "phistar.cli"))
    status, _, err = run(capsys, "verify-resume", "small")  # the process has no such recipe
    assert status == 1
    assert "--until 100 failed:\n" in err and "there is no recipe 'small'" in err
