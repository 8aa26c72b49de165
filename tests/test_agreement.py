"""Random programs: every backend gives what the reference gives, every pass keeps the value, and
the backward program agrees with finite differences of the reference.

PHISTAR_FUZZ=n tries n times as many programs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_allclose

from phistar import compiler, verify
from phistar.backends import reference
from phistar.ir.build import load, whole
from phistar.ir.check import check
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Program, Tensor
from phistar.transform.differentiate import Differentiated, differentiate
from phistar.transform.versions import everywhere
from programs import random_program

SEED = 3
FUZZ = int(os.environ.get("PHISTAR_FUZZ", "1"))
Arrays = dict[str, np.ndarray]


def seeds(start: int, chunk: int, size: int) -> range:
    return range(start + chunk * size, start + (chunk + 1) * size)


@contextmanager
def named(seed: int) -> Iterator[None]:
    """Says which program it was if an assertion fails."""
    try:
        yield
    except Exception as error:
        error.add_note(f"random_program({seed})")
        raise


def gradients(program: Program) -> Differentiated:
    wrt = [t for t in program.inputs if t.dtype.is_float]
    return differentiate(program, program.outputs[0], wrt)


def run(program: Program, values: Arrays) -> Arrays:
    return reference.compile(program)(values, seed=SEED)


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=name)


# Gradients ----------------------------------------------------------------------------------------


def slopes(program: Program, values: Arrays, direction: Arrays) -> tuple[float, float]:
    """The two one-sided differences of the loss along a direction."""
    compiled = reference.compile(program)
    (loss,) = program.outputs
    step = 1e-6

    def at(distance: float) -> float:
        moved = {name: values[name] + distance * d for name, d in direction.items()}
        return float(compiled({**values, **moved}, seed=SEED)[loss.name])

    middle = at(0)
    return (at(step) - middle) / step, (middle - at(-step)) / step


def assert_gradient(program: Program, made: Differentiated, values: Arrays, found: Arrays) -> None:
    """The gradient along one random direction; a kink on the way has no gradient to compare."""
    rng = np.random.default_rng(SEED)
    direction = {t.name: rng.normal(size=t.shape) for t in made.gradients}
    parts = [found[g.name] * direction[t.name] for t, g in made.gradients.items()]
    got = sum(float(np.sum(part)) for part in parts)
    size = sum(float(np.sum(np.abs(part))) for part in parts)
    up, down = slopes(program, values, direction)
    loss = abs(float(found[program.outputs[0].name]))
    tolerance = 1e-5 * (size + 1e-3 * (loss + 1))
    if abs(up - down) < 100 * tolerance:
        assert abs((up + down) / 2 - got) <= tolerance, f"{(up + down) / 2} is not {got}"


@pytest.mark.parametrize("chunk", range(24 * FUZZ))
def test_numpy_gives_the_same_and_gradients_are_right(chunk):
    for seed in seeds(0, chunk, 50):
        with named(seed):
            program, values = random_program(seed)
            made = gradients(program)
            expected = run(made.program, values)
            assert_same(compiler.compile(made.program, "numpy")(values, seed=SEED), expected)
            if "stop_gradient" not in str(program):
                assert_gradient(program, made, values, expected)


@pytest.mark.parametrize("chunk", range(4 * FUZZ))
def test_every_backward_statement_is_right(chunk):
    for seed in seeds(100_000, chunk, 20):
        with named(seed):
            program, values = random_program(seed)
            report = verify.check_program(program, values, seed=SEED, elements=4)
            report.raise_for_mismatch()


@pytest.mark.parametrize("chunk", range(4 * FUZZ))
def test_gradients_of_gradients_are_right(chunk):
    """The gradient of the sum of squares of the first gradient."""
    for seed in seeds(400_000, chunk, 25):
        with named(seed):
            program, values = random_program(seed)
            if "stop_gradient" in str(program) or not gradients(program).gradients:
                continue
            first = squared(gradients(program))
            made = gradients(first)
            assert_gradient(first, made, values, run(made.program, values))


def squared(made: Differentiated) -> Program:
    """A program whose one output is Q, the sum of the squares of all gradients."""
    total = Tensor("Q", (), made.loss_grad.dtype)
    squares = []
    for grad in dict.fromkeys(made.gradients.values()):
        indices = everywhere(grad)
        squares.append(Assign(load(total), Op.ADD, whole(grad, indices) ** 2, indices))
    statements = (*made.program.statements, *squares)
    return Program(statements, made.program.inputs, (total,))


# Passes and backends ------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", range(10 * FUZZ))
def test_every_pass_keeps_the_value_and_the_grammar(chunk):
    for seed in seeds(200_000, chunk, 25):
        with named(seed):
            program, values = random_program(seed)
            check(program)
            program = gradients(program).program
            check(program)
            expected = run(program, values)
            for change in compiler.LOWERING:
                program = change(program)
                check(program)
                assert_same(run(program, values), expected)


@pytest.mark.parametrize("chunk", range(4 * FUZZ))
def test_xla_gives_the_same(chunk):
    pytest.importorskip("jax")
    for seed in seeds(300_000, chunk, 3):
        with named(seed):
            program, values = random_program(seed)
            program = gradients(program).program
            found = compiler.compile(program, "xla")(values, seed=SEED)
            assert_same({name: np.asarray(a) for name, a in found.items()}, run(program, values))


@pytest.mark.parametrize("chunk", range(8 * FUZZ))
def test_xla_gives_the_same_values(chunk):
    pytest.importorskip("jax")
    for seed in seeds(400_000, chunk, 24):
        with named(seed):
            program, values = random_program(seed)
            found = compiler.compile(program, "xla")(values, seed=SEED)
            assert_same({name: np.asarray(a) for name, a in found.items()}, run(program, values))
