"""Snapshots: stop anywhere, go on, and nothing tells the result from one that never stopped."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blobs import Line, line, squares
from hard import augmented, bits, data, loss, optimizer, train
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.errors import SnapshotError, SnapshotWarning, UsageError
from phistar.training.interruption import Stop
from phistar.training.snapshots.disk import Disk
from phistar.training.snapshots.keeper import Keeper
from phistar.training.snapshots.reading import newest, read
from phistar.training.snapshots.snapshot import Position, Snapshot
from phistar.training.snapshots.writing import snapshots_in, write


def names(folder: Path) -> list[str]:
    return [path.name for _, _, path in snapshots_in(folder)]


def resumed(folder: Path, stops: tuple[int, ...], **options: Any) -> tuple[Any, ph.History]:
    """A training that is left after so many steps, again and again, and then ended."""
    for until in stops:
        train(ph.Snapshots(folder, every=4, until=until), resume=True, **options)
    return train(ph.Snapshots(folder, every=4), resume=True, **options)


# What else might depend on the past: what it is, and the options of the training.
ADAM = ph.Adam(0.02)
KINDS: dict[str, dict[str, Any]] = {
    "adam, a schedule, dropout, batch norm, noise": {},
    "no shuffle, the last minibatch dropped": {"shuffle": False, "drop_last": True},
    "augmentation": {"data": augmented()},
    "plateau": {"optimizer": ph.SGD(ph.schedules.plateau(0.5, factor=0.5, patience=1))},
    "moving average of parameters": {"optimizer": ph.optim.EMA(ADAM, decay=0.9)},
    "accumulated gradients": {"optimizer": ph.optim.accumulate(ADAM, 3)},
    "clipped": {"optimizer": ph.optim.clip_norm(ADAM, 0.5)},
    "skipping": {"nonfinite": "skip"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_has_the_same_bits(tmp_path: Path, kind: str) -> None:
    """Stopped within an epoch, at the end of one, and after its last whole minibatch."""
    options = {"backend": "numpy", "epochs": 2, **KINDS[kind]}
    check_resumed(tmp_path, (7, 9, 10), options)


@pytest.mark.parametrize("kind", [next(iter(KINDS)), "augmentation"])
def test_a_resumed_training_has_the_same_bits_in_c(tmp_path: Path, kind: str) -> None:
    check_resumed(tmp_path, (9,), {"backend": "c", "epochs": 2, **KINDS[kind]})


@pytest.mark.xla
def test_a_resumed_training_has_the_same_bits_in_xla(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    check_resumed(tmp_path, (3,), {"backend": "xla", "epochs": 1, "drop_last": True})


def check_resumed(tmp_path: Path, stops: tuple[int, ...], options: dict[str, Any]) -> None:
    model, history = train(**options)
    again, record = resumed(tmp_path, stops, **options)
    assert bits(again) == bits(model)
    assert record.losses == history.losses
    assert [e.loss for e in record.epochs] == [e.loss for e in history.epochs]
    assert [e.examples for e in record.epochs] == [e.examples for e in history.epochs]


def test_the_reference_backend_resumes_too(tmp_path: Path) -> None:
    model, _ = train(backend="reference", epochs=1)
    again, _ = resumed(tmp_path, (3, 8), backend="reference", epochs=1)
    assert bits(again) == bits(model)


def test_taking_snapshots_changes_nothing(tmp_path: Path) -> None:
    """Where the backend does many steps in a call, calls end where snapshots are due."""
    model, history = train(backend="c")
    again, record = train(ph.Snapshots(tmp_path, every=3), backend="c")
    assert bits(again) == bits(model)
    assert record.losses == history.losses


def test_more_epochs_go_on(tmp_path: Path) -> None:
    model, _ = train(epochs=3)
    train(tmp_path, epochs=1)
    again, history = train(tmp_path, resume=True, epochs=3)
    assert bits(again) == bits(model)
    assert [e.number for e in history.epochs] == [1, 2, 3]


def test_a_finished_training_does_nothing(tmp_path: Path) -> None:
    model, _ = train(tmp_path, epochs=1)
    before = names(tmp_path)
    again, history = train(tmp_path, resume=True, epochs=1)
    assert bits(again) == bits(model)
    assert (len(history.losses), names(tmp_path)) == (10, before)


def test_resume_begins_where_there_is_nothing(tmp_path: Path) -> None:
    _, history = train(tmp_path / "new" / "folder", resume=True, epochs=1)
    assert len(history.losses) == 10


def test_a_path_resumes_from_that_snapshot(tmp_path: Path) -> None:
    options: dict[str, Any] = {"backend": "numpy"}
    model, _ = train(epochs=3, **options)
    train(ph.Snapshots(tmp_path, every=1000), epochs=2, **options)
    (one,) = (p for _, _, p in snapshots_in(tmp_path))
    for path in (one, str(tmp_path)):
        again, _ = train(resume=path, epochs=3, **options)
        assert bits(again) == bits(model)
    again, _ = train(tmp_path / "other", resume=one, epochs=3, **options)
    assert bits(again) == bits(model)
    assert names(tmp_path / "other") == ["step-0000000030"]


def test_the_measured_epochs_are_kept(tmp_path: Path) -> None:
    options: dict[str, Any] = {"validation": data(40), "metrics": ["accuracy"], "epochs": 3}
    _, history = train(**options)
    _, record = resumed(tmp_path, (12, 20), **options)
    assert record.metrics == history.metrics


def test_what_a_snapshot_holds(tmp_path: Path) -> None:
    model, _ = train(ph.Snapshots(tmp_path, until=13))
    found = read(tmp_path / "step-0000000013")
    assert isinstance(found, ph.Snapshot)
    assert (found.step, found.seed) == (13, 5)
    assert (found.position.epoch, found.position.batch, found.position.seen) == (1, 3, 48)
    assert set(found.model) == set(model.named_tensors())
    assert {"W0.m", "W0.v", "W1.m", "W1.v"} <= set(found.optimizer)
    assert {"phistar", "numpy", "python", "backend"} <= set(found.versions)
    assert repr(found).startswith("Snapshot after 13 steps (epoch 2, minibatch 3; ")
    record = json.loads((tmp_path / "step-0000000013" / "snapshot.json").read_text())
    assert record["settings"]["optimizer"] == repr(optimizer())


def test_a_snapshot_is_a_folder_of_weights(tmp_path: Path) -> None:
    model, _ = train(tmp_path, epochs=1)
    again, _ = train(epochs=1, seed=9)
    assert ph.load(again, tmp_path / "step-0000000010" / "model.safetensors").complete
    assert bits(again) == bits(model)


def test_the_checksums_are_those_of_sha256sum(tmp_path: Path) -> None:
    import hashlib

    train(tmp_path, epochs=1)
    folder = tmp_path / "step-0000000010"
    *lines, last = (folder / "SHA256SUMS").read_text().splitlines()
    assert last.startswith("# ")
    for row in lines:
        digest, name = row.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


# When, and which stay -----------------------------------------------------------------------------


def waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every snapshot is written before the next step, so that tests know which there are."""
    submit = Keeper.submit

    def waited(self: Keeper, step: int, make: Any) -> None:
        submit(self, step, make)
        self.writer.wait()

    monkeypatch.setattr(Keeper, "submit", waited)


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_every_n_steps_and_the_last_k(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch)
    train(ph.Snapshots(tmp_path, every=7, keep=4), backend=backend)
    assert names(tmp_path) == [f"step-{n:010}" for n in (21, 28, 35, 40)]


def test_every_so_many_minutes_on_a_clock_that_does_not_jump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute passes with every look at the clock; the time of day jumps back all the while."""
    waiting(monkeypatch)
    now = iter(range(0, 10**9, 60))
    monkeypatch.setattr(Keeper, "clock", staticmethod(lambda: float(next(now))))
    monkeypatch.setattr(time, "time", lambda: -float(next(now)))
    train(ph.Snapshots(tmp_path, minutes=4.5, keep=100), epochs=2, backend="numpy")
    steps = [at for at, _, _ in snapshots_in(tmp_path)]
    assert len(steps) > 3
    assert np.diff(steps[:-1]).max() <= 5


def test_five_minutes_if_nothing_is_said() -> None:
    assert ph.Snapshots("x").minutes == 5
    assert ph.Snapshots("x", every=3).minutes is None


@pytest.mark.parametrize("highest", [False, True])
def test_the_best_stays(tmp_path: Path, highest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting(monkeypatch)
    best = "validation accuracy" if highest else "validation loss"
    wishes = ph.Snapshots(tmp_path, every=10, keep=1, best=best)
    rate = ph.Adam(0.3)  # so high that the last epoch is not the best one
    _, history = train(
        wishes, epochs=8, validation=data(60), metrics=["accuracy"], optimizer=rate, seed=2
    )
    values = history.metrics[best.replace(" ", ".")]
    at = values.index(max(values) if highest else min(values))
    assert at < 7, "the test needs a training whose best epoch is not the last"
    assert names(tmp_path) == [f"step-{10 * (at + 1):010}", "step-0000000080"]


def test_the_best_is_remembered_by_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(monkeypatch)
    options: dict[str, Any] = {
        "epochs": 8, "validation": data(60), "optimizer": ph.Adam(0.3), "seed": 2,
    }  # fmt: skip
    for until in (35, 55, None):
        wishes = ph.Snapshots(tmp_path, every=10, keep=1, best="validation loss", until=until)
        _, history = train(wishes, resume=True, **options)
    values = history.metrics["validation.loss"]
    assert names(tmp_path)[0] == f"step-{10 * (values.index(min(values)) + 1):010}"


def test_a_step_waits_only_for_the_copy(tmp_path: Path) -> None:
    """The disk takes forever: training goes on, and takes no second copy."""
    free = threading.Event()

    class Slow(Disk):
        def sync(self, file: int) -> None:
            free.wait(30)
            super().sync(file)

    keeper = Keeper(ph.Snapshots(tmp_path, every=1), Slow())
    copies = []

    def make() -> Snapshot:
        copies.append(1)
        return Snapshot({}, {}, 0, len(copies), Position())

    with keeper.opened(Stop()):
        keeper.begin(None)
        for step in range(1, 50):
            keeper.offer(step, make)
        assert len(copies) == 1
        assert names(tmp_path) == []
        free.set()
    assert names(tmp_path) == ["step-0000000001"]


# Callbacks ----------------------------------------------------------------------------------------


class Patience:
    """Ends a training after a few epochs without a better loss; remembers the best."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.best, self.bad = epochs, float("inf"), 0
        self.seen: list[np.float64] = []

    def __call__(self, history: ph.History) -> bool:
        now = history.epoch_losses[-1]
        self.bad = 0 if now < self.best else self.bad + 1
        self.best = min(self.best, now)
        return self.bad >= self.epochs

    def state_dict(self) -> dict[str, Any]:
        return {"best": np.float64(self.best), "bad": self.bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.bad = state["best"], state["bad"]


def test_early_stopping_goes_on_and_stays_ended(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 40, "optimizer": ph.Adam(0.3)}
    model, history = train(callbacks=[Patience(2)], **options)
    steps = len(history.losses)
    assert 20 < steps < 400
    for until in (steps - 20, steps - 10, None):
        again, record = train(
            ph.Snapshots(tmp_path, until=until), resume=True, callbacks=[Patience(2)], **options
        )
    assert bits(again) == bits(model)
    assert record.losses == history.losses
    ended, record = train(tmp_path, resume=True, callbacks=[Patience(2)], **options)
    assert len(record.losses) == steps
    assert bits(ended) == bits(model)


def test_a_callback_whose_state_is_no_json(tmp_path: Path) -> None:
    class Odd(Patience):
        def state_dict(self) -> dict[str, Any]:
            return {"best": object()}

    with pytest.warns(SnapshotWarning, match="the state of a callback cannot be written as JSON"):
        train(ph.Snapshots(tmp_path, every=1000), epochs=1, callbacks=[Odd(3)])
    assert names(tmp_path) == []


# Refusals -----------------------------------------------------------------------------------------


def other_data(change: Any) -> Any:
    columns = {name: np.array(data()[name]) for name in ("x", "label")}
    return ph.data.Dataset(**change(columns))


# fmt: off
CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 32},          "the batch size was 16, it is 32 now"),
    ({"seed": 6},                 "the seed was 5, it is 6 now"),
    ({"shuffle": False},          "shuffle was True, it is False now"),
    ({"drop_last": True},         "drop_last was False, it is True now"),
    ({"optimizer": ph.SGD(0.1)},  r"the optimizer was Adam\(.*, it is SGD\(.*0.1\) now"),
    ({"optimizer": ph.Adam(0.1)}, r"was Adam\(rate=cosine\(.*\)\), it is Adam\(rate=0.1\) now"),
    ({"data": lambda c: {k: v[:-1] for k, v in c.items()}},
                                  "the number of examples was 150, it is 149 now"),
    ({"data": lambda c: {**c, "label": c["label"].astype(np.int32)}},
                                  "the type of column label was i64, it is i32 now"),
    ({"data": lambda c: {**c, "x": c["x"] + (np.arange(150) == 149)[:, None].astype(np.float32)}},
                                  "the data has other numbers in column x"),
    ({"data": lambda c: {**c, "more": c["x"]}},
                                  "the data had the columns label, x, it has label, more, x now"),
    ({"hidden": 9},               r"W0 was float32\[8, 2\], it is float32\[9, 2\] now"),
    ({"loss": 2},                 "the equations of the model or of its loss are others"),
]
# fmt: on


@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[reason for _, reason in CHANGES])
def test_a_training_that_is_another_is_refused(
    tmp_path: Path, change: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hard

    train(ph.Snapshots(tmp_path, until=13))
    if "data" in change:
        change = {"data": other_data(change["data"])}
    if "hidden" in change:
        change = {"model": hard.Hard(change["hidden"])}
    if "loss" in change:
        monkeypatch.setattr(hard, "loss", lambda model, x, label: 2 * loss(model, x, label))
        change = {}
    with pytest.raises(SnapshotError, match=reason) as refusal:
        train(tmp_path, resume=True, **change)
    if "model" not in change:
        assert "force=True (--force) goes on with its parameters" in str(refusal.value)


@pytest.mark.parametrize("change", [{"batch_size": 32}, {"optimizer": ph.SGD(0.1)}, {"seed": 1}])
def test_force_goes_on_with_the_parameters(tmp_path: Path, change: dict[str, Any]) -> None:
    train(ph.Snapshots(tmp_path, until=13))
    before = read(tmp_path / "step-0000000013")
    model, history = train(tmp_path, resume=True, force=True, epochs=1, **change)
    assert len(history.losses) == 13  # one epoch is done
    assert_array_equal(model.W0.value, before.model["W0"])
    _, history = train(tmp_path, resume=True, force=True, epochs=2, **change)
    assert len(history.losses) > 13


def test_a_constant_of_the_loss_is_compared(tmp_path: Path) -> None:
    def training(value: float) -> None:
        scale = ph.tensor(value, name="scale", dtype="f64")
        ph.fit(
            Line(), lambda model, x, t: scale[()] * squares(model, x, t), line(),
            optimizer=ph.SGD(0.1), progress=False, snapshots=tmp_path, resume=True,
        )  # fmt: skip

    training(2.0)
    training(2.0)
    with pytest.raises(SnapshotError, match="a constant that the loss reads has another value"):
        training(3.0)


def test_other_versions_are_told(tmp_path: Path) -> None:
    train(ph.Snapshots(tmp_path, until=13), backend="numpy")
    with pytest.warns(SnapshotWarning, match="was numpy, it is reference now: the bits may differ"):
        train(ph.Snapshots(tmp_path, until=14), backend="reference", resume=True)


def test_an_earlier_training_is_not_written_over(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    with pytest.raises(UsageError, match=r"holds the snapshots of an earlier training \(step-0+10"):
        train(tmp_path, epochs=1)


def test_later_snapshots_are_not_written_over(tmp_path: Path) -> None:
    for until in (3, 6):
        train(ph.Snapshots(tmp_path, until=until), resume=True)
    with pytest.raises(UsageError, match="holds snapshots later than 3 steps"):
        train(tmp_path, resume=tmp_path / "step-0000000003")


# fmt: off
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"snapshots": 3},   r'snapshots= wants a folder or ph.Snapshots\("runs/x/snapshots", every'),
    ({"resume": True},   "resume=True needs snapshots=, the folder to look in"),
    ({"resume": 3},      "resume= wants True or the path of a snapshot, not 3"),
    ({"nonfinite": "x"}, r'nonfinite= is "stop" or "skip", not \'x\''),
]
WISHES: list[tuple[dict[str, Any], str]] = [
    ({"every": 0},       "every must be a whole number from 1 on, not 0"),
    ({"keep": None},     "keep must be a whole number from 1 on, not None"),
    ({"until": 2.5},     "until must be a whole number from 1 on, not 2.5"),
    ({"minutes": 0},     "minutes must be a number above 0, not 0"),
]
# fmt: on


@pytest.mark.parametrize(("options", "match"), MISTAKES)
def test_mistakes(options: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        train(**options)


@pytest.mark.parametrize(("options", "match"), WISHES)
def test_mistaken_wishes(options: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        ph.Snapshots("x", **options)


def test_there_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"there is no snapshot .*nowhere"):
        train(resume=tmp_path / "nowhere")
    with pytest.raises(SnapshotError, match="is no whole snapshot: SHA256SUMS is missing"):
        train(resume=tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match=r"snapshots cannot be written to .*: "):
        train(tmp_path / "file" / "snapshots")


def test_two_trainings_in_one_folder(tmp_path: Path) -> None:
    import os

    keeper = Keeper(ph.Snapshots(tmp_path))
    with (
        keeper.opened(Stop()),
        pytest.raises(UsageError, match=rf"another training \(process {os.getpid()} on .*writes"),
    ):
        train(tmp_path)
    train(ph.Snapshots(tmp_path, until=1))  # the lock is free again


def test_names_tell_the_order_and_times_do_not(tmp_path: Path) -> None:
    import os

    for step in (5, 30, 200):
        path = write(Snapshot({}, {}, 0, step, Position()), tmp_path, Disk())
        os.utime(path, (10**9 - step, 10**9 - step))
    found, _ = newest(tmp_path)
    assert found is not None and found.step == 200


def test_one_step_twice_is_two_snapshots(tmp_path: Path) -> None:
    for _ in range(2):
        write(Snapshot({}, {}, 0, 5, Position()), tmp_path, Disk())
    assert names(tmp_path) == ["step-0000000005", "step-0000000005.2"]
    found, _ = newest(tmp_path)
    assert found is not None and found.path is not None and found.path.name.endswith(".2")


def test_parameters_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    """The update of the third step is not finite: its snapshot would be of no use."""
    b = ph.index("b")
    x = np.ones(12)
    x[5] = 0
    with pytest.raises(ph.NotFiniteError, match="the update of step 3 was not finite"):
        ph.fit(
            Line(), lambda model, x: ph.sqrt(ph.abs(model.w * x[b])), ph.data.Dataset(x=x),
            optimizer=ph.SGD(0.01), batch_size=2, shuffle=False, progress=False,
            backend="numpy", snapshots=ph.Snapshots(tmp_path, every=3),
        )  # fmt: skip
    assert names(tmp_path) == []
