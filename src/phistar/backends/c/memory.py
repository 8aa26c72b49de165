"""Where in the arena each tensor is that comes neither in nor out: some share a place, in turn.

A tensor lives from the first group that touches it to the last. Two whose lives do not meet may
have one place,

    if a barrier stands between them, or
    if in the group in which one ends and the other begins each thread touches its own part only,
    and the parts of both lie at the same places: as many bytes for each value of the variable by
    which the group is shared
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from phistar.backends.c.tree import Access, Group, Part, accesses, every_leaf, leaves
from phistar.ir.program import Tensor

ALIGNMENT = 64  # bytes
SPARE = 2  # times as large a place may be as what is put there


@dataclass
class Life:
    """The places in the program where a tensor is touched, and how."""

    tensor: Tensor
    first: int
    last: int = 0
    parts: dict[int, int | None] = field(default_factory=dict)
    """For each part: bytes for a value of its variable; None if threads touch each other's."""

    @property
    def first_part(self) -> int:
        return next(iter(self.parts))

    @property
    def last_part(self) -> int:
        return next(reversed(self.parts))


@dataclass
class Place:
    """A stretch of the arena, and who had it last."""

    offset: int
    size: int
    owner: Life

    def free_for(self, life: Life) -> bool:
        """The new tensor fits, and nobody looks for the old one any more."""
        if self.owner.last >= life.first or not bytes_of(life.tensor) <= self.size:
            return False
        if self.size > SPARE * max(bytes_of(life.tensor), ALIGNMENT):
            return False
        part = life.first_part
        if self.owner.last_part < part:
            return True
        own, new = self.owner.parts[part], life.parts[part]
        return own is not None and own == new


@dataclass
class Plan:
    """The offset of each tensor, how many bytes there are in all, and who shares within a part."""

    offsets: dict[Tensor, int] = field(default_factory=dict)
    size: int = 0
    together: dict[Tensor, set[int]] = field(default_factory=dict)  # with another, in which parts


def plan(parts: Iterable[Part], elsewhere: Container[Tensor]) -> Plan:
    """The places of all tensors of a program but those that are elsewhere."""
    made, places = Plan(), list[Place]()
    for life in lives(parts, elsewhere):
        free = [place for place in places if place.free_for(life)]
        if free:
            place = max(free, key=lambda p: (p.owner.last, -p.size))  # what was used last is near
            if place.owner.last_part == life.first_part:
                for t in (place.owner.tensor, life.tensor):
                    made.together.setdefault(t, set()).add(life.first_part)
            place.owner = life
        else:
            size = -(-bytes_of(life.tensor) // ALIGNMENT) * ALIGNMENT
            place = Place(made.size, size, life)
            places.append(place)
            made.size += size
        made.offsets[life.tensor] = place.offset
    return made


def lives(parts: Iterable[Part], elsewhere: Container[Tensor]) -> list[Life]:
    """In the order in which they begin."""
    found: dict[Tensor, Life] = {}
    for number, part, access, own in touches(parts):
        t = access.tensor
        if t in elsewhere:
            continue
        life = found.setdefault(t, Life(t, number))
        life.last = number
        unit = own if life.parts.get(part, own) == own else None
        life.parts[part] = unit
    return list(found.values())


def touches(parts: Iterable[Part]) -> Iterator[tuple[int, int, Access, int | None]]:
    """Every access: when, in which part, and the bytes of each thread's own unit, if it has one."""
    number = 0
    for n, part in enumerate(parts):
        if isinstance(part, Group):
            for node in part.nodes:
                number += 1
                for leaf in leaves([node]):
                    for access in accesses(leaf):
                        yield number, n, access, unit(access, part)
            number += 1
            for leaf in leaves(part.solo):
                yield from ((number, n, access, None) for access in accesses(leaf))
        else:
            number += 1
            for leaf in every_leaf([part]):
                yield from ((number, n, access, None) for access in accesses(leaf))


def unit(access: Access, group: Group) -> int | None:
    """Bytes for each value of the group's variable, if that runs along the outermost axis."""
    t = access.tensor
    if group.var is None or 0 not in access.axes(group.var) or t.storage[0] != group.var.size:
        return None
    return bytes_of(t) // t.storage[0]


def bytes_of(t: Tensor) -> int:
    size = t.dtype.numpy.itemsize if t.dtype.value != "bf16" else 2
    return size * math.prod(t.storage)
