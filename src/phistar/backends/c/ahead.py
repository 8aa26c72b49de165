"""Which rows of a data set a step gathers: those of the next step can come nearer meanwhile.

x[b, ...] = data[rows[b], ...]        data, rows come in; the threads share b
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from phistar.backends.c.memory import bytes_of
from phistar.backends.c.tree import Group, Leaf, Part, leaves
from phistar.ir.dtypes import DType
from phistar.ir.program import Load, Tensor
from phistar.ir.walk import loads

LEAST = 256  # bytes of a row that are worth it
MOST = 2**18  # bytes of one thread's rows that its cache keeps until they are read
THREADS = 2  # that share them at least


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
