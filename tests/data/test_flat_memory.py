"""A set ten times as large as the memory a process may take is read minibatch by minibatch."""

import subprocess
import sys

import numpy as np
import pytest

resource = pytest.importorskip("resource")

ROW = 1 << 16
ALLOWED = 256 << 20

READING = """
import resource, sys
import numpy as np
import phistar as ph
data = ph.data.npy(x=sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
total = 0
for step, batch in enumerate(data.batches(64, shuffle=True)):
    total += int(batch["x"].sum())
    if step == 200:
        break
try:
    np.ones(int(sys.argv[2]), np.uint8)
except MemoryError:
    print("read", total)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_stays_flat(tmp_path):
    path = tmp_path / "x.npy"
    rows = 10 * ALLOWED // ROW
    with path.open("wb") as file:  # zeros that take no place on the disk
        form = {"descr": "|u1", "fortran_order": False, "shape": (rows, ROW)}
        np.lib.format.write_array_header_1_0(file, form)
        file.truncate(file.tell() + rows * ROW)
    command = [sys.executable, "-c", READING, str(path), str(ALLOWED)]
    one = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=one)
    assert done.stdout == "read 0\n", done.stderr
