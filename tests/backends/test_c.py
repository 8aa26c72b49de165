"""The c backend gives what the reference gives: every construct, random programs and their
gradients, the same bits in every run and for every number of threads.

PHISTAR_FUZZ=n tries n times as many programs.
"""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import assert_agrees
from building import Case, given, value
from constructs import cases
from numpy.testing import assert_allclose, assert_array_equal

from phistar import compiler
from phistar.backends import c as c_backend
from phistar.backends import reference
from phistar.backends.c import compiled
from phistar.backends.c.toolchain import find_compiler
from phistar.errors import BackendError, IndexRangeError
from phistar.ir.build import load
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Index, Program, Scan
from phistar.transform.differentiate import differentiate
from programs import random_program

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
CASES = list(cases())
FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))
SEED = 3
b, i, t = Index("b", 3), Index("i", 4), Index("t", 2)


@pytest.fixture(autouse=True)
def one_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled once for all tests of a worker; memory that is not written first shows."""
    home = tmp_path_factory.getbasetemp() / "c-home"
    monkeypatch.setenv("PHISTAR_HOME", str(home))
    for name in ("empty", "aligned"):
        monkeypatch.setattr(compiled, name, poisoned(getattr(compiled, name)))


def poisoned(make: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def made(*args: Any) -> np.ndarray:
        array = make(*args)
        array.reshape(-1).view(np.uint8)[...] = 0x5B
        return array

    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_constructs(case: Case) -> None:
    assert_agrees(c_backend.compile, case)


FOUND = (500_101,)  # a partial sum that fills one place of its tensor


@pytest.mark.parametrize("chunk", range(8 * FUZZ))
def test_random_programs_and_their_gradients(chunk: int) -> None:
    start = 500_000 + chunk * 12
    for seed in (*range(start, start + 12), *(FOUND if chunk == 0 else ())):
        program, values = random_program(seed)
        wrt = [t for t in program.inputs if t.dtype.is_float]
        made = differentiate(program, program.outputs[0], wrt).program
        expected = reference.compile(made)(values, seed=SEED)
        found = compiler.compile(made, "c")(values, seed=SEED)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            what = f"{name} of random_program({seed})"
            assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=what)


# Subscripts that are out of range -----------------------------------------------------------------


def gather() -> Program:
    table, word = given("E", 7, 4), given("word", 3, dtype=DType.I64)
    target = load(value("o", 3, 4), b, i)
    return Program((Assign(target, Op.SET, load(table, load(word, b), i)),), (table, word))


@pytest.mark.parametrize("number", [-1, 7, 2**40])
def test_a_subscript_out_of_range(number: int) -> None:
    values = {"E": np.zeros((7, 4), "f4"), "word": np.array([0, 6, number])}
    with pytest.raises(IndexRangeError, match=rf"(?s)word\[b\] is {number} at b = 2, outside E"):
        c_backend.compile(gather())(values)


def test_a_subscript_out_of_range_inside_a_scan() -> None:
    table, word = given("E", 7), given("word", 3, 2, dtype=DType.I64)
    target = load(value("o", 3, 2), b, t)
    step = Assign(target, Op.SET, load(table, load(word, b, t)))
    values = {"E": np.zeros(7, "f4"), "word": np.array([[0, 1], [2, 9], [9, 5]])}
    with pytest.raises(IndexRangeError, match=r"(?s)word\[b, t\] is 9 at .*outside E"):
        c_backend.compile(Program((Scan(t, (step,)),), (table, word)))(values)


def test_an_empty_batch_fails_nowhere() -> None:
    none = Index("b", 0)
    table, word = given("E", 7), given("word", 0, dtype=DType.I64)
    step = Assign(load(value("o", 0), none), Op.SET, load(table, load(word, none)))
    values = {"E": np.zeros(7, "f4"), "word": np.zeros(0, "i8")}
    program = Program((step,), (table, word), (step.target.tensor,))
    assert c_backend.compile(program)(values)["o"].shape == (0,)


# Bits ---------------------------------------------------------------------------------------------

TRAINING = """
import sys
import numpy as np
import phistar as ph
from phistar.zoo.mnist_mlp import MLP, loss

rng = np.random.default_rng(0)
x = rng.random((512, 784)).astype("f4")
label = rng.integers(0, 10, 512)
data = ph.data.Dataset(x=x, label=label)
model = MLP()
algorithm = ph.compile(loss, model, optimizer=ph.Adam(1e-3), batch=data.spec(64), backend="c")
rows = rng.permutation(512).reshape(8, 64)
losses, values = algorithm.steps(algorithm.initial_values(0), data.columns, rows)
np.savez(sys.argv[1], losses=losses, *values.values())
"""


def trained(folder: Path, name: str, threads: int) -> dict[str, np.ndarray]:
    """What a process of its own makes of the MLP."""
    out = folder / f"{name}.npz"
    environment = os.environ | {"PHISTAR_THREADS": str(threads)}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TRAINING), str(out)], env=environment, check=True
    )
    with np.load(out) as found:
        return dict(found)


def test_the_same_bits_in_every_run_and_for_every_number_of_threads(tmp_path: Path) -> None:
    first = trained(tmp_path, "first", 2)
    for name, threads in (("again", 2), ("alone", 1), ("three", 3)):
        other = trained(tmp_path, name, threads)
        assert first.keys() == other.keys()
        for key, array in first.items():
            assert_array_equal(other[key], array, err_msg=f"{key}, {name}")


def test_many_steps_in_one_call_are_steps_one_by_one() -> None:
    import phistar as ph
    from phistar.zoo.mnist_mlp import MLP, loss

    rng = np.random.default_rng(1)
    columns = {"x": rng.random((40, 784)).astype("f4"), "label": rng.integers(0, 10, 40)}
    data = ph.data.Dataset(**columns)
    algorithm = ph.compile(loss, MLP(), optimizer=ph.SGD(0.1), batch=data.spec(8), backend="c")
    start = algorithm.initial_values(0)
    rows = rng.permutation(40).reshape(5, 8)
    losses, last = algorithm.steps(start, columns, rows)
    values = start
    for number, at in enumerate(rows):
        batch = {name: column[at] for name, column in columns.items()}
        one, values = algorithm.run(values, batch, number=number)
        assert one == losses[number]
    for tensor, array in last.items():
        assert_array_equal(values[tensor], array)


def test_the_process_keeps_its_floating_point_modes() -> None:
    c_backend.compile(gather())({"E": np.zeros((7, 4), "f4"), "word": np.zeros(3, "i8")})
    assert np.float32(1e-40) * np.float32(1) != 0
    assert np.array([1e-40], "f4")[0] + np.float32(0) == np.float32(1e-40)


@pytest.mark.parametrize("text", ["0", "two", "-1", "65"])
def test_a_number_of_threads_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_THREADS", text)
    with pytest.raises(BackendError, match="PHISTAR_THREADS must be a number from 1 to 64"):
        c_backend.compile(gather())({"E": np.zeros((7, 4), "f4"), "word": np.zeros(3, "i8")})
