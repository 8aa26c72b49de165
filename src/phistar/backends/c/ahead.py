"""Which rows of a data set a step gathers: those of the next step can come nearer meanwhile.

x[b, ...] = data[rows[b], ...]        data, rows come in; the threads share b

Likewise, which rows of tensors the next turn of a loop takes.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass

from phistar.backends.c.memory import bytes_of
from phistar.backends.c.tree import Group, Leaf, Loop, Part, accesses, leaves
from phistar.ir.dtypes import DType
from phistar.ir.program import Load, Tensor
from phistar.ir.walk import loads

LEAST = 256  # bytes of a row that are worth it
MOST = 2**18  # bytes of one thread's rows that its cache keeps until they are read
THREADS = 2  # that share them at least
TURNS = 4  # loops inside a loop whose rows are brought nearer, at least
NARROW, WIDE = 1024, 16384  # bytes of such a row
ROOM = 32768  # of all of them


@dataclass(frozen=True)
class Gathered:
    """The rows that a group gathers: each thread those of its range."""

    group: Group
    data: Tensor
    rows: Tensor

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return bytes_of(self.data) // max(self.data.storage[0], 1)


def gathered(parts: Iterable[Part], given: Collection[Tensor]) -> Gathered | None:
    """The gather of the largest rows that come in; None if there is none worth it."""
    found = [
        made
        for part in parts
        if isinstance(part, Group) and part.var is not None
        for leaf in leaves(part.nodes)
        for read in loads(leaf.assign.value)
        if (made := gather(part, leaf, read, given)) is not None
    ]
    return max(found, key=lambda g: g.size, default=None)


def gather(group: Group, leaf: Leaf, read: Load, given: Collection[Tensor]) -> Gathered | None:
    """data[rows[i], ...] where the threads share i."""
    rows = read.subscripts[0] if read.subscripts else None
    if read.tensor not in given or not isinstance(rows, Load) or rows.tensor not in given:
        return None
    if len(rows.subscripts) != 1 or rows.tensor.dtype is not DType.I64:
        return None
    index = getattr(rows.subscripts[0], "bare", None)
    made = Gathered(group, read.tensor, rows.tensor)
    own = made.size * rows.tensor.storage[0] / THREADS
    if index is None or leaf.bind[index] is not group.var or made.size < LEAST or own > MOST:
        return None
    return made


# Rows ---------------------------------------------------------------------------------------------


def rows(loop: Loop, local: Container[Tensor]) -> dict[Tensor, bool]:
    """The tensors of which each turn of a loop with many loops inside takes a row of its own, and
    whether it begins by writing it. The processor looks ahead inside a page, not from row to row.
    """
    inner = [node for node in loop.body if isinstance(node, Loop)]
    if len(inner) < TURNS or any(not isinstance(node, Loop | Leaf) for node in loop.body):
        return {}
    found: dict[Tensor, bool] = {}
    for leaf in leaves(inner):
        for access in accesses(leaf):
            t = access.tensor
            size = bytes_of(t) // max(t.storage[0], 1) if t.storage else 0
            if t not in local and NARROW <= size <= WIDE and access.axes(loop.var) == {0}:
                found.setdefault(t, access.write)
    return found if sum(bytes_of(t) // t.storage[0] for t in found) <= ROOM else {}
