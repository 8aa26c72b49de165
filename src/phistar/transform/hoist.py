"""Takes out of a scan what has no part in its recurrence.

    scan t:                                             f.pre[b, t, j] += Σ_i W[j, i] * x[b, t, i]
        f.pre[b, t, j] += Σ_i W[j, i] * x[b, t, i]      scan t:
        f.pre[b, t, j] += Σ_k U[j, k] * h[b, t - 1, k]      f.pre[b, t, j] += ... h[b, t - 1, k]
        h[b, t, j] = tanh(f.pre[b, t, j])          ->       h[b, t, j] = tanh(f.pre[b, t, j])
        z[b] += Σ_j h[b, t, j]                          z[b] += Σ_{t, j} h[b, t, j]

One large product takes the place of many small ones. A statement may go if no read, its own or
another's, could tell the difference: what is read was complete when it was read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Assign, Index, Kind, Load, Program, Scan, Statement, Tensor
from phistar.ir.walk import flat, reads, target_indices

REDUCING = frozenset({Op.ADD, Op.MUL, Op.MAX, Op.MIN})


def hoist(program: Program) -> Program:
    """The program with the scans as small as they can be."""
    return replace(program, statements=hoisted(program.statements))


def hoisted(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            out.extend(Body(s.index, s.backwards, hoisted(s.body)).split(s))
        else:
            out.append(s)
    return tuple(out)


@dataclass(frozen=True)
class Access:
    """An element that a statement of the body reads or writes; `place` is where it stands."""

    load: Load
    place: int
    op: Op = Op.SET


class Body:
    """The statements of a scan, and who reads and who writes what."""

    def __init__(self, index: Index, backwards: bool, body: tuple[Statement, ...]) -> None:
        self.index = index
        self.backwards = backwards
        self.body = body
        self.writers: dict[Tensor, list[Access]] = {}
        self.readers: dict[Tensor, list[Access]] = {}
        for place, s in enumerate(body):
            for a in flat([s]):
                write = Access(a.target, place, a.op)
                self.writers.setdefault(a.target.tensor, []).append(write)
                for load in reads(a):
                    self.readers.setdefault(load.tensor, []).append(Access(load, place))

    def split(self, scan: Scan) -> Iterator[Statement]:
        """The statements that go before the scan, the scan, those that go after it."""
        after: set[int] = set()
        for place in reversed(range(len(self.body))):
            if self.may_follow(place, after):
                after.add(place)
        before: set[int] = set()
        for place in range(len(self.body)):
            if place not in after and self.may_precede(place, before, after):
                before.add(place)
        yield from (self.outside(place) for place in sorted(before))
        rest = tuple(s for place, s in enumerate(self.body) if place not in before | after)
        if rest:
            yield replace(scan, body=rest)
        yield from (self.outside(place) for place in sorted(after))

    def outside(self, place: int) -> Assign:
        """A statement of the body as a statement over all values of the scan's index."""
        a = self.body[place]
        assert isinstance(a, Assign)
        if self.index in target_indices(a):
            return a
        return replace(a, over=(self.index, *a.over))

    def may_follow(self, place: int, after: set[int]) -> bool:
        """Whether nothing that stays reads what is written, and what it reads is complete."""
        a = self.body[place]
        if not isinstance(a, Assign) or not self.is_loop(a):
            return False
        readers = self.readers.get(a.target.tensor, ())
        return all(r.place in after for r in readers) and self.reads_settled(a, place)

    def may_precede(self, place: int, before: set[int], after: set[int]) -> bool:
        """Whether it reads nothing that stays, and whoever reads it found it complete."""
        a = self.body[place]
        if not isinstance(a, Assign) or not self.is_loop(a):
            return False
        for load in reads(a):
            if any(w.place not in before for w in self.writers.get(load.tensor, ())):
                return False
        write = Access(a.target, place)
        readers = (r for r in self.readers.get(a.target.tensor, ()) if r.place not in after)
        return all(self.settled(r, write) for r in readers) and self.reads_settled(a, place)

    def is_loop(self, a: Assign) -> bool:
        """Whether a says the same outside of the scan, as far as its own op goes."""
        tensor = a.target.tensor
        others = self.writers[tensor]
        alone = len(others) == 1 or (a.op in REDUCING and all(w.op is a.op for w in others))
        carried = self.index in target_indices(a) or a.op in REDUCING
        return tensor.kind is Kind.VALUE and alone and carried

    def reads_settled(self, a: Assign, place: int) -> bool:
        return all(
            self.settled(Access(load, place), write)
            for load in reads(a)
            for write in self.writers.get(load.tensor, ())
        )

    def settled(self, read: Access, write: Access) -> bool:
        """Whether the write never touches the element after it is read."""
        for mine, its in zip(read.load.subscripts, write.load.subscripts, strict=True):
            reading, writing = self.step(mine), self.step(its)
            if reading is None or writing is None:
                continue
            ahead = writing - reading if not self.backwards else reading - writing
            if ahead > 0 or (ahead == 0 and write.place < read.place):
                return True
        return False

    def step(self, s: object) -> int | None:
        """c, of a subscript t + c where t is the scan's index."""
        match s:
            case Affine(((index, 1),), offset) if index == self.index:
                return offset
        return None
