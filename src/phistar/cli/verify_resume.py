"""`phistar verify-resume RECIPE`: a training that is stopped against one that is not, bit by bit.

straight: |----------------------------------------| N steps
stopped:  |-------| |----| |------x |---x |--------| N steps       x: killed, without a warning

Every part is a process of its own, `phistar train ... --resume`. The last snapshots of both hold
all there is: parameters, states, what the optimizer keeps, the loss of every step.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phistar.cli.recipes import recipe
from phistar.cli.runs import SNAPSHOTS
from phistar.compiler import default_backend
from phistar.errors import PhistarError, SnapshotError
from phistar.training.snapshots.reading import newest
from phistar.training.snapshots.snapshot import Array, Snapshot
from phistar.training.snapshots.writing import snapshots_in

PHISTAR = (sys.executable, "-m", "phistar.cli")
LOOK = 0.002  # seconds between two looks at the folder of snapshots
LINES = 20  # of what a process that failed has said


@dataclass(frozen=True)
class Part:
    """The training up to a step, as a process. killed: it is killed once it is so far."""

    step: int
    killed: bool = False


def run(args: argparse.Namespace) -> None:
    chosen = recipe(args.recipe)
    examples, batch = len(chosen.data()[0]), args.batch_size or chosen.batch_size
    args.epochs = max(chosen.epochs, -(-args.steps // max(examples // batch, 1)))
    backend = args.backend or default_backend()
    print(f"{chosen.name}: {args.steps} steps, seed {args.seed}, backend {backend}", flush=True)
    with tempfile.TemporaryDirectory(prefix="phistar-verify-") as place:
        straight, stopped = Path(place) / "straight", Path(place) / "stopped"
        train(args, straight, Part(args.steps))
        for part in parts(args):
            train(args, stopped, part)
        first, second = last(straight), last(stopped)
    differing = list(differences(first, second))
    if differing:
        raise SnapshotError(
            f"{chosen.name} does not go on with the same bits: {', '.join(differing)} differ"
        )
    count = len(first.model) + len(first.optimizer)
    print(f"the same bits: {count} arrays of model and optimizer, {first.step} losses")


def parts(args: argparse.Namespace) -> list[Part]:
    """Random stops, the kills among them, and the end."""
    rng = random.Random(args.seed)
    count = min(args.stops + args.kills, args.steps - 1)
    at = sorted(rng.sample(range(1, args.steps), count))
    kills = set(rng.sample(at, min(args.kills, count)))
    return [*(Part(step, step in kills) for step in at), Part(args.steps)]


def train(args: argparse.Namespace, folder: Path, part: Part) -> None:
    """One process that trains up to a step, or is killed there."""
    words = [
        *("train", args.recipe, "--out", str(folder), "--keep", "2"),
        *("--epochs", str(args.epochs), "--seed", str(args.seed)),
        *(["--resume"] if snapshots_in(folder / SNAPSHOTS) else []),
        *(["--batch-size", str(args.batch_size)] if args.batch_size else []),
        *(["--backend", args.backend] if args.backend else []),
        *(["--snapshot-every", "1"] if part.killed else []),
        *("--until", str(args.steps if part.killed else part.step)),
    ]
    began = time.monotonic()
    reached = killed(words, folder, part.step) if part.killed else ended(words, folder)
    how = "killed" if part.killed else "left"
    print(
        f"{folder.name:>8}: {how} at step {reached}  {time.monotonic() - began:.1f} s", flush=True
    )


def start(words: list[str], output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [*PHISTAR, *words]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True)


def ended(words: list[str], folder: Path) -> int:
    """Run a process to its end; the step of the last snapshot."""
    process = start(words)
    said, _ = process.communicate()
    if process.returncode:
        lines = "\n".join(said.splitlines()[-LINES:])
        raise PhistarError(f"phistar {' '.join(words)} failed:\n{lines}")
    return step_in(folder)


def killed(words: list[str], folder: Path, step: int) -> int:
    """Kill a process once it has a snapshot of that step; the step of the last snapshot."""
    process = start(words, subprocess.DEVNULL)
    while step_in(folder) < step and process.poll() is None:
        time.sleep(LOOK)
    if process.poll() is None:
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    return step_in(folder)


def step_in(folder: Path) -> int:
    found = snapshots_in(folder / SNAPSHOTS)
    return found[-1][0] if found else 0


def last(folder: Path) -> Snapshot:
    found, damaged = newest(folder / SNAPSHOTS)
    if found is None or damaged:
        raise SnapshotError(f"{folder} has a damaged snapshot: {damaged}")
    return found


def differences(a: Snapshot, b: Snapshot) -> Iterator[str]:
    """What is not the same in two snapshots."""
    if (a.step, a.position.epoch, a.position.batch) != (b.step, b.position.epoch, b.position.batch):
        yield f"the steps ({a.step}, {b.step})"
    for one, other in ((a.model, b.model), (a.optimizer, b.optimizer)):
        for name in sorted({*one, *other}):
            if name not in one or name not in other or not same(one[name], other[name]):
                yield name
    losses = (np.array(s.history.losses) for s in (a, b))
    if not same(*losses):
        yield "the losses"


def same(a: Array, b: Array) -> bool:
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
