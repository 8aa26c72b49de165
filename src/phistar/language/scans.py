"""Recurrences: `with ph.scan(t):` runs its statements in order for t = 0, 1, ...

Reads at t - 1 are of earlier results; initial values are equations before the scan, on first - 1.
The ranges of all statements inside are found together when the block ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from phistar.errors import DefinitionError, IndexRangeError, UsageError
from phistar.ir.program import Index as IRIndex
from phistar.ir.program import Origin, Scan, Statement
from phistar.language import scope
from phistar.language.equations import Access, Equation, Unit, publish
from phistar.language.expression import Index
from phistar.language.notation import written_at
from phistar.language.pieces import linear_of
from phistar.language.solving import Group, settle
from phistar.language.subscripts import Edge

if TYPE_CHECKING:
    from phistar.language.lowering import Records
    from phistar.language.tensors import Definition


class ScanBlock(Unit):
    """The statements of one scan, scans inside it included."""

    def __init__(
        self, index: Index, backwards: bool, origin: Origin, outer: ScanBlock | None
    ) -> None:
        self.number = scope.next_number()
        self.index = Index(index.name, index.declared)
        self.backwards = backwards
        self.origin = origin
        self.outer = outer
        self.items: list[Equation | ScanBlock] = []
        self.size = 0

    def add(self, equation: Equation) -> None:
        """Take in one statement: its `=` must have the scan's index on the left."""
        equation.blocks = tuple(reversed(list(self.enclosing())))
        self.check_target(equation)
        self.items.append(equation)

    def enclosing(self) -> Iterator[ScanBlock]:
        block: ScanBlock | None = self
        while block is not None:
            yield block
            block = block.outer

    def check_target(self, equation: Equation) -> None:
        name = equation.target.target.shown_name
        if equation.is_update:
            equation.fail(
                DefinitionError,
                f"{name} is a {equation.target.target.kind.value} and cannot change inside a scan",
                "compute a tensor inside the scan and update after it",
            )
        for block in equation.blocks:
            alone = [s for s in equation.target.subscripts if s is block.index]
            if len(alone) != 1 and equation.op == "=":
                equation.fail(
                    DefinitionError,
                    f"{name} is defined inside the scan over {block.index.name} "
                    f"without {block.index.name} on the left",
                    f"each step needs its own element: {name}[..., {block.index.name}, ...] = ...",
                )

    def equations(self) -> Iterator[Equation]:
        """Every equation inside, in order."""
        for item in self.items:
            if isinstance(item, ScanBlock):
                yield from item.equations()
            else:
                yield item

    def blocks(self) -> Iterator[ScanBlock]:
        yield self
        for item in self.items:
            if isinstance(item, ScanBlock):
                yield from item.blocks()

    def declare(self, group: Group) -> None:
        for block in self.blocks():
            if block.index.declared is not None:
                n = block.index.declared
                group.set(block.index, n, f"{block.index.name} was declared with size {n}")

    def finish(self) -> None:
        """Find ranges and types of everything inside; then check the order of reads."""
        equations = list(self.equations())
        if not equations:
            raise UsageError(f"the scan over {self.index.name} is empty")
        settle(equations, self)
        publish(self)

    def check_orders(self, group: Group) -> None:
        """Every read is of an earlier step or an earlier line."""
        for block in self.blocks():
            block.size = group.sizes.get(block.index, 0)
        equations = list(self.equations())
        for number, equation in enumerate(equations):
            for access in equation.accesses:
                if not access.is_target:
                    check_order(access, equation, number, equations)

    # As a unit of a program -----------------------------------------------------------------------

    def writes(self) -> Iterator[Definition]:
        seen: set[int] = set()
        for equation in self.equations():
            if id(equation.definition) not in seen:
                seen.add(id(equation.definition))
                yield equation.definition

    def reads(self) -> Iterator[Definition]:
        for equation in self.equations():
            yield from equation.reads()

    def lower(self, records: Records) -> tuple[Statement, ...]:
        body = tuple(s for item in self.items for s in item.lower(records))
        return (Scan(IRIndex(self.index.name, self.size), body, self.backwards, self.origin),)


def check_order(access: Access, equation: Equation, number: int, equations: list[Equation]) -> None:
    """A read of something the scan computes must be of an earlier step, or of an earlier line."""
    writers = [(n, e) for n, e in enumerate(equations) if e.definition is access.definition]
    if not writers:
        return
    writer_number, writer = writers[0]
    for block in equation.blocks:
        if block not in writer.blocks:
            break
        axis = next(n for n, s in enumerate(writer.target.subscripts) if s is block.index)
        if axis != access.axis:
            step = step_of(access.element.subscripts[axis], block, equation)
        else:
            step = step_of(access.subscript, block, equation)
        if step is None or step > 0:
            refuse_future(access, equation, block)
        elif step < 0:
            return
    if writer_number >= number:
        equation.fail(
            DefinitionError,
            f"{access.element} is read before it is computed in the same step",
            f"its equation comes later: {writer.text}",
            (access.element,),
        )


def step_of(subscript: object, block: ScanBlock, equation: Equation) -> int | None:
    """How many steps after the running one a subscript reads; None if that is not fixed."""
    if isinstance(subscript, Edge) and not subscript.offset.free:
        offset = linear_of(subscript, equation.sizes, block.size)
        assert offset is not None
        outside = offset.offset < 0 or offset.offset >= block.size
        return -1 if outside else None
    try:
        linear = linear_of(subscript, equation.sizes, block.size)
    except TypeError:
        return None
    if linear is None or linear.terms != {block.index: 1}:
        return None
    return -linear.offset if block.backwards else linear.offset


def refuse_future(access: Access, equation: Equation, block: ScanBlock) -> None:
    name, t = access.definition.owner.shown_name, block.index.name
    earlier = f"{t} + 1" if block.backwards else f"{t} - 1"
    equation.fail(
        IndexRangeError,
        f"{access.element} reads what the scan over {t} has not computed yet",
        f"inside the scan {name} may be read at {t} (after its own equation) and at {earlier}",
        (access.element,),
    )


class ScanContext:
    """What `ph.scan(t)` returns: the `with` block."""

    def __init__(self, index: Index, backwards: bool, origin: Origin) -> None:
        self.index = index
        self.backwards = backwards
        self.origin = origin
        self.block: ScanBlock | None = None

    def __enter__(self) -> None:
        outer = scope.current_scan()
        self.block = ScanBlock(self.index, self.backwards, self.origin, outer)
        if outer is not None:
            if any(b.index.name == self.index.name for b in outer.enclosing()):
                raise UsageError(f"a scan over {self.index.name} is already running")
            outer.items.append(self.block)
        self.manager = scope.scanning(self.block)
        self.manager.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.manager.__exit__(kind, error, trace)
        assert self.block is not None
        if kind is None and self.block.outer is None:
            self.block.finish()


def scan(index: Index, *, backwards: bool = False, steps: int | None = None) -> ScanContext:
    """A recurrence over an index: `with ph.scan(t): h[b, t, j] = ... h[b, t - 1, k] ...`.

    backwards: t runs from the last step to the first and reads t + 1. steps: how many, where no
    tensor that is read tells.
    """
    if not isinstance(index, Index):
        raise UsageError(
            f'ph.scan wants an index: t = ph.index("t"); with ph.scan(t): (got {index!r})'
        )
    if steps is not None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise UsageError(f"steps= counts the steps of a scan, it cannot be {steps!r}")
        if index.declared is not None and index.declared != steps:
            raise IndexRangeError(
                f"index {index.name} was declared with size {index.declared}, "
                f"but the scan has steps={steps}"
            )
        index = Index(index.name, steps)
    return ScanContext(index, backwards, written_at())
