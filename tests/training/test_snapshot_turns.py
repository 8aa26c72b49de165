"""A training of two objectives that take turns stops and goes on, too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard import bits

import phistar as ph
from phistar.errors import SnapshotError
from phistar.training.alternating import alternate
from phistar.training.snapshots.reading import newest
from phistar.zoo import gan


def train(snapshots: Any = None, **options: Any) -> tuple[gan.GAN, ph.History]:
    rng = np.random.default_rng(0)
    data = ph.data.Dataset(x=rng.random((40, 6)).astype(np.float32))
    model = small()
    settings: dict[str, Any] = {
        "optimizer": {"discriminator": ph.Adam(1e-2), "generator": ph.Adam(3e-2)}, "epochs": 3,
        "batch_size": 16, "seed": 4, "validation": data, "backend": "numpy", "progress": False,
    }  # fmt: skip
    history = alternate(model, gan.LOSSES, data, snapshots=snapshots, **{**settings, **options})
    return model, history


def small() -> gan.GAN:
    return gan.GAN(pixels=6, latent=3, hidden=5)


def test_turns_go_on_with_the_same_bits(tmp_path: Path) -> None:
    """Stopped within an epoch, after its last minibatch, and after the measuring."""
    model, history = train()
    for until in (2, 3, 7, None):
        again, record = train(ph.Snapshots(tmp_path, every=2, until=until), resume=True)
    assert bits(again) == bits(model)
    assert record.losses == history.losses
    assert record.metrics == history.metrics
    found, _ = newest(tmp_path)
    assert found is not None
    parts = {name.partition("/")[0] for name in found.optimizer}
    assert parts == {"discriminator", "generator"}


def test_another_optimizer_of_a_part_is_refused(tmp_path: Path) -> None:
    train(ph.Snapshots(tmp_path, until=4))
    with pytest.raises(SnapshotError, match=r"the optimizer was .*generator: .* now"):
        train(tmp_path, resume=True, optimizer=ph.Adam(1e-2))


def test_a_callback_ends_it_for_good(tmp_path: Path) -> None:
    for _ in range(2):
        _, history = train(tmp_path, resume=True, callbacks=[lambda h: len(h.epochs) == 2])
        assert len(history.losses) == 6


def test_augmentation_is_another_in_every_epoch() -> None:
    seen: list[float] = []

    def drawn(x: Any, rng: Any) -> dict[str, Any]:
        seen.append(rng.random())
        return {"x": x}

    rng = np.random.default_rng(0)
    data = ph.data.Dataset(x=rng.random((8, 6)).astype(np.float32)).map(drawn)
    seen.clear()
    alternate(
        small(), gan.LOSSES, data, optimizer=ph.SGD(0.1), epochs=3, batch_size=4,
        backend="numpy", progress=False,
    )  # fmt: skip
    assert len(seen) == len(set(seen)) == 24
