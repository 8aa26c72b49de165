"""Programs to array operations: each statement becomes steps, functions that change the
environment. All analysis happens here, once; running is calling the steps in order.
"""

from dataclasses import dataclass

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.labelled import Axes, Slots
from phistar.backends.arrays.memory import (
    Line,
    State,
    last_uses,
    prepare,
    release,
    results_of,
    take_over,
)
from phistar.backends.arrays.namespace import Arrays
from phistar.backends.arrays.slices import Step
from phistar.backends.arrays.statements import lower_assign
from phistar.ir.primitives import Op
from phistar.ir.printer import print_statements
from phistar.ir.program import Assign, Program, Scan, Statement, Tensor
from phistar.ir.walk import flat, read_tensors


@dataclass(frozen=True)
class Plan:
    """A lowered program: its steps, where its tensors are in the environment, which subscripts are
    checked, which tensors a run gives back, and what it does in words."""

    steps: tuple[Step, ...]
    slots: Slots
    sites: tuple[Site, ...]
    results: tuple[Tensor, ...]
    lines: tuple[Line, ...]

    def text(self) -> str:
        """One line a statement: it, and what it became."""
        shown = [
            (" " * 4 * depth + (left if isinstance(left, str) else printed(left)), how)
            for depth, left, how in self.lines
        ]
        width = max((len(left) for left, how in shown if how), default=0)
        return "\n".join(f"{left:<{width}}   {how}".rstrip() for left, how in shown)


def printed(a: Assign) -> str:
    return print_statements(Program((a,))).strip()


def lower_program(program: Program, arrays: Arrays) -> Plan:
    """The program's statements as steps over one environment."""
    first: dict[Tensor, Op] = {}
    for a in flat(program.statements):
        first.setdefault(a.target.tensor, a.op)
    state = State(arrays, first)
    for tensor in program.inputs:
        state.slots.place(tensor)
    dying = last_uses(program)
    for n, statement in enumerate(program.statements):
        steps = lower_statement(statement, (), state)
        state.steps += steps
        release(dying.get(n, ()), state)
    results = results_of(program)
    prepare(results, state)
    return Plan(tuple(state.steps), state.slots, tuple(state.sites), results, tuple(state.lines))


def lower_statement(statement: Statement, scans: Axes, state: State) -> list[Step]:
    if isinstance(statement, Scan):
        return [lower_scan(statement, scans, state)]
    return lower_assign(statement, scans, state)


def lower_scan(scan: Scan, scans: Axes, state: State) -> Step:
    """A loop. Its tensors have arrays before it starts."""
    prepare(read_tensors((scan,)), state)
    targets = tuple(dict.fromkeys(a.target.tensor for a in flat((scan,))))
    for tensor in targets:
        take_over(tensor, state)
    backwards = " backwards" if scan.backwards else ""
    state.lines.append((len(scans), f"scan {scan.index.name}{backwards}:", ""))
    steps: list[Step] = []
    for statement in scan.body:
        steps += lower_statement(statement, (*scans, scan.index), state)
    written = tuple(state.slots[tensor] for tensor in targets)
    slot = state.slots[scan.index]
    return state.arrays.loop(slot, scan.index.size, scan.backwards, steps, written)
