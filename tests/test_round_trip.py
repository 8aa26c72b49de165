"""Programs print as text that reads back as the same program: what is written, differentiated and
lowered alike."""

from collections.abc import Iterator

import pytest
from programs import random_program

from phistar import compiler
from phistar.ir.parser import parse
from phistar.ir.program import Program

CHUNKS, SIZE = 10, 50


def stages(seed: int) -> Iterator[Program]:
    """A random program, the program of its gradients, and that lowered."""
    program, _ = random_program(seed)
    yield program
    wrt = [t for t in program.inputs if t.dtype.is_float]
    gradients, _ = compiler.gradient_program(program, program.outputs[0], wrt)
    yield gradients
    yield compiler.lower(gradients)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_text_reads_back(chunk):
    for seed in range(chunk * SIZE, (chunk + 1) * SIZE):
        for program in stages(seed):
            text = str(program)
            assert parse(text) == program, f"seed {seed}"
            assert str(parse(text)) == text, f"seed {seed}"
