"""Gives every reduction inside an expression a statement of its own.

    h[b, j] = relu(Σ_i W[j, i] * x[b, i] + c[j])        h.pre[b, j] += Σ_i W[j, i] * x[b, i]
                                                  ->    h.pre[b, j] += c[j]
                                                        h[b, j] = relu(h.pre[b, j])

Afterwards a value has no reduction in it, or is one logsumexp, softmax or log_softmax of a load
with bare subscripts. Factors of a summed product get a name too, unless they are loads: then the
products of the backward program have two factors as well.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from phistar.ir.build import settled, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import OP_OF, REDUCTION_OF, Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Own,
    Program,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import (
    all_indices,
    expressions,
    free_indices,
    map_assign,
    rebuild,
    rename_bound,
    rewrite,
    target_indices,
)
from phistar.transform.guards import (
    both,
    conjunction,
    indices_of,
    is_constant,
    is_plain,
    reduces,
    risky,
)
from phistar.transform.names import Names, covers, names_of, targets
from phistar.transform.summands import Summand, as_sum, exposes_sum, summands

# What a reduction's temporary is called: `T.sum`.
SUFFIX = {reduction: reduction.spelling for reduction in Reduction} | {Reduction.LOGSUMEXP: "lse"}
NORMALISED = frozenset({Reduction.LOGSUMEXP, Reduction.SOFTMAX, Reduction.LOG_SOFTMAX})
OPS = OP_OF | {Reduction.ANY: Op.MAX, Reduction.ALL: Op.MIN}
LINEAR = frozenset({Primitive.NEG, Primitive.STOP_GRADIENT})
SHAPED = frozenset({Primitive.LEAKY_RELU, Primitive.ELU, Primitive.CELU, Primitive.CLIP})


def lift(program: Program) -> Program:
    """The program with each reduction as the op of an assignment of its own."""
    lifter = Lifter(names_of(program), Counter(targets(program.statements)))
    return replace(program, statements=lifter.statements(program.statements, ()))


@dataclass(frozen=True)
class Place:
    """Where an expression stands: in which loops, under which guards, inside which statement."""

    root: Assign
    scans: tuple[Index, ...]
    loops: tuple[Index, ...]
    guards: tuple[Expr, ...] = ()

    def inside(self, indices: tuple[Index, ...], guards: Iterable[Expr | None] = ()) -> "Place":
        more = tuple(i for i in indices if i not in self.loops)
        kept = tuple(g for g in guards if g is not None)
        return replace(self, loops=(*self.loops, *more), guards=(*self.guards, *kept))


@dataclass
class Lifter:
    """The names in use, how often each tensor is assigned, and what is put before a statement."""

    names: Names
    writers: Counter[Tensor]
    added: set[Tensor] = field(default_factory=set)
    temporaries: set[Tensor] = field(default_factory=set)
    before: list[Assign] = field(default_factory=list)
    named: dict[tuple[Expr, Expr | None], Load] = field(default_factory=dict)

    def statements(
        self, statements: tuple[Statement, ...], scans: tuple[Index, ...]
    ) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for s in statements:
            if isinstance(s, Scan):
                out.append(replace(s, body=self.statements(s.body, (*scans, s.index))))
                continue
            self.before, self.named = [], {}
            last = self.assign(prepared(s, scans), s, scans)
            out.extend((*self.before, *last))
            if s.op is not Op.SET:
                self.added.add(s.target.tensor)
        return tuple(out)

    def assign(self, a: Assign, root: Assign, scans: tuple[Index, ...]) -> list[Assign]:
        """The statements a becomes; what they need is in self.before."""
        loops = tuple(i for i in all_indices(a) if i not in scans)
        carried = tuple(i for i in scans if i not in target_indices(a))
        order = (*carried, *all_indices(a))
        place = Place(root, scans, order)
        a = self.without_reductions_around(a, place)
        if a.condition is not None:
            place = place.inside((), (a.condition,))
        if isinstance(a.value, Reduce):
            a = replace(a, value=as_sum(a.value))
        if a.op in (Op.SET, Op.ADD) and (exposes_sum(a.value) or a.over):
            return self.sum(a, place, scans, loops)
        if isinstance(a.value, Reduce):
            return self.reduction(a, a.value, place, scans)
        return [replace(a, value=self.pointwise(a.value, place))]

    def without_reductions_around(self, a: Assign, place: Place) -> Assign:
        """a with nothing reduced in its condition or in its target's subscripts."""
        target = self.pointwise(a.target, place)
        assert isinstance(target, Load)
        condition = None if a.condition is None else self.pointwise(a.condition, place)
        return replace(a, target=target, condition=condition)

    # Sums -----------------------------------------------------------------------------------------

    def sum(
        self, a: Assign, place: Place, scans: tuple[Index, ...], loops: tuple[Index, ...]
    ) -> list[Assign]:
        """One `+=` for each summand, or one statement with temporaries where a is an update."""
        parts = summands(a.value)
        split = a.over != () or len(parts) > 1 or parts[0].indices != ()
        if not split or not self.may_accumulate(a, scans, len(parts)):
            return [replace(a, value=self.pointwise(a.value, place))]
        return [self.summand(a, part, place, loops) for part in parts]

    def may_accumulate(self, a: Assign, scans: tuple[Index, ...], parts: int) -> bool:
        """Whether a may be written as `parts` statements with +=."""
        tensor = a.target.tensor
        if a.op is Op.ADD:
            return tensor.kind is Kind.VALUE or parts == 1
        once = set(scans) <= set(target_indices(a))  # and not once for each step of a scan
        return tensor.kind is Kind.VALUE and once and tensor not in self.added

    def summand(self, a: Assign, part: Summand, place: Place, loops: tuple[Index, ...]) -> Assign:
        place = place.inside(part.indices)
        condition = part.condition
        if condition is not None:
            condition = self.pointwise(condition, place)
            place = place.inside((), (condition,))
        body = self.pointwise(part.body, place)
        over = (*a.over, *part.indices)
        if over:
            body = self.product(body, (*loops, *part.indices), place)
        condition = both(a.condition, condition)
        return replace(a, op=Op.ADD, value=body, over=over, condition=condition)

    def product(self, e: Expr, loops: tuple[Index, ...], place: Place) -> Expr:
        """A summed product with each factor a load, a constant, or in need of every index."""
        if sum(1 for f in factors(e) if not is_constant(f)) < 2:
            return e
        return self.named_factors(e, frozenset(loops), place)

    def named_factors(self, e: Expr, loops: frozenset[Index], place: Place) -> Expr:
        match e:
            case Apply(Primitive.MUL | Primitive.NEG):
                return rebuild(e, lambda x: self.named_factors(x, loops, place))
            case Apply(Primitive.DIV, (x, divisor)) if is_constant(divisor):
                return replace(e, args=(self.named_factors(x, loops, place), divisor))
        if is_plain(e) or loops <= set(free_indices(e)):
            return e
        return self.name(e, "f", place)

    # Other reductions -----------------------------------------------------------------------------

    def reduction(
        self, a: Assign, e: Reduce, place: Place, scans: tuple[Index, ...]
    ) -> list[Assign]:
        """A statement whose whole value is a reduction, other than a sum."""
        if REDUCTION_OF.get(a.op) is e.reduction and a.op not in (Op.ARGMAX, Op.ARGMIN):
            return [self.reducing(a, e, place)]
        if a.op is Op.SET and self.is_defined_by(a, scans):
            if e.reduction in OPS:
                return [self.reducing(a, e, place)]
            if e.reduction in NORMALISED and a.condition is None:
                return [replace(a, value=self.normalised(e, place))]
        return [replace(a, value=self.pointwise(a.value, place))]

    def is_defined_by(self, a: Assign, scans: tuple[Index, ...]) -> bool:
        """Whether the one statement a gives every element of its tensor, once."""
        tensor = a.target.tensor
        if self.writers[tensor] > 1 or tensor.kind is not Kind.VALUE or not covers(a.target):
            return False
        whole_tensor = a.condition is None or tensor in self.temporaries
        return whole_tensor and set(scans) <= set(target_indices(a))

    def reducing(self, a: Assign, e: Reduce, place: Place) -> Assign:
        """T = max[y](e), or T max= max[y](e), as T max= e over y."""
        place = place.inside(e.indices)
        condition = e.condition
        if condition is not None:
            condition = self.pointwise(condition, place)
            place = place.inside((), (condition,))
        body = settled(self.pointwise(e.body, place))
        condition = both(a.condition, condition)
        op, over = OPS[e.reduction], (*a.over, *e.indices)
        return replace(a, op=op, value=body, over=over, condition=condition)

    def normalised(self, e: Reduce, place: Place) -> Expr:
        """softmax[y](e) and its kin with e a load with bare subscripts."""
        place = place.inside(e.indices)
        condition = e.condition
        if condition is not None:
            condition = self.pointwise(condition, place)
            if risky(condition):
                condition = both(conjunction(place.guards), condition)
            place = place.inside((), (condition,))
        body = e.body if is_bare(e.body) else self.name(e.body, "pre", place)
        return replace(e, body=body, condition=condition)

    # Reductions inside expressions ----------------------------------------------------------------

    def pointwise(self, e: Expr, place: Place) -> Expr:
        """e with every reduction inside it named."""
        if not reduces(e):
            return e
        match e:
            case Reduce():
                return self.name(e, SUFFIX[e.reduction], place)
            case Apply(Primitive.WHERE, (test, yes, no)):
                test = self.pointwise(test, place)
                yes = self.pointwise(yes, place.inside((), (test,)))
                no = self.pointwise(no, place.inside((), (~test,)))
                return replace(e, args=(test, yes, no))
            case Apply(function) if is_curved(function):
                return rebuild(e, lambda x: self.name(x, "pre", place) if reduces(x) else x)
        return rebuild(e, lambda x: self.pointwise(x, place))

    def name(self, e: Expr, suffix: str, place: Place) -> Load:
        """A load of a tensor that holds e, defined before the statement e stands in."""
        guard = conjunction(place.guards) if risky(e) else None
        if (e, guard) in self.named:
            return self.named[e, guard]
        needed = {*free_indices(e), *indices_of([guard] if guard else []), *place.scans}
        axes = tuple(i for i in place.loops if i in needed)
        stem = f"{place.root.target.tensor.name}.{suffix}"
        name = self.names.numbered(stem) if suffix == "f" else self.names.fresh(stem)
        tensor = Tensor(name, tuple(i.size for i in axes), dtype_of(e))
        load = self.named[e, guard] = whole(tensor, axes)
        self.define(load, e, guard, place)
        return load

    def define(self, load: Load, e: Expr, guard: Expr | None, place: Place) -> None:
        """load = e, where the guard holds, lifted and put before the statement e stands in."""
        a = Assign(load, Op.SET, settled(e), (), guard, place.root.origin)
        self.writers[load.tensor] += 1
        self.temporaries.add(load.tensor)
        if isinstance(a.value, Reduce) and a.value.reduction in NORMALISED:
            value = self.normalised(a.value, place)
            self.before.append(replace(a, value=value, condition=None))
        else:
            self.before.extend(self.assign(a, place.root, place.scans))


def prepared(a: Assign, scans: tuple[Index, ...]) -> Assign:
    """a with its cumulative sums as Σ, and no index of its loops bound again inside it."""
    if not any(reduces(e) for e in expressions(a)):
        return a
    taken = (*scans, *all_indices(a))
    return map_assign(a, lambda e: rename_bound(rewrite(e, without_cumsum), taken))


def without_cumsum(e: Expr) -> Expr:
    return as_sum(e) if isinstance(e, Reduce) and e.reduction is Reduction.CUMSUM else e


def factors(e: Expr) -> Iterable[Expr]:
    """The factors of a product; a constant divisor is not counted as one."""
    stack = [e]
    while stack:
        match stack.pop():
            case Apply(Primitive.MUL | Primitive.NEG, args):
                stack.extend(args)
            case Apply(Primitive.DIV, (x, divisor)) if is_constant(divisor):
                stack.append(x)
            case factor:
                yield factor


def is_curved(function: Primitive | Own) -> bool:
    """Whether a function is nonlinear in the one argument that a reader thinks of."""
    if isinstance(function, Own) or function in SHAPED:
        return True
    return function.arity == 1 and function not in LINEAR


def is_bare(e: Expr) -> bool:
    """Whether e is a load whose subscripts are all bare indices."""
    return isinstance(e, Load) and all(
        isinstance(s, Affine) and s.bare is not None for s in e.subscripts
    )


def dtype_of(e: Expr) -> DType:
    dtype = settled(e).dtype
    assert isinstance(dtype, DType)
    return dtype
