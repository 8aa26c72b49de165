"""A tiny image set in the form of MNIST: files for a folder, a pickle as the registry has it."""

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.catalogue import FILES, PARTS
from phistar.data.idx import format_idx

rng = np.random.default_rng(0)

# fmt: off
ARRAYS: dict[str, Any] = {
    "train-images": rng.integers(0, 256, (6, 28, 28)).astype(np.uint8),
    "train-labels": np.array([3, 1, 4, 1, 5, 9], np.uint8),
    "t10k-images":  rng.integers(0, 256, (2, 28, 28)).astype(np.uint8),
    "t10k-labels":  np.array([2, 6], np.uint8),
}
# fmt: on
CONTENTS = {part: format_idx(ARRAYS[part]) for part in PARTS}


def write_files(folder: Path, packed: bool = False) -> Path:
    """The four files in a folder, gzipped or not."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in FILES.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(CONTENTS[part]))
        else:
            (folder / name).write_bytes(CONTENTS[part])
    return folder


def pickled() -> bytes:
    """((x, y), (x, y), (x, y)), x = pixel / 256: 4 to train on, 2 to validate, 2 to test."""
    x = {part: ARRAYS[part].reshape(-1, 784) / np.float32(256) for part in PARTS[::2]}
    y = {part: ARRAYS[part].astype(np.int64) for part in PARTS[1::2]}
    train, labels = x["train-images"], y["train-labels"]
    test = (x["t10k-images"], y["t10k-labels"])
    content = ((train[:4], labels[:4]), (train[4:], labels[4:]), test)
    return gzip.compress(pickle.dumps(content, protocol=3))
