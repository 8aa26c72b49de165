"""The kernels of the run time, compiled for several processors, against plain loops."""

import platform
import subprocess
from pathlib import Path

import pytest

from phistar.backends.c import cache, toolchain

COMPILER = toolchain.find_compiler()
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
HERE = Path(__file__).parent
RUNTIME = Path(cache.__file__).parent / "runtime"


def runs(feature: str) -> bool:
    """This machine has what the code is compiled for."""
    known = Path("/proc/cpuinfo")
    return known.exists() and f" {feature} " in known.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "feature"),
    [
        (["-march=native"], None),
        (["-march=haswell"], "avx2"),
        (["-march=x86-64"], "sse2"),
        (["-march=native", "-fsanitize=address,undefined", "-fno-sanitize-recover"], None),
    ],
    ids=["native", "avx2", "sse2", "sanitized"],
)
def test_kernels_equal_plain_loops(flags: list[str], feature: str | None, tmp_path: Path) -> None:
    if feature is not None and (platform.machine() != "x86_64" or not runs(feature)):
        pytest.skip(f"this machine has no {feature}")
    assert COMPILER is not None
    command = [*COMPILER.command, "-O1", *flags, "-fno-math-errno", "-fno-trapping-math"]
    command += ["-fopenmp-simd", "-fwrapv", f"-I{RUNTIME}", str(HERE / "kernels.c"), "-lm"]
    built = subprocess.run(
        [*command, "-o", str(tmp_path / "kernels")], capture_output=True, text=True
    )
    if built.returncode and "sanitize" in " ".join(flags):
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(tmp_path / "kernels")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" 0 wrong") == 5
