"""One assignment as steps: the value its op gives over the reduced indices, then the store."""

from collections.abc import Callable
from dataclasses import replace

from phistar.backends.arrays.expressions import convert, dtype_of, elementwise, lower
from phistar.backends.arrays.labelled import Axes, Env, Node, extent
from phistar.backends.arrays.memory import State, prepare, take_over
from phistar.backends.arrays.reductions import chosen, extreme, guarded, identity, winner
from phistar.backends.arrays.scope import Scope
from phistar.backends.arrays.slices import Step, places, slice_store
from phistar.backends.arrays.splitting import split_indices
from phistar.backends.arrays.spreading import spread_product
from phistar.backends.arrays.stores import element_store, whole_order, whole_store, whole_value
from phistar.backends.arrays.sums import total
from phistar.backends.arrays.unrolling import unrolled
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Assign, Cast, Expr, Kind, Tensor
from phistar.ir.walk import all_indices, read_tensors, reads


def lower_assign(a: Assign, scans: Axes, state: State) -> list[Step]:
    """The steps of an assignment; those that make arrays are put before them."""
    if extent([index for index in all_indices(a) if index not in scans]) == 0:
        state.lines.append((len(scans), a, "nothing: a range is empty"))
        return []
    even = split_indices(a, scans)
    prepare(read_tensors((even,)), state)
    pieces: tuple[Assign, ...] = (even,)
    if state.arrays.eager:
        pieces = unrolled(even, places(even.target, scans), scans)
    if len(pieces) > 1:
        take_over(a.target.tensor, state)
    done = [lower_piece(piece, scans, state) for piece in pieces]
    how = f"{done[0][1]}, {len(pieces)} times" if len(pieces) > 1 else done[0][1]
    state.lines.append((len(scans), a, how))
    return [step for step, _ in done]


def lower_piece(a: Assign, scans: Axes, state: State) -> tuple[Step, str]:
    """An assignment as one step, and what it is in words."""
    order = tuple(index for index in all_indices(a) if index not in scans)
    scope = Scope(state.arrays, state.slots, state.sites, lower, a, order, scans)
    spread = spread_product(a, scope)
    if spread is not None:
        a, node, scope = spread
    else:
        node = value_of(a, scope)
    step, how = store_of(a, node, scope, state)
    return step, ", ".join(filter(None, (node.text, how))) or "copy"


def value_of(a: Assign, scope: Scope) -> Node:
    """What the assignment's op gives over its `over` indices, in the tensor's type."""
    dtype = a.target.dtype
    if a.op in (Op.ARGMAX, Op.ARGMIN):
        return convert(winner(a.op, a.value, a.over, a.condition, scope), dtype, scope)
    value = a.value if dtype_of(a.value) is dtype else Cast(a.value, dtype)
    match a.op:
        case Op.ADD:
            return total(value, a.over, a.condition, scope)
        case Op.SET:
            return guarded(value, a.condition, scope)
    return extreme(a.op, value, a.over, a.condition, scope)


def store_of(a: Assign, node: Node, scope: Scope, state: State) -> tuple[Step, str]:
    """The step that stores a value, and how in words."""
    tensor = a.target.tensor
    found = places(a.target, scope.scans)
    order = whole_order(found)
    finds = a.op in (Op.ARGMAX, Op.ARGMIN)
    op = Op.SET if finds else a.op
    condition = None if finds or op is not Op.SET else a.condition
    untouched = tensor.kind is Kind.VALUE and tensor not in state.made
    if finds and a.condition is not None and not untouched:
        node = kept_where_none(a, node, scope)
    if order is not None and condition is not None and untouched:
        node = chosen(condition, node, identity(Op.SET, tensor.dtype), scope)
    if order is not None and (untouched or (op is Op.SET and condition is None)):
        state.made.add(tensor)
        return becoming(tensor, whole_value(node, order, tensor, scope), scope), ""
    take_over(tensor, state)
    if condition is not None:
        node = kept_where_false(condition, node, scope)
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


def kept_where_false(condition: Expr, node: Node, scope: Scope) -> Node:
    """The value, or what the target holds where the condition is false."""
    return either(scope.lower(condition), node, scope)


def kept_where_none(a: Assign, node: Node, scope: Scope) -> Node:
    """The value, or what the target holds where no setting fulfils the condition."""
    assert a.condition is not None
    some = scope.lower(a.condition)
    reduced = tuple(n for n, index in enumerate(some.axes) if index in a.over)
    if reduced:
        run, xp = some.run, scope.arrays.xp
        kept = tuple(index for index in some.axes if index not in a.over)
        some = Node(lambda env: xp.any(run(env), axis=reduced), kept)
    return either(some, node, scope)


def either(choice: Node, node: Node, scope: Scope) -> Node:
    """node where the choice is true, else what the target holds."""
    where = scope.arrays.functions[Primitive.WHERE]
    old = scope.lower(scope.statement.target)
    return elementwise(where, (choice, node, old), scope)


def copied(node: Node, scope: Scope) -> Node:
    """node in an array of its own: a tensor is about to change that it may be a view of."""
    run, own = node.run, scope.arrays.own
    return replace(node, run=lambda env: own(run(env)), fresh=True)
