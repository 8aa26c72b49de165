"""Gives each value a name of its own, so that differentiation sees nothing overwritten.

    W[i] = W[i] - g[i]            W.next[i] = W[i] - g[i]
    L = Σ_i W[i] ** 2       ->    L = Σ_i W.next[i] ** 2
                                  W[i] = W.next[i]

An update that no later equation reads stays as it is and moves to the end, with the commits. A
value that is added to after it was read is named `T.before` up to there. Tensors that are updated
inside a scan stay as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from phistar.errors import ProgramError
from phistar.ir.build import apply, const, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import (
    affine_bounds,
    flat,
    map_assign,
    map_statements,
    read_tensors,
    reads,
    replace_tensors,
    target_indices,
)
from phistar.transform.names import Names, covers, names_of, targets

# How what an op accumulated meets the value that was there (+= starts from that value itself).
COMBINE = {
    Op.MUL: Primitive.MUL,
    Op.MAX: Primitive.MAXIMUM,
    Op.MIN: Primitive.MINIMUM,
}


def versions(program: Program) -> Program:
    """The program with updates at its end and every value that is read defined before."""
    names = names_of(program)
    statements = with_values_kept(program.statements, names)
    return replace(program, statements=with_updates_last(statements, names))


def commits(statements: tuple[Statement, ...]) -> tuple[tuple[Statement, ...], ...]:
    """The statements before the updates that end a program, and those updates."""
    end = len(statements)
    while end and is_update(statements[end - 1]):
        end -= 1
    return statements[:end], statements[end:]


def is_update(s: Statement) -> bool:
    return isinstance(s, Assign) and s.target.tensor.kind is not Kind.VALUE


# Parameters and states ----------------------------------------------------------------------------


@dataclass
class Versions:
    """The tensor that holds each parameter's or state's value by now."""

    names: Names
    current: dict[Tensor, Tensor] = field(default_factory=dict)

    def now(self, e: Expr) -> Expr:
        return replace_tensors(e, self.current) if self.current else e

    def reading(self, s: Statement) -> tuple[Statement, ...]:
        """A statement with the values of now on its right."""
        if not self.current:
            return (s,)
        return map_statements([s], lambda a: [self.assign(a)])

    def assign(self, a: Assign) -> Assign:
        target = a.target.tensor
        new = map_assign(a, self.now)
        return replace(new, target=Load(target, new.target.subscripts))

    def split(self, a: Assign) -> tuple[list[Statement], Assign]:
        """An update as the definition of `S.next`, and the commit S = S.next."""
        old, state = self.now(a.target), a.target.tensor
        a = self.assign(a)
        assert isinstance(old, Load)
        new = self.like(state, "next")
        self.current[state] = new
        n = everywhere(state)
        commit = Assign(whole(state, n), Op.SET, whole(new, n), (), None, a.origin)
        return self.definition(a, old.tensor, new), commit

    def definition(self, a: Assign, old: Tensor, new: Tensor) -> list[Statement]:
        n = everywhere(new)
        if a.op is Op.SET and a.condition is None and covers(a.target):
            return [retargeted(a, new)]
        if a.op is Op.ADD:
            copy = Assign(whole(new, n), Op.SET, whole(old, n), (), None, a.origin)
            return [copy, retargeted(a, new)]
        put = self.like(old, "put")
        if a.op in COMBINE:
            value: Expr = apply(COMBINE[a.op], whole(old, n), whole(put, n))
            return [retargeted(a, put), Assign(whole(new, n), Op.SET, value, (), None, a.origin)]
        mask = replace(self.like(old, "mask"), dtype=DType.BOOL)
        touched = replace(retargeted(a, mask), op=Op.SET, value=const(True), over=())
        value = apply(Primitive.WHERE, whole(mask, n), whole(put, n), whole(old, n))
        result = Assign(whole(new, n), Op.SET, value, (), None, a.origin)
        return [retargeted(a, put), touched, result]

    def like(self, tensor: Tensor, suffix: str) -> Tensor:
        stem = tensor.name.removesuffix(".next")
        return replace(tensor, name=self.names.fresh(f"{stem}.{suffix}"), kind=Kind.VALUE)


def retargeted(a: Assign, tensor: Tensor) -> Assign:
    return replace(a, target=Load(tensor, a.target.subscripts))


def everywhere(tensor: Tensor) -> tuple[Index, ...]:
    """One index for each axis of a tensor."""
    return tuple(Index(f"n{k}", size) for k, size in enumerate(tensor.shape, 1))


def with_updates_last(statements: tuple[Statement, ...], names: Names) -> tuple[Statement, ...]:
    fixed = set(updated_in_scans(statements))
    split = read_after(statements, fixed)
    versions = Versions(names)
    body: list[Statement] = []
    last: list[Statement] = []
    for n, s in enumerate(statements):
        if not isinstance(s, Assign) or not is_update(s) or s.target.tensor in fixed:
            body.extend(versions.reading(s))
        elif n in split:
            definition, commit = versions.split(s)
            body.extend(definition)
            last.append(commit)
        else:
            last.append(s)
    return (*body, *last)


def updated_in_scans(statements: Iterable[Statement]) -> Iterable[Tensor]:
    scans = [s for s in statements if isinstance(s, Scan)]
    return (t for t in targets(scans) if t.kind is not Kind.VALUE)


def read_after(statements: tuple[Statement, ...], fixed: set[Tensor]) -> set[int]:
    """Which updates are read by a later statement that is not an update at the end itself."""
    found: set[int] = set()
    wanted: set[Tensor] = set()
    for n, s in reversed(list(enumerate(statements))):
        if isinstance(s, Assign) and is_update(s) and s.target.tensor not in fixed:
            tensor = s.target.tensor
            if tensor not in wanted:
                continue
            found.add(n)
            if s.op is Op.SET and s.condition is None and covers(s.target):
                wanted.discard(tensor)
        wanted.update(read_tensors([s]))
    return found


# Values that are read before they are complete ----------------------------------------------------


def with_values_kept(statements: tuple[Statement, ...], names: Names) -> tuple[Statement, ...]:
    """The statements with T named `T.before` until it is accumulated to after having been read."""
    broken = breaks(statements)
    if not broken:
        return statements
    last = {tensor: n for n, tensor in broken.items()}
    current = {tensor: before(tensor, names) for tensor in last}
    out: list[Statement] = []
    for n, s in enumerate(statements):
        if n in broken:
            tensor = broken[n]
            old, i = current.pop(tensor), everywhere(tensor)
            if last[tensor] != n:
                current[tensor] = before(tensor, names)
            new = current.get(tensor, tensor)
            out.append(Assign(whole(new, i), Op.SET, whole(old, i)))
        out.extend(renamed(s, current))
    return tuple(out)


def renamed(s: Statement, current: dict[Tensor, Tensor]) -> tuple[Statement, ...]:
    return map_statements([s], lambda a: [map_assign(a, lambda e: replace_tensors(e, current))])


def before(tensor: Tensor, names: Names) -> Tensor:
    return replace(tensor, name=names.fresh(f"{tensor.name}.before"))


Box = tuple[tuple[int, int], ...]


def breaks(statements: tuple[Statement, ...]) -> dict[int, Tensor]:
    """At which statements which value is accumulated to after having been read."""
    accumulated = {t for s in statements if accumulates(s) for t in targets([s])}
    found: dict[int, Tensor] = {}
    seen: dict[Tensor, set[Box]] = {}
    for n, s in enumerate(statements):
        if isinstance(s, Assign) and accumulates(s):
            tensor, written = s.target.tensor, box(s.target)
            if any(overlap(written, read) for read in seen.get(tensor, ())):
                found[n] = tensor
                del seen[tensor]
        for a in flat([s]):
            for load in reads(a):
                if load.tensor in accumulated:
                    seen.setdefault(load.tensor, set()).add(box(load))
    return found


def accumulates(s: Statement) -> bool:
    return isinstance(s, Assign) and s.op is not Op.SET and s.target.tensor.kind is Kind.VALUE


def box(load: Load) -> Box:
    """The first and the last position that a load may touch, on each axis."""
    return tuple(
        affine_bounds(s) if isinstance(s, Affine) else load.tensor.bounds(axis)
        for axis, s in enumerate(load.subscripts)
    )


def overlap(a: Box, b: Box) -> bool:
    return all(
        low <= last and first <= high for (low, high), (first, last) in zip(a, b, strict=True)
    )


# What cannot be kept ------------------------------------------------------------------------------


def refuse_lost_values(forward: Iterable[Statement], backward: Iterable[Statement]) -> None:
    """ProgramError if the backward program reads what a scan of the forward one overwrote."""
    needed = set(read_tensors(backward))
    for scan in (s for s in forward if isinstance(s, Scan)):
        _refuse_lost_in(scan, needed, ())


def _refuse_lost_in(scan: Scan, needed: set[Tensor], outside: tuple[Index, ...]) -> None:
    scans = (*outside, scan.index)
    read = set(read_tensors(scan.body))
    for s in scan.body:
        if isinstance(s, Scan):
            _refuse_lost_in(s, needed, scans)
            continue
        tensor = s.target.tensor
        missing = [i for i in scans if i not in target_indices(s)]
        if tensor in needed and tensor in read and missing:
            raise ProgramError(
                f"{tensor.name} changes at each step of the scan over {missing[0].name}, and its "
                f"derivative needs the earlier values: put {missing[0].name} among its subscripts"
            )
