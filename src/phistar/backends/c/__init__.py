"""The c backend: whole programs as readable C, compiled once and kept on disk."""

from phistar.backends.c.compiled import Compiled
from phistar.ir.program import Program


def compile(program: Program) -> Compiled:
    """The program, compiled by a C compiler."""
    return Compiled(program)
