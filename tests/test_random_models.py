"""Random models have the same value and the same gradients on every backend, and print as text that
reads back.

PHISTAR_FUZZ=n tries n times as many.
"""

import os
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar.backends.c.toolchain import find_compiler
from phistar.ir.parser import parse
from random_models import random_model

FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))
CHUNK = 5
NOTE = re.compile("  # .*")  # a reader is told things that a parser is not


def value_and_gradients(seed: int, backend: str) -> list[np.ndarray]:
    f, arrays = random_model(seed)
    value, gradients = ph.value_and_grad(f, backend=backend)(*arrays)
    return [value, *(gradients if isinstance(gradients, tuple) else (gradients,))]


def assert_same(seed: int, backend: str) -> None:
    expected: list[Any] = value_and_gradients(seed, "reference")
    found = value_and_gradients(seed, backend)
    assert len(found) == len(expected)
    for number, (one, right) in enumerate(zip(found, expected, strict=True)):
        assert np.isfinite(right).all(), f"random_model({seed})"
        scale = np.abs(right).max(initial=1e-3)
        what = f"random_model({seed}) on {backend}, " + (
            f"gradient {number}" if number else "value"
        )
        assert_allclose(one, right, rtol=1e-9, atol=1e-10 * scale, err_msg=what)


def seeds(chunk: int) -> range:
    return range(chunk * CHUNK, (chunk + 1) * CHUNK)


@pytest.mark.parametrize("chunk", range(12 * FUZZ))
def test_numpy(chunk: int) -> None:
    for seed in seeds(chunk):
        assert_same(seed, "numpy")


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("chunk", range(6 * FUZZ))
def test_c(chunk: int) -> None:
    for seed in seeds(chunk):
        assert_same(seed, "c")


@pytest.mark.xla
@pytest.mark.parametrize("chunk", range(3 * FUZZ))
def test_xla(chunk: int) -> None:
    pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    for seed in seeds(chunk):
        assert_same(seed, "xla")


@pytest.mark.parametrize("seed", range(4 * FUZZ))
def test_finite_differences(seed: int) -> None:
    f, arrays = random_model(1000 + seed)
    ph.check_gradients(f, *arrays)


@pytest.mark.parametrize("chunk", range(6 * FUZZ))
def test_text_reads_back(chunk: int) -> None:
    for seed in seeds(chunk):
        f, arrays = random_model(seed)
        trace = ph.trace(f, *arrays)
        for program in (trace.source, trace.backward().source):
            text = str(program)
            assert parse(text) == program, f"random_model({seed})"
            assert str(parse(text)) == NOTE.sub("", text), f"random_model({seed})"
