"""The same programs compiled by clang, which begins reductions and makes vectors in its own way."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


def clang() -> str | None:
    """The command, from the package ziglang where there is no other."""
    if found := shutil.which("clang"):
        return found
    return f"{sys.executable} -m ziglang cc" if find_spec("ziglang") else None


@pytest.mark.skipif(clang() is None, reason="neither clang nor the package ziglang is installed")
def test_constructs_and_random_programs() -> None:
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    env = dict(os.environ, CC=clang() or "", PYTHONPATH=paths)
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "constructs or 0] and random"]
    command = [sys.executable, "-m", "pytest", *words, str(TESTS / "backends/test_c.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
