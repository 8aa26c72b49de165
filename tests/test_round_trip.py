"""Programs print as text that reads back as the same program: what is written, differentiated and
lowered alike."""

import re
from collections.abc import Iterator

import pytest

from phistar import compiler
from phistar.ir.parser import parse
from phistar.ir.program import Program
from phistar.transform.differentiate import differentiate
from programs import random_program

CHUNKS, SIZE = 10, 50
NOTE = re.compile("  # .*")  # a reader is told things that a parser is not


def stages(seed: int) -> Iterator[Program]:
    """A random program, the program of its gradients, and that lowered."""
    program, _ = random_program(seed)
    yield program
    wrt = [t for t in program.inputs if t.dtype.is_float]
    gradients = differentiate(program, program.outputs[0], wrt).program
    yield gradients
    yield compiler.lower(gradients)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_text_reads_back(chunk):
    for seed in range(chunk * SIZE, (chunk + 1) * SIZE):
        for program in stages(seed):
            text = str(program)
            assert parse(text) == program, f"seed {seed}"
            assert str(parse(text)) == NOTE.sub("", text), f"seed {seed}"
