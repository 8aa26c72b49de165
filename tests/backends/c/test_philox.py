"""The random numbers of philox.h are those of the array namespace's Philox."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from phistar.backends import philox
from phistar.backends.c import spelling, toolchain
from phistar.ir.dtypes import DType

HEADERS = Path(spelling.__file__).parent / "runtime"
N = 20000
POSITIONS = (0, 12345, 2**32 - N // 2, 2**63)  # one run crosses from the low word to the high
SEEDS = ((0, 0), (1, 7), (2**64 - 1, 2**32 - 1), (0x123456789ABCDEF, 100000))  # and steps
PLACE = 5
KEY = "(uint32_t)seed, (uint32_t)(seed >> 32)"
SOURCE = '#include "philox.h"\n' + "\n".join(
    f"void all_{name}({c_type} *out, long n, uint64_t seed, uint32_t step, uint64_t start) {{"
    f" for (long i = 0; i < n; i++) out[i] = {name}({KEY}, step, {PLACE}, start + i); }}"
    for name, c_type in (
        ("uniform_f32", "float"),
        ("uniform_f64", "double"),
        ("normal_f32", "float"),
        ("normal_f64", "double"),
    )
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = toolchain.find_compiler()
    if compiler is None:
        pytest.skip("no C compiler is installed here")
    out = tmp_path_factory.mktemp("philox") / "philox.so"
    toolchain.compile_shared(compiler, SOURCE, out, include=HEADERS)
    return ctypes.CDLL(str(out))


def found(library: ctypes.CDLL, name: str, dtype: DType, seed: int, step: int, start: int):
    out = np.empty(N, dtype.numpy)
    getattr(library, f"all_{name}_{dtype.value}")(
        ctypes.c_void_p(out.ctypes.data),
        ctypes.c_long(N),
        ctypes.c_uint64(seed),
        ctypes.c_uint32(step),
        ctypes.c_uint64(start),
    )
    return out


def words(seed: int, step: int, start: int) -> tuple[np.ndarray, ...]:
    at = np.uint64(start) + np.arange(N, dtype=np.uint64)
    low = (at & np.uint64(philox.MASK)).astype(np.uint32)
    high = (at >> np.uint64(32)).astype(np.uint32)
    k0, k1 = (np.uint32(k) for k in philox.split_seed(seed))
    with np.errstate(over="ignore"):
        return philox.field_words(np, (k0, k1), np.uint32(step), PLACE, low, high)


@pytest.mark.parametrize("start", POSITIONS)
@pytest.mark.parametrize(("seed", "step"), SEEDS)
def test_uniform_to_the_bit(library: ctypes.CDLL, seed: int, step: int, start: int) -> None:
    for dtype in (DType.F32, DType.F64):
        wanted = philox.uniform(np, words(seed, step, start), dtype)
        assert_array_equal(found(library, "uniform", dtype, seed, step, start), wanted)


@pytest.mark.parametrize("start", POSITIONS)
@pytest.mark.parametrize(("seed", "step"), SEEDS)
def test_normal(library: ctypes.CDLL, seed: int, step: int, start: int) -> None:
    """The absolute part is the rounding of the angle, which decides near the cosine's zeros."""
    for dtype, relative, absolute in ((DType.F32, 1e-6, 0), (DType.F64, 1e-12, 4e-15)):
        wanted = philox.normal(np, words(seed, step, start), dtype, np.float64)
        mine = found(library, "normal", dtype, seed, step, start)
        assert_allclose(mine, wanted, rtol=relative, atol=absolute)
