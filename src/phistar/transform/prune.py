"""Removes the statements that no output and no updated parameter or state needs."""

from dataclasses import replace

from phistar.ir.program import Assign, Kind, Program, Scan, Statement, Tensor
from phistar.ir.walk import flat, reads


def prune(program: Program) -> Program:
    """The program without dead statements; its inputs stay as they are."""
    needed = needed_tensors(program)
    return replace(program, statements=needing(program.statements, needed))


def needed_tensors(program: Program) -> set[Tensor]:
    """The outputs, what is updated, and all that they are computed from."""
    writers: dict[Tensor, list[Assign]] = {}
    for a in flat(program.statements):
        writers.setdefault(a.target.tensor, []).append(a)
    found = {t for t in writers if t.kind is not Kind.VALUE} | set(program.outputs)
    stack = list(found)
    while stack:
        for a in writers.get(stack.pop(), ()):
            new = {load.tensor for load in reads(a)} - found
            found |= new
            stack.extend(new)
    return found


def needing(statements: tuple[Statement, ...], needed: set[Tensor]) -> tuple[Statement, ...]:
    """The statements that give one of the needed tensors a value."""
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            body = needing(s.body, needed)
            out.extend([replace(s, body=body)] if body else [])
        elif s.target.tensor in needed:
            out.append(s)
    return tuple(out)
