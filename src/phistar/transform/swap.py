"""The swap rule: for each load x[s] in y[t] += e, x.grad[s] += y.grad[t] * ∂e/∂x[s].

Load and store change places, over the same indices, under the same condition; that is the whole of
differentiation. What the other ops, and softmax and its kin, put for y.grad[t] stands below, one
function each. A backward program is an ordinary program, so it can be swapped again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from phistar.errors import ProgramError
from phistar.ir.build import apply, index_value, reduce, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Pad,
    Program,
    Reduce,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import (
    Substitution,
    all_indices,
    flat,
    free_indices,
    fresh,
    loads,
    mentioned_indices,
    substitute,
    target_indices,
)
from phistar.transform.chain import Contribution, Guard, contributions, total, under
from phistar.transform.guards import both, position
from phistar.transform.names import covers, names_of, targets
from phistar.transform.simplify import simplify_statements

Step = tuple[Statement, tuple[Statement, ...]]


@dataclass(frozen=True)
class Backward:
    """The backward statements of a program, each with the forward statement it comes from.

    `loss_grad` is an input: the adjoint of the loss. `steps` stand in the order in which the
    backward program runs. `adjoints` says which tensor holds the adjoint of which.
    """

    loss_grad: Tensor
    steps: tuple[Step, ...]
    adjoints: Mapping[Tensor, Tensor]

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(s for _, backward in self.steps for s in backward)


def swap(program: Program, loss: Tensor, wrt: Iterable[Tensor] | None = None) -> Backward:
    """The backward statements that carry the adjoint of `loss` to `wrt` (None: to everything).

    The program must be lifted. Only adjoints on a way from `wrt` to the loss are computed.
    ProgramError for what has no single value to differentiate: see `versions`.
    """
    useful = None if wrt is None else reached(program.statements, wrt)
    swapper = Swapper(program, loss, useful, copied=False)
    steps = swapper.steps(program.statements)
    if swapper.loss_is_read:
        swapper = Swapper(program, loss, useful, copied=True)
        steps = swapper.steps(program.statements)
    return Backward(swapper.loss_grad, defined_once(steps), swapper.adjoints)


class Swapper:
    """The adjoints that exist so far, and what is needed to make more."""

    def __init__(
        self, program: Program, loss: Tensor, useful: set[Tensor] | None, copied: bool
    ) -> None:
        self.names = names_of(program)
        self.writers = Counter(targets(program.statements))
        self.useful = useful
        self.loss = loss
        self.copied = copied
        self.loss_is_read = False
        self.scans: tuple[Index, ...] = ()
        self.made: dict[tuple[Tensor, str], Tensor] = {}
        name = self.names.fresh(f"{loss.name}.seed" if copied else f"{loss.name}.grad")
        self.loss_grad = Tensor(name, loss.shape, loss.dtype, Kind.INPUT, loss.halo)
        self.adjoints = {loss: self.new(loss, "grad") if copied else self.loss_grad}

    def new(self, tensor: Tensor, suffix: str) -> Tensor:
        """A tensor like `tensor`, named `T.suffix`."""
        return replace(tensor, name=self.names.fresh(f"{tensor.name}.{suffix}"), kind=Kind.VALUE)

    def is_useful(self, tensor: Tensor) -> bool:
        return tensor.dtype.is_float and (self.useful is None or tensor in self.useful)

    # Statements -----------------------------------------------------------------------------------

    def steps(self, statements: tuple[Statement, ...]) -> tuple[Step, ...]:
        """The statements from last to first, each with what it gives."""
        out: list[Step] = []
        seeded = not self.copied or bool(self.scans)
        for s in reversed(statements):
            backward: tuple[Statement, ...] = ()
            if not seeded and self.loss in targets([s]):
                seeded, backward = True, (self.copy_of_seed(),)
            backward += self.scan(s) if isinstance(s, Scan) else tuple(self.assign(s))
            if backward:
                out.append((s, backward))
        return tuple(out)

    def copy_of_seed(self) -> Assign:
        """L.grad[...] += L.seed[...], for a loss whose adjoint gets more than what is put in."""
        indices = tuple(Index(f"n{k}", n) for k, n in enumerate(self.loss.shape, 1))
        seed = whole(self.loss_grad, indices)
        return Assign(whole(self.adjoints[self.loss], indices), Op.ADD, seed)

    def scan(self, s: Scan) -> tuple[Statement, ...]:
        """The body swapped, in the other direction.

        A later statement of the body may owe its adjoint to an earlier one, at the next step; so
        the body is swapped until no new adjoint appears.
        """
        known = -1
        self.scans = (*self.scans, s.index)
        while known < len(self.adjoints):
            known = len(self.adjoints)
            steps = self.steps(s.body)
        self.scans = self.scans[:-1]
        body = tuple(b for _, backward in steps for b in backward)
        return (replace(s, body=body, backwards=not s.backwards),) if body else ()

    def assign(self, a: Assign) -> list[Assign]:
        """The backward statements of one assignment."""
        tensor = a.target.tensor
        if tensor not in self.adjoints or not tensor.dtype.is_float:
            return []
        self.check(a)
        if isinstance(a.value, Reduce):
            return self.normalised(a, a.value)
        seed, guards, before = self.seed(a)
        result = a.target if a.op is Op.SET else None
        found = contributions(a.value, seed, self.is_leaf, result)
        guarded = [replace(c, guards=(*guards, *c.guards)) for c in found]
        return [*before, *self.stores(a, guarded)] if guarded else []

    def is_leaf(self, e: Expr) -> bool:
        return isinstance(e, Load) and self.is_useful(e.tensor)

    def check(self, a: Assign) -> None:
        """ProgramError if the value that a gives is overwritten, or mixed with others."""
        name = a.target.tensor.name
        if a.target.tensor.kind is not Kind.VALUE:
            raise ProgramError(
                f"{name} is updated and read again on the way to {self.loss.name}: "
                "give the new value a name of its own before differentiating"
            )
        if a.op is Op.ADD:
            return
        if not set(self.scans) <= set(target_indices(a)):
            missing = next(i for i in self.scans if i not in target_indices(a))
            raise ProgramError(
                f"{name} is overwritten at each step of the scan over {missing.name}, so its "
                f"earlier values are lost: put {missing.name} among its subscripts"
            )
        if a.op is not Op.SET and (self.writers[a.target.tensor] > 1 or not is_injective(a)):
            raise ProgramError(
                f"{name} gets its value by {a.op.value} from more than one place: "
                "there is no derivative rule for that"
            )

    # What stands for y.grad[t] --------------------------------------------------------------------

    def seed(self, a: Assign) -> tuple[Expr, tuple[Guard, ...], list[Assign]]:
        """What multiplies the partials of a's value, under which guards, after which statements."""
        grad = self.grad(a.target)
        match a.op:
            case Op.MAX | Op.MIN if a.over:
                winner = self.winner(a)
                wins = apply(Primitive.EQUAL, position(a.over), winner.target)
                return grad, (Guard(wins, True),), [winner]
            case Op.MUL if a.over:
                others = self.others(a)
                return grad * others.target, (), [others]
        return grad, (), []

    def winner(self, a: Assign) -> Assign:
        """T.arg[t] argmax= e: where the one winner of T[t] max= e stands."""
        tensor = self.auxiliary(a, "arg", dtype=DType.I64)
        op = Op.ARGMAX if a.op is Op.MAX else Op.ARGMIN
        return replace(a, target=Load(tensor, a.target.subscripts), op=op, note="")

    def others(self, a: Assign) -> Assign:
        """T.others[t, r] *= e(r') if r' != r: the product of all factors but one.

        It is exact where a factor is 0, to every order, which T / e is not.
        """
        indices = all_indices(a)
        tensor = self.auxiliary(a, "others", shape=tuple(i.size for i in indices), halo=())
        at, other = primed(a.over, mentioned(a))
        differs: Expr | None = None
        for i, j in zip(other, a.over, strict=True):
            unlike = apply(Primitive.NOT_EQUAL, index_value(i), index_value(j))
            differs = unlike if differs is None else differs | unlike
        condition = None if a.condition is None else substitute(a.condition, at)
        return replace(
            a,
            target=whole(tensor, indices),
            value=substitute(a.value, at),
            over=other,
            condition=both(differs, condition),
            note="",
        )

    def auxiliary(self, a: Assign, suffix: str, **changes: object) -> Tensor:
        """The tensor `T.suffix` that the backward program of a needs: one, however often asked."""
        tensor = a.target.tensor
        if (tensor, suffix) not in self.made:
            new = self.new(tensor, suffix)
            self.made[tensor, suffix] = replace(new, **changes)  # type: ignore[arg-type]
        return self.made[tensor, suffix]

    def grad(self, load: Load) -> Load:
        """The adjoint of a load: the same element, nothing where the load is padding."""
        return Load(self.adjoints[load.tensor], tuple(without_value(s) for s in load.subscripts))

    # Where the adjoints go ------------------------------------------------------------------------

    def stores(self, a: Assign, found: list[Contribution]) -> Iterator[Assign]:
        """x.grad[s] += contribution; of one load together, unless they are summed."""
        groups: dict[Load, list[Contribution]] = {}
        for c in found:
            assert isinstance(c.leaf, Load)
            groups.setdefault(c.leaf, []).append(c)
        for load, group in groups.items():
            together = [group] if self.is_pointwise(a, load) else [[c] for c in group]
            for some in together:
                yield self.store(a, load, merged(some))

    def is_pointwise(self, a: Assign, load: Load) -> bool:
        return set(all_indices(a)) <= {*free_indices(load), *self.scans}

    def store(
        self,
        a: Assign,
        load: Load,
        value: Expr,
        loops: tuple[Index, ...] = (),
        condition: Expr | None = None,
    ) -> Assign:
        """x.grad[s] += value, over the indices of a (and `loops`) that are not on the left."""
        target = self.grad_of_read(load)
        left = {*free_indices(target), *self.scans}
        over = tuple(i for i in (*all_indices(a), *loops) if i not in left)
        condition = both(a.condition, condition)
        return Assign(target, Op.ADD, value, over, condition, a.origin)

    def grad_of_read(self, load: Load) -> Load:
        """The adjoint of something read, which exists from now on."""
        tensor = load.tensor
        if tensor is self.loss or tensor == self.loss:
            self.loss_is_read = True
        if tensor not in self.adjoints:
            self.adjoints[tensor] = self.new(tensor, "grad")
        return self.grad(load)

    # Softmax and its kin --------------------------------------------------------------------------

    def normalised(self, a: Assign, e: Reduce) -> list[Assign]:
        """The stable rule for T[t] = logsumexp[y](x[s]), softmax[y](x[s]), log_softmax[y](x[s])."""
        load = e.body
        assert isinstance(load, Load)
        if not self.is_useful(load.tensor):
            return []
        value, grad = a.target, self.grad(a.target)
        at, indices = primed(e.indices, mentioned(a))
        condition = None if e.condition is None else substitute(e.condition, at)
        value_at, grad_at = substitute(value, at), substitute(grad, at)
        match e.reduction:
            case Reduction.LOGSUMEXP:
                contribution: Expr = grad * apply(Primitive.EXP, load - value)
            case Reduction.SOFTMAX:
                inner = reduce(Reduction.SUM, indices, grad_at * value_at, condition)
                contribution = value * (grad - inner)
            case _:
                inner = reduce(Reduction.SUM, indices, grad_at, condition)
                contribution = grad - apply(Primitive.EXP, value) * inner
        loops = tuple(i for i in e.indices if i not in target_indices(a))
        return [self.store(a, load, contribution, loops, e.condition)]


def merged(found: list[Contribution]) -> Expr:
    """The sum of contributions to one load, those under the same guards under one `where`."""
    groups: dict[tuple[Guard, ...], list[Expr]] = {}
    for c in found:
        groups.setdefault(c.guards, []).append(c.value)
    return total([under(guards, total(values)) for guards, values in groups.items()])


def without_value(s: Subscript) -> Subscript:
    return replace(s, value=0.0) if isinstance(s, Pad) else s


def mentioned(a: Assign) -> tuple[Index, ...]:
    """Every index in an assignment, bound ones included."""
    conditions = () if a.condition is None else mentioned_indices(a.condition)
    return (*all_indices(a), *mentioned_indices(a.value), *conditions)


def primed(
    indices: tuple[Index, ...], taken: tuple[Index, ...]
) -> tuple[Substitution, tuple[Index, ...]]:
    """New indices y' for y, and what to substitute."""
    new: list[Index] = []
    for i in indices:
        new.append(fresh(i, (*taken, *new)))
    return {i: Affine(((n, 1),)) for i, n in zip(indices, new, strict=True)}, tuple(new)


def is_injective(a: Assign) -> bool:
    """Whether different settings of the target's indices are sure to be different elements."""
    alone = (index_alone(s) for s in a.target.subscripts)
    found = [i for some in alone for i in some]
    return len(found) == len(set(found)) and set(found) == set(target_indices(a))


def index_alone(s: object) -> tuple[Index, ...]:
    """The indices of a subscript that one can tell from its value."""
    match s:
        case Affine(((Index() as index, _),)):
            return (index,)
        case Affine(terms, group=True):
            return tuple(atom for atom, _ in terms if isinstance(atom, Index))
    return ()


def reached(statements: tuple[Statement, ...], wrt: Iterable[Tensor]) -> set[Tensor]:
    """The tensors whose values depend on `wrt`."""
    readers: dict[Tensor, set[Tensor]] = {}
    for a in flat(statements):
        for load in loads(a.value):
            readers.setdefault(load.tensor, set()).add(a.target.tensor)
    found = set(wrt)
    stack = list(found)
    while stack:
        new = {t for t in readers.get(stack.pop(), ()) if t.dtype.is_float} - found
        found |= new
        stack.extend(new)
    return found


# The first and only contribution is a definition --------------------------------------------------


def defined_once(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps, simplified, with = for += where one pointwise statement gives the whole tensor."""
    writers = Counter(targets([s for _, backward in steps for s in backward]))
    return tuple(
        (s, simplify_statements(with_definitions(backward, writers, ()))) for s, backward in steps
    )


def with_definitions(
    statements: tuple[Statement, ...], writers: Counter[Tensor], scans: tuple[Index, ...]
) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            out.append(replace(s, body=with_definitions(s.body, writers, (*scans, s.index))))
        else:
            out.append(replace(s, op=Op.SET) if is_definition(s, writers, scans) else s)
    return tuple(out)


def is_definition(a: Assign, writers: Counter[Tensor], scans: tuple[Index, ...]) -> bool:
    once = a.op is Op.ADD and writers[a.target.tensor] == 1 and not a.over and a.condition is None
    return once and covers(a.target) and set(scans) <= set(target_indices(a))
