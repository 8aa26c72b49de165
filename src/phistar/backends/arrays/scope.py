"""What the lowering of one statement knows: its indices, its guards, and where tensors are."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from phistar.backends.arrays.checks import Site
from phistar.backends.arrays.labelled import Axes, Node, Slots
from phistar.backends.arrays.namespace import Arrays
from phistar.ir.program import Assign, Expr, Load


@dataclass(frozen=True)
class Scope:
    """Where an expression stands.

    `order` are the statement's indices, `scans` those of the scans around it (scalars), `guards`
    the conditions under which the expression is evaluated at all.
    """

    arrays: Arrays
    slots: Slots
    sites: list[Site]
    lowering: "Callable[[Expr, Scope], Node]"
    statement: Assign
    order: Axes
    scans: Axes = ()
    guards: tuple[Expr, ...] = field(default=())

    def lower(self, e: Expr) -> Node:
        return self.lowering(e, self)

    def under(self, *conditions: Expr) -> "Scope":
        return replace(self, guards=(*self.guards, *conditions))

    def moving(self) -> dict[object, int]:
        return {index: self.slots[index] for index in self.scans}

    def site(self, load: Load, axis: int, axes: Axes) -> Site:
        """A new place where a subscript is checked."""
        moving = tuple((index, self.slots[index]) for index in self.scans)
        number = len(self.sites)
        site = Site(number, self.statement, load, axis, axes, moving, bool(self.guards))
        self.sites.append(site)
        return site
