"""Defines a value once: a later tensor with the same definition becomes loads of the first.

    a[b, j] = exp(s[b, j])             a[b, j] = exp(s[b, j])
    c[n, k] = exp(s[n, k])       ->    r[b, j] = a[b, j] * a[b, j]
    r[b, j] = a[b, j] * c[b, j]

A result of the program is kept, as a copy of the first.

Two definitions are the same if they agree up to the names of their indices and read the same
versions of the same tensors. It takes time linear in the length of the program.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace

from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Assign,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Kind,
    Load,
    Pad,
    Program,
    Quotient,
    Random,
    Reduce,
    Remainder,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import all_indices, map_assign, nodes, reads, replace_tensors, target_indices
from phistar.transform.names import targets


def reuse(program: Program) -> Program:
    """The program with every value that is defined twice defined once."""
    writers = Counter(targets(program.statements))
    reuser = Reuser(writers, frozenset(program.outputs))
    statements = reuser.statements(program.statements, ())
    return program if statements == program.statements else replace(program, statements=statements)


@dataclass
class Reuser:
    """What has been defined so far, and by which tensor it is held."""

    writers: Counter[Tensor]
    outputs: frozenset[Tensor]
    same: dict[Tensor, Tensor] = field(
        default_factory=dict
    )  # a tensor, and the one that replaces it
    defined: dict[Hashable, Tensor] = field(default_factory=dict)
    versions: Counter[Tensor] = field(default_factory=Counter)  # how often it was assigned by now
    read: set[Tensor] = field(default_factory=set)

    def statements(
        self,
        statements: tuple[Statement, ...],
        scans: tuple[Index, ...],
        place: tuple[int, ...] = (),
    ) -> tuple[Statement, ...]:
        """The statements without repetitions; `place` tells bodies of different scans apart."""
        out: list[Statement] = []
        for n, s in enumerate(statements):
            if isinstance(s, Scan):
                body = self.statements(s.body, (*scans, s.index), (*place, n))
                out.extend([replace(s, body=body)] if body else [])
            else:
                out.extend(self.assign(s, scans, place))
        return tuple(out)

    def assign(
        self, a: Assign, scans: tuple[Index, ...], place: tuple[int, ...]
    ) -> Iterator[Assign]:
        a = self.with_first_names(a)
        tensor = a.target.tensor
        if self.may_share(a, scans):
            key = (place, definition(a, self.versions, scans))
            first = self.defined.setdefault(key, tensor)
            if first is not tensor and self.may_go(tensor):
                self.same[tensor] = first
                return
            if first is not tensor:
                a = copied(a, first)
        self.versions[tensor] += 1
        self.read.update(load.tensor for load in reads(a))
        yield a

    def with_first_names(self, a: Assign) -> Assign:
        """a with loads of tensors that are gone turned into loads of what replaces them."""
        if not any(load.tensor in self.same for load in reads(a)):
            return a
        return map_assign(a, lambda e: replace_tensors(e, self.same))

    def may_share(self, a: Assign, scans: tuple[Index, ...]) -> bool:
        """Whether a alone says what its tensor holds, at each step of the scans around it."""
        tensor = a.target.tensor
        once = tensor.kind is Kind.VALUE and self.writers[tensor] == 1
        kept = set(scans) <= set(target_indices(a))
        recurrent = any(load.tensor == tensor for load in reads(a))
        return once and kept and not recurrent and not any(map(any, tensor.halo))

    def may_go(self, tensor: Tensor) -> bool:
        """Whether nobody needs the tensor itself, nor has read it while it was still empty."""
        return tensor not in self.outputs and tensor not in self.read


def copied(a: Assign, first: Tensor) -> Assign:
    """The tensor somebody needs, as a copy of the first, where that is less work."""
    simple = isinstance(a.value, Load | Const) and not a.over
    if simple or any(isinstance(s, Expr) for s in a.target.subscripts):
        return a
    value = Load(first, a.target.subscripts)
    return replace(a, op=Op.SET, value=value, over=(), condition=None)


# Definitions up to the names of indices -----------------------------------------------------------


def definition(a: Assign, versions: Counter[Tensor], scans: tuple[Index, ...]) -> Hashable:
    """What a says of its target: equal for two statements that define the same value."""
    numbering = Numbering(versions)
    around = tuple(numbering.index(i) for i in scans)
    loops = tuple(numbering.index(i) for i in all_indices(a))
    left = tuple(numbering.subscript(s) for s in a.target.subscripts)
    gathers = tuple(numbering.words(s) for s in a.target.subscripts if isinstance(s, Expr))
    value = numbering.words(a.value)
    condition = None if a.condition is None else numbering.words(a.condition)
    sizes = tuple(i.size for i in numbering.numbers)
    tensor = a.target.tensor
    same = (tensor.shape, tensor.dtype, a.op, len(a.over), around, loops, sizes)
    return (*same, left, gathers, value, condition)


@dataclass
class Numbering:
    """Numbers instead of names for the indices, in order of appearance."""

    versions: Counter[Tensor]
    numbers: dict[Index, int] = field(default_factory=dict)

    def index(self, i: Index) -> int:
        return self.numbers.setdefault(i, len(self.numbers))

    def words(self, e: Expr) -> Hashable:
        """e in Polish notation: two expressions with the same words are the same."""
        return tuple(self.word(node) for node in nodes(e))

    def word(self, e: Expr) -> Hashable:
        match e:
            case Const(value):
                return Const, type(value), repr(value), e.dtype
            case IndexValue(index):
                return IndexValue, self.index(index), e.dtype
            case Load(tensor):
                version = self.versions[tensor]
                return Load, tensor, version, *(self.subscript(s) for s in e.subscripts)
            case Random():
                indices = tuple(self.index(i) for i in e.indices)
                return e.distribution, e.place, indices, e.dtype
            case Argument(name):
                return Argument, name, e.dtype
            case Apply(function, args):
                return function, len(args), e.dtype
            case Cast():
                return Cast, e.dtype
            case Reduce():
                indices = tuple(self.index(i) for i in e.indices)
                return e.reduction, indices, e.condition is None, e.dtype
        raise TypeError(f"not an expression: {e!r}")

    def subscript(self, s: Subscript) -> Hashable:
        match s:
            case Affine():
                return self.affine(s)
            case Pad():
                return self.affine(s.position), s.low, s.high, repr(s.value)
        return Expr  # its words follow

    def affine(self, a: Affine) -> Hashable:
        return (a.offset, *((self.atom(atom), c) for atom, c in a.terms))

    def atom(self, atom: Index | Quotient | Remainder) -> Hashable:
        if isinstance(atom, Index):
            return self.index(atom)
        return type(atom), self.affine(atom.affine), atom.divisor
