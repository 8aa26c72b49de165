"""The functions of mathematics.h are NumPy's: over numbers of all magnitudes, to stated bounds."""

import ctypes
import re
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.backends.c import spelling, toolchain
from phistar.backends.reference import FUNCTIONS
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Primitive as P
from phistar.ir.primitives import Typing

HEADERS = Path(spelling.__file__).parent / "runtime"
CALLED = sorted(spelling.FUNCTIONS | {P.DIV}, key=lambda p: p.spelling)
FLOATS = (DType.F32, DType.F64)
NUMBERS = (*FLOATS, DType.U8, DType.I8, DType.I16, DType.I32, DType.I64)
INTEGERS = NUMBERS[2:]
CASES = [(p, d) for p in CALLED for d in (NUMBERS if p.typing is Typing.NUMBER else FLOATS)]

# How many units in the last place a result may be wrong, and how much besides where a product
# with a denormal number, or the rounding of an exponent, loses digits. The others are exact.
# fmt: off
BOUNDS = {
    P.EXP: (1.1, 0),       P.EXPM1: (1.7, 0),      P.LOG: (1, 0),         P.LOG1P: (1.6, 0),
    P.SIN: (1.6, 0),       P.COS: (1.6, 0),        P.TAN: (2, 0),         P.TANH: (2.6, 0),
    P.ARCSIN: (2, 0),      P.ARCCOS: (2, 0),       P.ARCTAN: (2, 0),      P.SINH: (3, 0),
    P.COSH: (3, 0),        P.ERF: (2.5, 0),        P.ERFC: (7, 0),        P.SIGMOID: (2.5, 0),
    P.SOFTPLUS: (2, 0),    P.LOG_SIGMOID: (2, 0),  P.SILU: (3.5, 1e-43),  P.MISH: (4.5, 1e-43),
    P.GELU: (7, 1e-43),    P.GELU_TANH: (4, 5e-8), P.ELU: (3, 0),         P.CELU: (4, 0),
    P.SELU: (3.5, 0),      P.POW: (1, 0),
}
# fmt: on
BESIDES_F64 = {  # the reference's own roundings; products with a denormal number
    **{p: 1e-15 for p in (P.GELU, P.GELU_TANH)},
    **{p: 1e-304 for p in (P.SILU, P.MISH)},
}
WRITTEN = (1.0, 2.0, 3.0, -1.0, 0.5, 2.5, -2.0, 0.0)
SPECIAL = (
    *(0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 6.0, 7.0, 88.7, 88.8, 103.9, 104.1, 709.7, 745.2),
    *(1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e-8, 1e-3, 8191.0, 131072.0, 1e10, 3.4e38, np.inf),
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(scope="module")
def compiler() -> toolchain.Compiler:
    found = toolchain.find_compiler()
    if found is None:
        pytest.skip("no C compiler is installed here")
    return found


@pytest.fixture(scope="module")
def defined(compiler: toolchain.Compiler) -> set[str]:
    """The functions of the header."""
    command = (*compiler.command, "-E", "-P", str(HEADERS / "mathematics.h"))
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(\w+)\s*\([^()]*\)\s*\{", text))


@pytest.fixture(scope="module")
def library(
    compiler: toolchain.Compiler, defined: set[str], tmp_path_factory: pytest.TempPathFactory
) -> ctypes.CDLL:
    loops = [loop(name(p, d), p.arity, result_type(p, d), spelling.C_TYPES[d]) for p, d in CASES
             if name(p, d) in defined]  # fmt: skip
    for d, power in product(FLOATS, WRITTEN):
        c_type, function = spelling.C_TYPES[d], written(power, d)
        body = f"return {name(P.POW, d)}(x, {spelling.literal(power, d)});"
        loops += [f"static inline {c_type} {function}({c_type} x) {{ {body} }}"]
        loops += [loop(function, 1, c_type, c_type)]
    for half in ("half", "bfloat"):
        loops += [loop(f"{half}_to_float", 1, "float", "uint16_t")]
        loops += [loop(f"float_to_{half}", 1, "uint16_t", "float")]
    out = tmp_path_factory.mktemp("mathematics") / "mathematics.so"
    source = "\n".join(('#include "mathematics.h"', *loops))
    toolchain.compile_shared(compiler, source, out, include=HEADERS)
    return ctypes.CDLL(str(out))


def name(p: P, dtype: DType) -> str:
    return f"{p.spelling}_{dtype.value}"


def written(power: float, dtype: DType) -> str:
    return f"power_{WRITTEN.index(power)}_{dtype.value}"


def result_type(p: P, dtype: DType) -> str:
    return "uint8_t" if p.typing is Typing.TEST else spelling.C_TYPES[dtype]


def loop(function: str, arity: int, result: str, operand: str) -> str:
    """A function that calls `function` for each element of its arrays."""
    parameters = ", ".join(f"const {operand} *a{k}" for k in range(arity))
    arguments = ", ".join(f"a{k}[i]" for k in range(arity))
    return (
        f"void all_{function}(long n, {result} *restrict out, {parameters}) "
        f"{{ for (long i = 0; i < n; i++) out[i] = {function}({arguments}); }}"
    )


def apply(library: ctypes.CDLL, function: str, result: Any, *args: np.ndarray) -> np.ndarray:
    args = tuple(np.ascontiguousarray(a) for a in args)
    out = np.empty(args[0].shape, result)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (out, *args)]
    getattr(library, f"all_{function}")(ctypes.c_long(out.size), *pointers)
    return out


def samples(p: P, dtype: DType) -> tuple[np.ndarray, ...]:
    """Arguments: all magnitudes and special numbers; with several, each with each."""
    if dtype.is_integer:
        one = integers(dtype)
    elif p.arity == 1:
        one = spread(dtype)
    else:
        special = np.array((*SPECIAL, *(-x for x in SPECIAL), np.nan))
        many = np.random.default_rng(0).normal(0, 10, 150)
        one = np.concatenate((special, many)).astype(dtype.numpy)
    if p.arity == 3:
        one = one[:: max(1, len(one) // 40)]
    grids = np.meshgrid(*(p.arity * [one]))
    return tuple(g.ravel() for g in grids)


def spread(dtype: DType) -> np.ndarray:
    bits = {DType.F32: np.uint32, DType.F64: np.uint64}[dtype]
    top = int(np.iinfo(bits).max)
    patterns = np.linspace(0, 1, 40000, endpoint=False) * top
    special = np.array((*SPECIAL, *(-x for x in SPECIAL), np.nan), dtype.numpy)
    near = np.random.default_rng(1).uniform(-1, 1, 40000)
    return np.concatenate((
        patterns.astype(bits).view(dtype.numpy),
        special,
        near.astype(dtype.numpy),
        (near * 20).astype(dtype.numpy),
        (near * 120).astype(dtype.numpy),
        (near * 800).astype(dtype.numpy),
    ))  # fmt: skip


def integers(dtype: DType) -> np.ndarray:
    limits = np.iinfo(dtype.numpy)
    if limits.bits == 8:
        return np.arange(limits.min, limits.max + 1, dtype=dtype.numpy)
    random = np.random.default_rng(2).integers(limits.min, limits.max, 100, dtype.numpy)
    ends = (limits.min, limits.min + 1, limits.max - 1, limits.max)
    return np.concatenate((random, np.arange(-20, 21), ends)).astype(dtype.numpy)


@pytest.mark.parametrize("p", P, ids=repr)
def test_every_primitive_is_there(p: P, defined: set[str]) -> None:
    if p in CALLED:
        assert [name(q, d) for q, d in CASES if q is p and name(q, d) not in defined] == []
    else:
        assert p in spelling.INFIX or p in (P.NEG, P.NOT, P.WHERE, P.STOP_GRADIENT)


@pytest.mark.parametrize("case", [c for c in CASES if c[1].is_integer], ids=lambda c: name(*c))
def test_integers(case: tuple[P, DType], library: ctypes.CDLL) -> None:
    p, dtype = case
    args = samples(p, dtype)
    if p is P.POW:  # NumPy cannot take the absolute value of the least power
        allowed = args[1] != np.iinfo(dtype.numpy).min if dtype is not DType.U8 else slice(None)
        args = tuple(a[allowed] for a in args)
    wide = dtype.numpy if dtype in (DType.I32, DType.I64) else np.dtype(np.int64)
    if p is P.ROUND:  # NumPy makes it a float
        wanted = args[0]
    else:
        wanted = FUNCTIONS[p](*(a.astype(wide) for a in args)).astype(dtype.numpy)
    assert_array_equal(apply(library, name(p, dtype), dtype.numpy, *args), wanted)


@pytest.mark.parametrize("case", [c for c in CASES if c[1].is_float], ids=lambda c: name(*c))
def test_floats(case: tuple[P, DType], library: ctypes.CDLL) -> None:
    p, dtype = case
    args = samples(p, dtype)
    wanted = np.asarray(FUNCTIONS[p](*args))
    found = apply(library, name(p, dtype), wanted.dtype, *args)
    assert_array_equal(np.isnan(found), np.isnan(wanted))
    if p not in BOUNDS:
        assert_array_equal(found, wanted)
        return
    ulps, besides = BOUNDS[p]
    if dtype is DType.F64:  # what is compared with has errors of its own
        ulps, besides = 2 * ulps + 1, BESIDES_F64.get(p, 0)
    elif p is not P.CELU:  # its quotient may be too small to keep its digits
        wanted = FUNCTIONS[p](*(a.astype(np.float64) for a in args))
    near = (errors(found, wanted) <= ulps) | (np.abs(found - wanted) <= besides)
    at = np.flatnonzero(~near & ~np.isnan(found))[:5]
    assert len(at) == 0, [(*(a[k] for a in args), found[k], wanted[k]) for k in at]


def errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """In units in the last place of found's type; what is past its numbers is its last one."""
    limits = np.finfo(found.dtype)
    last = float(limits.max)
    wide, truth = (np.clip(v.astype(np.float64), -last, last) for v in (found, truth))
    _, exponent = np.frexp(truth)
    return np.abs(wide - truth) / np.exp2(
        np.maximum(exponent, limits.minexp + 1) - limits.nmant - 1.0
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=repr)
def test_powers_that_are_written(dtype: DType, library: ctypes.CDLL) -> None:
    x = np.concatenate((spread(dtype), dtype.numpy.type([-0.0, 0.0, -np.inf])))
    for power in WRITTEN:
        found = apply(library, written(power, dtype), dtype.numpy, x)
        wanted = FUNCTIONS[P.POW](x.astype(np.float64), np.full(len(x), power))
        assert_array_equal(np.isnan(found), np.isnan(wanted))
        assert np.all((errors(found, wanted) <= 2) | np.isnan(found)), power
        assert_array_equal(np.signbit(found[-3:]), np.signbit(wanted[-3:]))


ODD = (P.EXPM1, P.LOG1P, P.SIN, P.TAN, P.TANH, P.ARCSIN, P.ARCTAN, P.SINH, P.ERF, P.SQRT)


@pytest.mark.parametrize(("p", "dtype"), list(product(ODD, FLOATS)))
def test_signs_of_zero(p: P, dtype: DType, library: ctypes.CDLL) -> None:
    zeros = np.array([-0.0, 0.0], dtype.numpy)
    found = apply(library, name(p, dtype), dtype.numpy, zeros)
    assert_array_equal(found, zeros)
    assert_array_equal(np.signbit(found), [True, False])


@pytest.mark.parametrize("p", (P.TANH, P.ERF, P.SIGMOID))
def test_never_above_one(p: P, library: ctypes.CDLL) -> None:
    x = np.linspace(-20, 20, 100001).astype(np.float32)
    assert np.max(np.abs(apply(library, name(p, DType.F32), np.float32, x))) == 1


def test_half(library: ctypes.CDLL) -> None:
    every = np.arange(2**16, dtype=np.uint16)
    assert_array_equal(
        apply(library, "half_to_float", np.float32, every),
        every.view(np.float16).astype(np.float32),
    )
    x = around(every.view(np.float16).astype(np.float32))
    found = apply(library, "float_to_half", np.uint16, x)
    assert_same_halves(found, x.astype(np.float16))


def test_bfloat(library: ctypes.CDLL) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    every = np.arange(2**16, dtype=np.uint16)
    wide = every.view(ml_dtypes.bfloat16).astype(np.float32)
    assert_array_equal(apply(library, "bfloat_to_float", np.float32, every), wide)
    x = around(wide)
    found = apply(library, "float_to_bfloat", np.uint16, x)
    assert_same_halves(found, x.astype(ml_dtypes.bfloat16))


def around(narrow: np.ndarray) -> np.ndarray:
    """Numbers of 16 bits, the middles between them, what is next to these, and all magnitudes."""
    ordered = np.sort(narrow[np.isfinite(narrow)])
    middles = (ordered[1:].astype(np.float64) + ordered[:-1]) / 2
    middles = middles.astype(np.float32)
    up, down = np.nextafter(middles, np.float32(np.inf)), np.nextafter(middles, np.float32(-np.inf))
    return np.concatenate((narrow, middles, up, down, spread(DType.F32)))


def assert_same_halves(found: np.ndarray, wanted: np.ndarray) -> None:
    numbers = ~np.isnan(wanted)
    assert_array_equal(found[numbers], wanted.view(np.uint16)[numbers])
    assert np.all(np.isnan(found[~numbers].view(wanted.dtype)))
