"""Trainings that are killed again and again, and end with the bits of one that never was.

    python tests/training/chaos.py --kills 200 --during 60      (make chaos)

SIGKILL comes at a random moment, or, for those "during a snapshot", before a random operation on
its files. A killed training begins again, with resume=True, until so many kills have struck; then
it may end, and everything is compared: parameters, states, Adam's means, the loss of every step.

Each training is a process of its own, forked by one that has imported phistar but run nothing, so
that two hundred of them take minutes.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hard import augmented, data, train

import phistar as ph
from phistar.cli.verify_resume import differences
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.keeper import Keeper
from phistar.training.snapshots.reading import newest

AUGMENTED = "augmented"  # every second training draws its examples through a function
KINDS = ("plain", AUGMENTED)
EPOCHS, PAUSE = 40, 0.005  # ten steps an epoch, and a pause after it, so that kills fall anywhere
LONGEST = 0.3  # seconds that a training has before it is killed
EACH = 20  # kills of one training, at most
OPERATIONS = 60  # of two snapshots and a half: one of them is the last


# In the training ----------------------------------------------------------------------------------


class Deadly(Disk):
    """Kills this process before operation number `at`, a write in its middle."""

    at = 0

    def tick(self) -> None:
        Deadly.at -= 1
        if Deadly.at == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, file: int, data: memoryview) -> int:
        if Deadly.at == 1:
            super().write(file, data[: data.nbytes // 2])
        self.tick()
        return super().write(file, data)


def before(name: str) -> Any:
    """The operation of that name, after a tick."""

    def operation(self: Deadly, *args: Any) -> Any:
        self.tick()
        return getattr(Disk, name)(self, *args)

    return operation


for name in ("make_folder", "create", "sync", "sync_folder", "rename", "remove"):
    setattr(Deadly, name, before(name))


def life(folder: str, backend: str, operation: int) -> None:
    """One training, from the newest snapshot on; killed at an operation if that is not 0."""
    if operation:
        Deadly.at = operation
        Keeper.__init__.__globals__["Disk"] = Deadly
    offer, said = Keeper.offer, list[str]()

    def offered(self: Keeper, *args: Any) -> None:
        offer(self, *args)
        if not said:  # the first step is done
            said.append("ready")
            say("ready")

    Keeper.offer = offered  # type: ignore[method-assign]
    train(
        ph.Snapshots(folder, every=3), resume=True, backend=backend, epochs=EPOCHS,
        optimizer=ph.Adam(ph.schedules.cosine(0.05, 10 * EPOCHS)),
        callbacks=[lambda history: time.sleep(PAUSE)],
        data=augmented() if AUGMENTED in folder else data(),
    )  # fmt: skip


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def fork_trainings() -> None:
    """For every line of input a training: says its process, that it is ready, how it ended."""
    for line in sys.stdin:
        folder, backend, operation = line.split("\t")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                life(folder, backend, int(operation))
                status = 0
            except BaseException as error:
                say(f"error {error!r}")
            finally:
                os._exit(status)
        say(f"process {child}")
        _, status = os.waitpid(child, 0)
        say(f"end {os.waitstatus_to_exitcode(status)}")


# Outside ------------------------------------------------------------------------------------------


class Trainings:
    """Trainings, one after the other, to be killed."""

    def __init__(self) -> None:
        self.forker = subprocess.Popen(
            [sys.executable, __file__, "fork"], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1",
                 "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path)},
        )  # fmt: skip

    def close(self) -> None:
        assert self.forker.stdin and self.forker.stdout
        self.forker.stdin.close()
        self.forker.wait()
        self.forker.stdout.close()

    def live(
        self, folder: Path, backend: str, operation: int = 0, delay: float | None = None
    ) -> bool:
        """One training; whether it was killed, by itself at an operation or after a delay."""
        assert self.forker.stdin and self.forker.stdout
        self.forker.stdin.write(f"{folder}\t{backend}\t{operation}\n")
        process = 0
        while line := self.forker.stdout.readline().split():
            match line:
                case ["process", number]:
                    process = int(number)
                case ["ready"] if delay is not None:
                    time.sleep(delay)
                    kill(process)
                case ["end", status]:
                    assert status in ("0", "-9"), f"a training ended with status {status}"
                    return status == "-9"
                case ["error", *what]:
                    raise AssertionError(" ".join(what))
        raise AssertionError("the process that forks has ended")


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass


@dataclass
class Count:
    """Kills that are still to come, and how many of them during a snapshot."""

    kills: int
    during: int


def chaos(backend: str, kills: int, during: int, seed: int = 0, show: Any = None) -> int:
    """Kill trainings, of them so many during a snapshot; how many trainings that were.

    AssertionError if a bit differs.
    """
    rng, left, ended = random.Random(seed), Count(kills, during), 0
    with (
        closing(Trainings()) as trainings,
        tempfile.TemporaryDirectory(prefix="phistar-chaos-") as name,
    ):
        place = Path(name)
        for kind in KINDS:
            assert not trainings.live(place / f"straight-{kind}", backend)
        while left.kills:
            kind = KINDS[ended % len(KINDS)]
            folder = place / f"{ended}-{kind}"
            aim = max(0, left.kills - EACH)
            while left.kills > aim and strike(trainings, folder, backend, rng, left):
                if show:
                    show(f"{backend}: {left.kills} kills left, {left.during} during a snapshot ")
            trainings.live(folder, backend)
            compare(place / f"straight-{kind}", folder)
            ended += 1
    assert left == Count(0, 0)
    return ended


def compare(straight: Path, killed: Path) -> None:
    """AssertionError unless the last snapshots hold the same bits."""
    (first, _), (second, damaged) = newest(straight), newest(killed)
    assert first is not None and second is not None and not damaged, damaged
    assert not list(differences(first, second)), list(differences(first, second))


def strike(
    trainings: Trainings, folder: Path, backend: str, rng: random.Random, left: Count
) -> bool:
    """One more life of a training; False if it came to its end before it was killed."""
    inside = rng.random() * left.kills < left.during
    if inside:
        killed = trainings.live(folder, backend, operation=rng.randint(1, OPERATIONS))
    else:
        killed = trainings.live(folder, backend, delay=rng.uniform(0, LONGEST))
    left.kills -= killed
    left.during -= killed and inside
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--during", type=int, default=60, help="of them during a snapshot")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backends", nargs="+", default=["numpy", "c"])
    args = parser.parse_args()
    for n, backend in enumerate(args.backends):
        began, share = time.monotonic(), len(args.backends)
        kills, during = part(args.kills, n, share), part(args.during, n, share)
        ended = chaos(
            backend, kills, during, args.seed, lambda line: print(f"\r{line}", end="", flush=True)
        )
        print(
            f"\r{backend}: {kills} kills, {during} of them during a snapshot; "
            f"{ended} trainings ended with the same bits  "
            f"{time.monotonic() - began:.0f} s"
        )


def part(total: int, n: int, share: int) -> int:
    return total // share + (n < total % share)


if __name__ == "__main__":
    fork_trainings() if sys.argv[1:] == ["fork"] else main()
