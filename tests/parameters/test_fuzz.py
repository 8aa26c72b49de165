"""Damaged files of every kind: arrays or WeightsError, in little time and memory, nothing run.

PHISTAR_FUZZ=25000 pytest tests/parameters/test_fuzz.py reads that many of each kind.
"""

import os
from pathlib import Path

import pytest

from parameters.fuzzing import KINDS, fuzz

CASES = int(os.environ.get("PHISTAR_FUZZ", "200"))
NEEDS = {"pth": "torch", "pth-legacy": "torch", "h5": "h5py", "keras": "h5py"}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    if kind in NEEDS:
        pytest.importorskip(NEEDS[kind])
    counts = fuzz(kind, tmp_path, CASES)
    assert sum(counts.values()) == CASES and counts["refused"] > CASES / 4
