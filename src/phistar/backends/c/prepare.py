"""The statements of a program as leaves: what is uninitialised is filled, what overlaps is copied.

T[...] = 0              before the first assignment, unless that writes every element
T.old[...] = T[...]     before an assignment that reads its own target elsewhere
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from phistar.backends.c.borders import at_once
from phistar.backends.c.channels import channels_last
from phistar.backends.c.factors import name_factors
from phistar.backends.c.gathering import gather
from phistar.backends.c.padding import pad_products
from phistar.backends.c.places import narrow_places
from phistar.backends.c.roots import name_roots
from phistar.backends.c.tree import Leaf, Loop, Node, Var, initial
from phistar.backends.c.unfold import unfold
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Const,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Scan,
    Statement,
    Subscript,
    Tensor,
    assignments,
)
from phistar.ir.walk import (
    affine_indices,
    all_indices,
    loads,
    map_assign,
    map_statements,
    read_tensors,
    replace_tensors,
    rewrite,
)
from phistar.transform.flatten import flatten
from phistar.transform.inline import inline
from phistar.transform.names import names_of
from phistar.transform.reuse import reuse

ARG = (Op.ARGMAX, Op.ARGMIN)


def prepare(program: Program) -> tuple[list[Node], frozenset[Tensor]]:
    """The leaves of a program, in order, scans as loops around them; pictures, channels last."""
    program = narrow_places(constants(inline(flatten(program))))
    program = pad_products(gather(program))
    program, pictures = channels_last(at_once(reuse(name_roots(name_factors(program)))))
    program = unfold(program)
    return list(Preparation(program).nodes(program.statements, {})), pictures


def constants(program: Program) -> Program:
    """Scalars that are a number, such as loss.grad = 1, written out where they are read."""
    writers = Counter(a.target.tensor for a in assignments(program.statements))
    known: dict[Tensor, Const] = {}
    read: set[Tensor] = set()
    for a in program.statements:
        if isinstance(a, Assign) and a.op is Op.SET and isinstance(a.value, Const):
            t = a.target.tensor
            plain = a.condition is None and not (t.shape or t in program.outputs or t in read)
            if plain and t.kind is Kind.VALUE and writers[t] == 1:
                known[t] = Const(a.value.value, t.dtype)
        read |= set(read_tensors([a]))

    def change(e: Expr) -> Expr:
        return known.get(e.tensor, e) if isinstance(e, Load) else e

    def changed(a: Assign) -> list[Assign]:
        if a.target.tensor in known:
            return []
        condition = None if a.condition is None else rewrite(a.condition, change)
        return [replace(a, value=rewrite(a.value, change), condition=condition)]

    return replace(program, statements=map_statements(program.statements, changed))


@dataclass
class Preparation:
    """Which tensors have been touched so far."""

    program: Program

    def __post_init__(self) -> None:
        self.touched: set[Tensor] = set(self.program.inputs)
        self.names = names_of(self.program)

    def nodes(self, statements: tuple[Statement, ...], scans: dict[Index, Var]) -> Iterator[Node]:
        for s in statements:
            if not scans:  # inside a scan everything is filled before it
                s = self.chosen(s) if isinstance(s, Assign) else s
                yield from self.fills(s)
            if isinstance(s, Scan):
                var = Var(s.index.name, s.index.size)
                body = list(self.nodes(s.body, {**scans, s.index: var}))
                yield Loop(var, body, scan=True, backwards=s.backwards)
            else:
                yield from self.leaves(s, scans)
        if not scans:
            for t in self.program.outputs:
                if t not in self.touched:
                    yield fill(t, 0)

    def chosen(self, a: Assign) -> Assign:
        """if c: T[i] = e, the first to write T, as T[i] = where(c, e, 0): nothing to fill before.

        A vector is chosen from in one step, but written in part and read again with a delay.
        """
        t = a.target.tensor
        if a.condition is None or a.over or t in self.touched or a.op in ARG:
            return a
        plain = replace(a, condition=None)
        if not defines(plain) or t in read_tensors([a]):
            return a
        none = Const(initial(a.op, t.dtype), t.dtype)
        value = Apply(Primitive.WHERE, (a.condition, a.value, none), t.dtype)
        return replace(plain, op=Op.SET, value=value)

    def fills(self, s: Statement) -> Iterator[Leaf]:
        """What must hold its first value before a statement."""
        inside = list(assignments((s,)))
        scanned = frozenset(scan_indices(s))
        for a in inside:
            for t in [load.tensor for e in (a.value, a.condition) if e for load in loads(e)]:
                if t not in self.touched and not written_before(t, a, inside):
                    self.touched.add(t)
                    yield fill(t, first_value(t, self.program))
            t = a.target.tensor
            if t not in self.touched and not (defines(a) and in_step(t, a, inside, scanned)):
                self.touched.add(t)
                yield fill(t, initial(a.op, t.dtype))

    def leaves(self, a: Assign, scans: dict[Index, Var]) -> Iterator[Leaf]:
        target = a.target.tensor
        define = target not in self.touched
        self.touched.add(target)
        if overlaps(a, frozenset(scans)):
            old = Tensor(self.names.fresh(f"{target.name}.old"), target.storage, target.dtype)
            yield copy(target, old)
            moved = shifted(target, old)
            a = replace(map_assign(a, lambda e: swap_loads(e, target, moved)), target=a.target)
        bind = dict(scans)
        for index in all_indices(a):
            bind.setdefault(index, Var(index.name, index.size))
        leaf = Leaf(a, bind, define, frozenset(scans))
        yield from scaled_after(leaf) or [leaf]


def scan_indices(s: Statement) -> Iterator[Index]:
    if isinstance(s, Scan):
        yield s.index
        for inner in s.body:
            yield from scan_indices(inner)


def written_before(t: Tensor, reader: Assign, order: list[Assign]) -> bool:
    """Some assignment of the same statement writes t before it is read."""
    for a in order:
        if a is reader:
            return False
        if a.target.tensor == t:
            return True
    return False


def first_value(t: Tensor, program: Program) -> float:
    op = next((a.op for a in assignments(program.statements) if a.target.tensor == t), Op.SET)
    return initial(op, t.dtype)


def defines(a: Assign) -> bool:
    """It writes every element of its target, each once."""
    if a.condition is not None and (a.op in ARG or not a.over):
        return False
    if a.op in ARG and not all(i.size for i in a.over):
        return False
    pairs = zip(a.target.subscripts, a.target.tensor.storage, strict=True)
    if (a.op is Op.SET and a.over) or not all(covers_axis(s, n) for s, n in pairs):
        return False
    own = [i for s in a.target.subscripts if isinstance(s, Affine) for i in affine_indices(s)]
    return len(set(own)) == len(own)


def covers_axis(s: Subscript, size: int) -> bool:
    """It is each position of an axis once: an index, or several as one, h * 64 + d."""
    if not isinstance(s, Affine) or s.offset or not s.terms:
        return False
    step = 1
    for atom, coefficient in sorted(s.terms, key=lambda term: term[1]):
        if not isinstance(atom, Index) or coefficient != step:
            return False
        step *= atom.size
    return step == size


def in_step(t: Tensor, first: Assign, inside: list[Assign], scanned: frozenset[Index]) -> bool:
    """Inside a scan, a step touches no part of t that another step writes."""
    if not scanned:
        return True
    axes = [
        n
        for n, s in enumerate(first.target.subscripts)
        if isinstance(s, Affine) and s.bare in scanned
    ]
    if len(axes) != len(scanned):
        return False
    for a in inside:
        touching = [load for e in (a.value, a.condition, a.target) if e for load in loads(e)]
        for load in touching:
            if load.tensor == t and any(
                load.subscripts[n] != first.target.subscripts[n] for n in axes
            ):
                return False
    return True


def overlaps(a: Assign, scans: frozenset[Index]) -> bool:
    """It may read an element of its target after having written it."""
    own = [
        load
        for e in (a.value, a.condition, *a.target.subscripts)
        if isinstance(e, Expr)
        for load in loads(e)
        if load.tensor == a.target.tensor and not elsewhere(load, a.target, scans)
    ]
    if not own:
        return False
    at = [s.bare if isinstance(s, Affine) else None for s in a.target.subscripts]
    once = None not in at and len(set(at)) == len(at) and not a.over
    return not once or any(load.subscripts != a.target.subscripts for load in own)


def scaled_after(leaf: Leaf) -> list[Leaf] | None:
    """T = Σ A * B / c as T = Σ A * B and T = T / c: the first is a product of matrices."""
    a = leaf.assign
    if not leaf.define or a.op is not Op.ADD or not a.over or a.condition is not None:
        return None
    match a.value:
        case Apply(
            function=Primitive.DIV | Primitive.MUL as function,
            args=(Apply(function=Primitive.MUL, args=(Load(), Load())) as product, Const() as c),
        ) if a.target.dtype in (DType.F32, DType.F64) and product.dtype is a.target.dtype:
            first = replace(leaf, assign=replace(a, value=product))
            scaled = Apply(function, (a.target, c), a.target.dtype)
            then = replace(a, op=Op.SET, value=scaled, over=())
            inside = {i: v for i, v in leaf.bind.items() if i not in a.over}
            return [first, Leaf(then, inside, False, leaf.scans)]
    return None


def elsewhere(load: Load, target: Load, scans: frozenset[Index]) -> bool:
    """On some axis the two are always at different positions: h[t - 1] and h[t], in a scan."""
    for s, to in zip(load.subscripts, target.subscripts, strict=True):
        if not isinstance(s, Affine) or not isinstance(to, Affine) or s.terms != to.terms:
            continue
        if s.offset != to.offset and all(atom in scans for atom, _ in s.terms):
            return True
    return False


def swap_loads(e: Expr, target: Tensor, moved: Tensor) -> Expr:
    return replace_tensors(e, {target: moved})


def shifted(target: Tensor, old: Tensor) -> Tensor:
    """The copy, subscripted as the target is."""
    return replace(target, name=old.name, kind=Kind.VALUE)


def copy(target: Tensor, old: Tensor) -> Leaf:
    """old[...] = target[...], the halo included."""
    twin = shifted(target, old)
    indices = tuple(Index(f"i{n}", size) for n, size in enumerate(target.storage))
    at = tuple(Affine(((index, 1),), target.bounds(axis)[0]) for axis, index in enumerate(indices))
    assign = Assign(Load(twin, at), Op.SET, Load(target, at))
    return Leaf(assign, {i: Var(i.name, i.size) for i in indices}, define=True)


def fill(t: Tensor, value: float | int | bool) -> Leaf:
    """t[...] = value, the halo included."""
    indices = tuple(Index(f"i{n}", size) for n, size in enumerate(t.storage))
    at = tuple(Affine(((index, 1),), t.bounds(axis)[0]) for axis, index in enumerate(indices))
    assign = Assign(Load(t, at), Op.SET, Const(value, t.dtype))
    return Leaf(assign, {i: Var(i.name, i.size) for i in indices}, define=True)
