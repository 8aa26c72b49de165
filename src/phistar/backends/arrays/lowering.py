"""Programs to array operations: each statement becomes one step, a function that changes the
environment. All analysis happens here, once; running is calling the steps in order.

A tensor's array is made when the first statement touches it: out of the statement's value, if that
covers it, else filled with the identity of the op.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.expressions import convert, dtype_of, elementwise, lower
from phistar.backends.arrays.labelled import Env, Node, Slots, extent
from phistar.backends.arrays.namespace import Arrays
from phistar.backends.arrays.reductions import chosen, extreme, guarded, identity, winner
from phistar.backends.arrays.scope import Scope
from phistar.backends.arrays.slices import Step, places, slice_store
from phistar.backends.arrays.splitting import split_indices
from phistar.backends.arrays.stores import element_store, whole_order, whole_store, whole_value
from phistar.backends.arrays.sums import total
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Assign, Index, Kind, Program, Scan, Statement, Tensor
from phistar.ir.walk import all_indices, flat, read_tensors, reads, target_indices


@dataclass(frozen=True)
class Plan:
    """A lowered program: its steps, where tensors are in the environment, and what it does in
    words, one line a statement."""

    steps: tuple[Step, ...]
    slots: Slots
    sites: tuple[Site, ...]
    results: tuple[Tensor, ...]
    lines: tuple["Line", ...]

    def text(self) -> str:
        """One line a statement: it, and what it became."""
        from phistar.ir.printer import print_statements

        shown = [
            (depth, print_statements(Program((a,))).strip() if isinstance(a, Assign) else a, how)
            for depth, a, how in self.lines
        ]
        width = max((4 * depth + len(left) for depth, left, how in shown if how), default=0)
        lines = (f"{'    ' * depth + left:<{width}}   {how}" for depth, left, how in shown)
        return "\n".join(line.rstrip() for line in lines)


Line = tuple[int, Assign | str, str]  # how deep in scans, the statement, what it became


@dataclass
class State:
    """What the lowering knows between two statements: which tensors have arrays of their own."""

    arrays: Arrays
    first: dict[Tensor, Op]
    slots: Slots = field(default_factory=Slots)
    sites: list[Site] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    made: set[Tensor] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)


def lower_program(program: Program, arrays: Arrays) -> Plan:
    """The program's statements as steps over one environment."""
    first: dict[Tensor, Op] = {}
    for a in flat(program.statements):
        first.setdefault(a.target.tensor, a.op)
    state = State(arrays, first)
    for tensor in program.inputs:
        state.slots[tensor]
    last = last_reads(program)
    for n, statement in enumerate(program.statements):
        state.steps += lower_statement(statement, (), state)
        release(last.get(n, ()), state)
    results = results_of(program)
    prepare(results, state)
    return Plan(tuple(state.steps), state.slots, tuple(state.sites), results, tuple(state.lines))


def results_of(program: Program) -> tuple[Tensor, ...]:
    """The tensors a run gives back: the outputs and every parameter or state that is assigned."""
    updated = (
        a.target.tensor
        for a in flat(program.statements)
        if a.target.tensor.kind in (Kind.PARAMETER, Kind.STATE)
    )
    return tuple(dict.fromkeys((*program.outputs, *updated)))


# Arrays for tensors -------------------------------------------------------------------------------


def last_reads(program: Program) -> dict[int, list[Tensor]]:
    """For each statement, the values that no later one needs."""
    last: dict[Tensor, int] = {}
    for n, statement in enumerate(program.statements):
        for a in flat((statement,)):
            last[a.target.tensor] = n
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
    if not places or not state.arrays.folds:
        return

    def forget(env: Env) -> None:
        for place in places:
            env[place] = None

    state.steps.append(forget)


def prepare(tensors: Iterable[Tensor], state: State) -> None:
    """See that tensors have arrays: values are filled, what the caller gave is copied."""
    for tensor in tensors:
        if tensor in state.made:
            continue
        if tensor.kind is Kind.VALUE:
            state.made.add(tensor)
            state.steps.append(filling(tensor, state))


def filling(tensor: Tensor, state: State) -> Step:
    slot, full = state.slots[tensor], state.arrays.full
    value = identity(state.first.get(tensor, Op.SET), tensor.dtype)
    shape = tensor.storage

    def fill(env: Env) -> None:
        env[slot] = full(shape, value)

    return fill


def take_over(tensor: Tensor, state: State) -> None:
    """See that a tensor has an array that may be changed in place."""
    if tensor in state.made:
        return
    if tensor.kind is Kind.VALUE:
        prepare((tensor,), state)
        return
    state.made.add(tensor)
    slot, own = state.slots[tensor], state.arrays.own

    def copy(env: Env) -> None:
        env[slot] = own(env[slot])

    state.steps.append(copy)


# Statements ---------------------------------------------------------------------------------------


def lower_statement(statement: Statement, scans: tuple[Index, ...], state: State) -> list[Step]:
    """The steps of a statement; those that make arrays are put before them."""
    if isinstance(statement, Scan):
        return [lower_scan(statement, scans, state)]
    return lower_assign(statement, scans, state)


def lower_scan(scan: Scan, scans: tuple[Index, ...], state: State) -> Step:
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


def lower_assign(written: Assign, scans: tuple[Index, ...], state: State) -> list[Step]:
    a = split_indices(written, scans)
    indices = tuple(index for index in all_indices(a) if index not in scans)
    if extent(indices) == 0:
        state.lines.append((len(scans), written, "nothing: a range is empty"))
        return []
    prepare(read_tensors((a,)), state)
    scope = Scope(state.arrays, state.slots, state.sites, lower, a, indices, scans)
    target = tuple(index for index in target_indices(a) if index not in scans)
    node = value_of(a, target, scope)
    step, how = store_of(a, node, scope, state)
    how = ", ".join(filter(None, (node.text, how))) or "copy"
    state.lines.append((len(scans), written, how))
    return [step]


def value_of(a: Assign, target: tuple[Index, ...], scope: Scope) -> Node:
    """What the assignment's op gives over its `over` indices, in the tensor's type."""
    match a.op:
        case Op.ADD:
            node = total(a.value, a.over, a.condition, scope)
        case Op.ARGMAX | Op.ARGMIN:
            return convert(winner(a.op, a.value, a.over, a.condition, scope), a.target.dtype, scope)
        case Op.SET:
            node = guarded(a.value, a.condition, scope)
        case _:
            node = extreme(a.op, a.value, a.over, a.condition, scope)
    if dtype_of(a.value) is not a.target.dtype:
        return convert(node, a.target.dtype, scope)
    return node


def store_of(a: Assign, node: Node, scope: Scope, state: State) -> tuple[Step, str]:
    """The step that stores a value, and how in words."""
    tensor = a.target.tensor
    found = places(a.target, scope.scans)
    order = whole_order(found)
    finds = a.op in (Op.ARGMAX, Op.ARGMIN)
    op = Op.SET if finds else a.op
    condition = None if finds or op is not Op.SET else a.condition
    untouched = tensor.kind is Kind.VALUE and tensor not in state.made
    if order is not None and condition is not None and untouched:
        node = chosen(condition, node, identity(Op.SET, tensor.dtype), scope)
    if order is not None and (untouched or (op is Op.SET and condition is None)):
        state.made.add(tensor)
        return becoming(tensor, whole_value(node, order, tensor, scope), scope), ""
    take_over(tensor, state)
    if condition is not None:
        node = kept_where_false(a, node, scope)
    if order is not None:
        return whole_store(node, order, tensor, op, scope), "in place"
    if not node.fresh and tensor in {load.tensor for load in reads(a)}:
        node = copied(node, scope)
    step = None if found is None else slice_store(a.target, found, op, node, scope)
    if step is not None:
        return step, "into slices"
    within = scope if a.condition is None else scope.under(a.condition)
    return element_store(a.target, op, node, within), "into elements"


def becoming(tensor: Tensor, value: Callable[[Env], object], scope: Scope) -> Step:
    slot = scope.slots[tensor]

    def become(env: Env) -> None:
        env[slot] = value(env)

    return become


def kept_where_false(a: Assign, node: Node, scope: Scope) -> Node:
    """The value, or what the target holds where the condition is false."""
    assert a.condition is not None
    where = scope.arrays.functions[Primitive.WHERE]
    return elementwise(where, (scope.lower(a.condition), node, scope.lower(a.target)), scope)


def copied(node: Node, scope: Scope) -> Node:
    """node in an array of its own: a tensor is about to change that it may be a view of."""
    run, own = node.run, scope.arrays.own
    return replace(node, run=lambda env: own(run(env)), fresh=True)
