"""Which tensors have arrays: made when first touched, copied before they are changed in place if
they are the caller's, let go after their last use.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.labelled import Env, Slots
from phistar.backends.arrays.namespace import Arrays
from phistar.backends.arrays.reductions import identity
from phistar.backends.arrays.slices import Step
from phistar.ir.primitives import Op
from phistar.ir.program import Assign, Kind, Program, Tensor
from phistar.ir.walk import flat, read_tensors

Line = tuple[int, Assign | str, str]  # how deep in scans, the statement, what it became


@dataclass
class State:
    """What the lowering knows between two statements.

    `first` is the op that touches a tensor first; `made` are the tensors with an array of their
    own; `steps` and `lines` are what has been lowered so far, as functions and in words.
    """

    arrays: Arrays
    first: dict[Tensor, Op]
    slots: Slots = field(default_factory=Slots)
    sites: list[Site] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    made: set[Tensor] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)


def results_of(program: Program) -> tuple[Tensor, ...]:
    """The tensors a run gives back: the outputs and every parameter or state that is assigned."""
    updated = (
        a.target.tensor
        for a in flat(program.statements)
        if a.target.tensor.kind in (Kind.PARAMETER, Kind.STATE)
    )
    return tuple(dict.fromkeys((*program.outputs, *updated)))


def prepare(tensors: Iterable[Tensor], state: State) -> None:
    """See that values have arrays before they are read, if only of an identity."""
    for tensor in tensors:
        if tensor.kind is Kind.VALUE and tensor not in state.made:
            state.made.add(tensor)
            state.steps.append(filling(tensor, state))


def filling(tensor: Tensor, state: State) -> Step:
    slot, full, shape = state.slots[tensor], state.arrays.full, tensor.storage
    value = identity(state.first.get(tensor, Op.SET), tensor.dtype)

    def fill(env: Env) -> None:
        env[slot] = full(shape, value)

    return fill


def take_over(tensor: Tensor, state: State) -> None:
    """See that a tensor has an array that may be changed in place."""
    prepare((tensor,), state)
    if tensor in state.made:
        return
    state.made.add(tensor)
    slot, own = state.slots[tensor], state.arrays.own

    def copy(env: Env) -> None:
        env[slot] = own(env[slot])

    state.steps.append(copy)


def last_uses(program: Program) -> dict[int, list[Tensor]]:
    """For each statement, the values that no later one needs."""
    last: dict[Tensor, int] = {}
    for n, statement in enumerate(program.statements):
        last |= dict.fromkeys((a.target.tensor for a in flat((statement,))), n)
        last |= dict.fromkeys(read_tensors((statement,)), n)
    kept = set(results_of(program))
    dying: dict[int, list[Tensor]] = {}
    for tensor, n in last.items():
        if tensor.kind is Kind.VALUE and tensor not in kept:
            dying.setdefault(n, []).append(tensor)
    return dying


def release(tensors: Iterable[Tensor], state: State) -> None:
    """Let go of arrays, so that their memory serves the statements to come."""
    places = tuple(state.slots[tensor] for tensor in tensors)
    if not places or not state.arrays.eager:
        return

    def forget(env: Env) -> None:
        for place in places:
            env[place] = None

    state.steps.append(forget)
