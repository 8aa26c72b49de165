"""Compiled programs under the address and the undefined-behaviour sanitizer, in another process.

PHISTAR_FUZZ=n runs n times as many random programs.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))


def address_sanitizer() -> str | None:
    """gcc's library, None where there is none."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    words = [gcc, "-print-file-name=libasan.so"]
    path = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return path if os.path.isabs(path) else None


@pytest.mark.skipif(address_sanitizer() is None, reason="gcc has no address sanitizer here")
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(("backends/test_c.py", "-k", "0] and random_programs"), id="programs"),
        pytest.param(("backends/c/test_c_products.py", "-k", "random"), id="products"),
        pytest.param(("backends/c/test_c_pictures.py", "-k", "random"), id="pictures"),
    ],
)
def test_no_access_outside_a_tensor(chosen: tuple[str, ...], tmp_path: Path) -> None:
    file, *options = chosen
    if FUZZ > 1:
        options = ["-k", "random"]
    env = dict(
        os.environ,
        LD_PRELOAD=address_sanitizer() or "",
        ASAN_OPTIONS=f"detect_leaks=0:log_path={tmp_path / 'found'}",
        UBSAN_OPTIONS=f"log_path={tmp_path / 'found'}",
        PYTHONPATH=os.pathsep.join([str(TESTS), *filter(None, sys.path)]),
    )
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "sanitized", *options]
    command = [sys.executable, "-m", "pytest", *words, str(TESTS / file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=TESTS.parent)
    found = "\n".join(path.read_text()[:4000] for path in tmp_path.glob("found*"))
    assert done.returncode == 0, f"{found}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert " passed" in done.stdout
