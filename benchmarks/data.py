"""How many examples a second come from a memory map: `python -m benchmarks.data`.

rows of 784 bytes, shuffled, minibatches of 128: as bytes, and as f32 from 0 to 1
"""

import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (EXAMPLES, WIDTH), np.uint8))
        data = ph.data.npy(x=path)
        seen = ph.data.Dataset(x=ph.data.column(data.columns["x"].array, divisor=255))
        for title, each in (("bytes", data), ("f32 / 255", seen)):
            sys.stdout.write(f"{title:<10} {rate(each) / 1e6:6.2f} million examples/s\n")


if __name__ == "__main__":
    main()
