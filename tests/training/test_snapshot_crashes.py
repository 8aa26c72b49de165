"""A machine that stops at any operation, loses what was not synced, has no room, or flips bits."""

import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard import bits, train
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.errors import SnapshotError, SnapshotWarning
from phistar.training.history import Epoch, History
from phistar.training.interruption import Stop
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.keeper import Keeper
from phistar.training.snapshots.reading import newest, read
from phistar.training.snapshots.snapshot import Position, Snapshot
from phistar.training.snapshots.sums import Damaged
from phistar.training.snapshots.writing import SUMS, snapshots_in, write

DAMAGES = int(os.environ.get("PHISTAR_FUZZ", "400"))


def snapshot(step: int) -> Snapshot:
    """A small one, with every part."""
    rng = np.random.default_rng(step)
    history = History(list(rng.normal(size=step)), [Epoch(1, 0.5, {"validation.loss": 0.4}, 1, 9)])
    return Snapshot(
        {"W": rng.normal(size=(3, 4)).astype("f4"), "c": np.array(step, "f8")},
        {"W.m": rng.normal(size=(3, 4)).astype("f4")},
        7,
        step,
        Position(1, 2, 0.25, 9, 1.5),
        {"seed": 7},
        {"phistar": "0"},
        history,
    )


def check_same(a: Snapshot, b: Snapshot) -> None:
    for one, other in ((a.model, b.model), (a.optimizer, b.optimizer)):
        assert set(one) == set(other)
        for name in one:
            assert_array_equal(one[name], other[name], strict=True)
    assert (a.seed, a.step, a.position) == (b.seed, b.step, b.position)
    assert (a.settings, a.versions, a.history) == (b.settings, b.versions, b.history)


class Crash(BaseException):
    """The machine stops."""


class Stopping(Disk):
    """Stops before operation number `at`; a write is stopped in its middle. Counts operations."""

    def __init__(self, at: int = -1) -> None:
        self.at, self.done = at, 0

    def tick(self) -> None:
        if 0 <= self.at <= self.done:
            raise Crash
        self.done += 1

    def write(self, file: int, data: memoryview) -> int:
        if self.done == self.at:
            super().write(file, data[: data.nbytes // 2])
        self.tick()
        return super().write(file, data)

    def close(self, file: int) -> None:
        super().close(file)  # the system closes the files of a dead process

    def make_folder(self, path: Path) -> None:
        self.tick()
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self.tick()
        return super().create(path)

    def sync(self, file: int) -> None:
        self.tick()
        super().sync(file)

    def sync_folder(self, path: Path) -> None:
        self.tick()
        super().sync_folder(path)

    def rename(self, old: Path, new: Path) -> None:
        self.tick()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self.tick()
        super().remove(path)


class Losing(Stopping):
    """Power is cut as well: what was not synced is lost, in the way that hurts most.

    keep: names that were not synced stay, though the contents behind them are lost.
    """

    def __init__(self, at: int = -1, keep: bool = False) -> None:
        super().__init__(at)
        self.keep = keep
        self.paths: dict[int, Path] = {}
        self.unsynced: set[Path] = set()  # files whose contents are in memory only
        self.unnamed: set[Path] = set()  # files and folders whose names are
        self.renamed: list[tuple[Path, Path]] = []

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self.unnamed.add(path)

    def create(self, path: Path) -> int:
        file = super().create(path)
        self.paths[file] = path
        self.unsynced.add(path)
        self.unnamed.add(path)
        return file

    def sync(self, file: int) -> None:
        super().sync(file)
        self.unsynced.discard(self.paths[file])

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.unnamed = {p for p in self.unnamed if p.parent != path}
        self.renamed = [(a, b) for a, b in self.renamed if b.parent != path]

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.renamed.append((old, new))

        def moved(p: Path) -> Path:
            return new / p.relative_to(old) if p.is_relative_to(old) else p

        self.unsynced, self.unnamed = set(map(moved, self.unsynced)), set(map(moved, self.unnamed))

    def cut(self) -> None:
        """What the disk has when the power is back."""
        for path in self.unsynced:
            if path.exists():
                os.truncate(path, 0)
        if self.keep:
            return
        for path in self.unnamed:
            if path.is_file():
                path.unlink()
        for old, new in reversed(self.renamed):
            if new.exists():
                os.rename(new, old)


def kept(folder: Path, disk: Disk) -> None:
    """The third of three snapshots is written, of which two are kept."""
    keeper = Keeper(ph.Snapshots(folder, keep=2), disk)
    keeper.write(snapshot(30))


def operations() -> int:
    """How many operations that is."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), Stopping()
        for step in (10, 20):
            write(snapshot(step), folder, Disk())
        kept(folder, disk)
        return disk.done


COUNT = operations()


def test_there_are_operations_to_stop_at() -> None:
    assert COUNT > 25


@pytest.mark.parametrize("kind", ["killed", "power cut", "power cut, names stay"])
def test_a_crash_at_every_operation_leaves_a_good_snapshot(tmp_path: Path, kind: str) -> None:
    seen = set()
    for at in range(COUNT + 1):
        folder = tmp_path / str(at)
        for step in (10, 20):
            write(snapshot(step), folder, Disk())
        disk = Stopping(at) if kind == "killed" else Losing(at, keep="names" in kind)
        try:
            kept(folder, disk)
        except Crash:
            pass
        if isinstance(disk, Losing):
            disk.cut()
        found, damaged = newest(folder)
        assert found is not None
        assert not damaged, "what has a name is whole"
        check_same(found, snapshot(found.step))
        seen.add(found.step)
        goes_on(folder, found)
    assert seen == {20, 30}


def goes_on(folder: Path, found: Snapshot) -> None:
    """The next training clears what was left, and writes on."""
    keeper = Keeper(ph.Snapshots(folder, keep=2))
    with keeper.opened(Stop()):
        assert not [p.name for p in folder.iterdir() if p.name.startswith(".")]
        keeper.begin(found)
        keeper.save(40, lambda: snapshot(40))
    assert len(snapshots_in(folder)) == 2
    check_same(read(folder / "step-0000000040"), snapshot(40))


@pytest.mark.parametrize("without", ["sync", "sync_folder"])
def test_the_test_sees_a_missing_sync(tmp_path: Path, without: str) -> None:
    """Without a sync the power cut damages a snapshot: the test above would find it."""

    class Careless(Losing):
        pass

    def nothing(self: Any, what: Any) -> None: ...

    setattr(Careless, without, nothing)
    disk = Careless()
    write(snapshot(10), tmp_path, disk)
    disk.cut()
    found, damaged = newest(tmp_path)
    assert found is None or damaged


# No room -----------------------------------------------------------------------------------------


class Full(Disk):
    """Has room for so many bytes more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, file: int, data: memoryview) -> int:
        if data.nbytes > self.room:
            super().write(file, data[: self.room])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= data.nbytes
        return super().write(file, data)


def test_a_full_disk_is_said_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, history = train(epochs=3)
    disk = Full(40_000)  # the first few fit
    monkeypatch.setattr("phistar.training.snapshots.keeper.Disk", lambda: disk)
    submit = Keeper.submit

    def waited(self: Keeper, step: int, make: Any) -> None:
        if step == 24:
            disk.room = 10**9
        submit(self, step, make)
        self.writer.wait()
        found, damaged = newest(tmp_path)
        assert found is not None and not damaged
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]

    monkeypatch.setattr(Keeper, "submit", waited)
    with pytest.warns(SnapshotWarning) as said:
        again, record = train(ph.Snapshots(tmp_path, every=1), epochs=3)
    assert bits(again) == bits(model)
    assert record.losses == history.losses
    (warning,) = said
    assert "No space left on device; training goes on, the last snapshot is step-0" in str(
        warning.message
    )
    assert [at for at, _, _ in snapshots_in(tmp_path)] == [28, 29, 30]


def test_any_error_of_the_thread_is_reported(tmp_path: Path) -> None:
    class Broken(Disk):
        def rename(self, old: Path, new: Path) -> None:
            raise RuntimeError("the disk is broken")

    keeper = Keeper(ph.Snapshots(tmp_path), Broken())
    message = r"the disk is broken; .* is none of this training"
    with pytest.warns(SnapshotWarning, match=message), keeper.opened(Stop()):
        keeper.begin(None)
        assert keeper.save(10, lambda: snapshot(10)) is None


# Bits that flip ----------------------------------------------------------------------------------


def damages(folder: Path, count: int) -> Iterator[tuple[str, bytes]]:
    """Damaged contents of a file of a snapshot: a flipped bit, a lost end, zeros, strange bytes."""
    rng = random.Random(0)
    files = sorted(p for p in folder.iterdir())
    for _ in range(count):
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0 | 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at:]
            case 3:
                data[at : at + 16] = bytes(b ^ 0xFF for b in data[at : at + 16])
            case 4:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
        yield path.name, bytes(data)


def test_damage_is_never_loaded_and_always_named(tmp_path: Path) -> None:
    old, new = (write(snapshot(step), tmp_path, Disk()) for step in (10, 20))
    for name, contents in damages(new, DAMAGES):
        good = (new / name).read_bytes()
        (new / name).write_bytes(contents)
        found, damaged = newest(tmp_path)
        assert found is not None and found.path == old
        ((path, reason),) = damaged
        assert path == new
        assert reason.startswith(f"{name} "), reason
        (new / name).write_bytes(good)
    check_same(read(new), snapshot(20))
    check_same(read(old), snapshot(10))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = write(snapshot(10), tmp_path, Disk())
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        path.unlink()
        with pytest.raises(Damaged, match=f"^{path.name} is missing"):
            read(folder)
        path.mkdir()
        with pytest.raises(Damaged, match=f"^{path.name} cannot be read"):
            read(folder)
        path.rmdir()
        path.write_bytes(good)
    check_same(read(folder), snapshot(10))


def test_a_list_of_other_files(tmp_path: Path) -> None:
    from phistar.training.snapshots.sums import parse, render

    folder = write(snapshot(10), tmp_path, Disk())
    sums = parse((folder / SUMS).read_bytes())
    (folder / SUMS).write_bytes(render({k: v for k, v in sums.items() if "model" not in k}))
    with pytest.raises(Damaged, match=r"does not name model.safetensors"):
        read(folder)
    (folder / SUMS).write_bytes(b"\xff\n")
    with pytest.raises(Damaged, match="SHA256SUMS is no list of checksums"):
        read(folder)


def test_the_files_of_another_format(tmp_path: Path) -> None:
    from phistar.training.snapshots.sums import digest, parse, render

    def put(name: str, contents: bytes) -> None:
        (folder / name).write_bytes(contents)
        sums = parse((folder / SUMS).read_bytes())
        (folder / SUMS).write_bytes(render({**sums, name: digest(folder / name)}))

    folder = write(snapshot(10), tmp_path, Disk())
    good = (folder / "snapshot.json").read_bytes()
    put("snapshot.json", good.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(Damaged, match="its format is 2, this phistar reads 1"):
        read(folder)
    put("snapshot.json", b"[]")
    with pytest.raises(Damaged, match=r"snapshot.json cannot be understood"):
        read(folder)
    put("snapshot.json", good)
    put("model.safetensors", b"nothing")
    with pytest.raises(Damaged, match=r"model.safetensors cannot be understood"):
        read(folder)


def test_a_damaged_snapshot_is_passed_over_in_a_training(tmp_path: Path) -> None:
    model, history = train(epochs=3)
    for until in (7, 18):
        train(ph.Snapshots(tmp_path, until=until), resume=True)
    damaged = tmp_path / "step-0000000018" / "optimizer.safetensors"
    data = bytearray(damaged.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    message = (
        r"step-0000000018: optimizer.safetensors is not as it was written: its SHA-256 is .*; "
        r"going on from step-0000000007"
    )
    with pytest.warns(SnapshotWarning, match=message):
        train(ph.Snapshots(tmp_path, until=8), resume=True)
    assert [at for at, _, _ in snapshots_in(tmp_path)] == [7, 8]
    again, record = train(tmp_path, resume=True, epochs=3)
    assert bits(again) == bits(model)
    assert record.losses == history.losses
    assert not list(tmp_path.glob("damaged-*"))


def test_nothing_begins_anew_when_all_are_damaged(tmp_path: Path) -> None:
    train(ph.Snapshots(tmp_path, until=7))
    (tmp_path / "step-0000000007" / SUMS).unlink()
    with pytest.raises(SnapshotError, match=r"no snapshot in .* is whole: step-0+7: SHA256SUMS is"):
        train(tmp_path, resume=True)


def test_a_copy_elsewhere_is_as_good(tmp_path: Path) -> None:
    train(ph.Snapshots(tmp_path / "a", until=7))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    model, _ = train(tmp_path / "b", resume=True, epochs=2)
    plain, _ = train(epochs=2)
    assert bits(model) == bits(plain)
