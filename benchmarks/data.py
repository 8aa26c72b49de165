"""How many examples a second come from a memory map: `python -m benchmarks.data`.

rows of 784 bytes, shuffled, minibatches of 128: as bytes, as f32 from 0 to 1, and in a training's
loop on the c backend, which gathers its own rows, with a model that sees one byte of each
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import phistar as ph

EXAMPLES = 200_000
WIDTH = 784
SIZE = 128


def rate(data: ph.data.Dataset) -> float:
    """The best of three passes."""
    best = 0.0
    for epoch in range(3):
        start = time.perf_counter()
        for batch in data.batches(SIZE, shuffle=True, epoch=epoch):
            batch["x"]
        best = max(best, len(data) / (time.perf_counter() - start))
    return best


class OneByte(ph.Model):
    """y[b] = w x[b, 0]"""

    def __init__(self) -> None:
        self.w = ph.param((), init=1.0)


def loss(model: OneByte, x: Any) -> Any:
    """The mean square of what the model makes of one byte."""
    b = ph.indices("b")
    return ph.mean[b]((model.w * x[b, 0]) ** 2)


def fit_rate(data: ph.data.Dataset) -> float:
    """The best of five epochs, the loop being compiled before."""
    ends: list[float] = []
    ph.fit(
        OneByte(),
        loss,
        data,
        optimizer=ph.SGD(1e-6),
        epochs=6,
        batch_size=SIZE,
        drop_last=True,
        backend="c",
        progress=False,
        callbacks=[lambda history: ends.append(time.perf_counter())],
    )
    return float(len(data) / min(np.diff(ends)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (EXAMPLES, WIDTH), np.uint8))
        data = ph.data.npy(x=path)
        seen = ph.data.Dataset(x=ph.data.column(data.columns["x"].array, divisor=255))
        for title, each in (("bytes", data), ("f32 / 255", seen)):
            show(title, rate(each))
        show("fit, in C", fit_rate(seen))


def show(title: str, examples: float) -> None:
    sys.stdout.write(f"{title:<10} {examples / 1e6:6.2f} million examples/s\n")


if __name__ == "__main__":
    main()
