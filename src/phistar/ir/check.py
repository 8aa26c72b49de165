"""The rules every program keeps; run after each pass in tests, and always under PHISTAR_CHECK=1.

A program that passes has one record for each name, types that agree, subscripts proved inside their
axes, reads only of what is defined by then, and assignments in canonical form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NoReturn

from phistar.errors import DTypeError, IndexRangeError, PhistarError, ProgramError
from phistar.ir.affine import at_least, at_most, facts
from phistar.ir.build import ARG_REDUCTIONS, apply
from phistar.ir.dtypes import DType
from phistar.ir.primitives import REDUCTION_OF, Op
from phistar.ir.printer import print_load, print_statement
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Own,
    Pad,
    Program,
    Random,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import (
    affine_bounds,
    affine_indices,
    children,
    free_indices,
    nodes,
    target_indices,
)

NAME = re.compile(r"[^\W\d]\w*(\.\w+)*'*")
Facts = tuple[Affine, ...]


def check(program: Program, flat: bool = False) -> None:
    """Raise ProgramError or IndexRangeError, with the statement, if the program breaks a rule.

    flat: no reduction nodes and no own functions may be left.
    """
    checker = Checker(program, flat)
    checker.statements(program.statements, ())
    for tensor in program.outputs:
        if tensor not in checker.defined:
            raise ProgramError(f"the output {tensor.name} is never defined")


class Checker:
    """What is known while the statements are walked in order."""

    def __init__(self, program: Program, flat: bool) -> None:
        self.flat = flat
        self.records: dict[str, Tensor] = {}
        self.defined: set[Tensor] = set()
        self.statement: Statement | None = None
        for tensor in program.inputs:
            if tensor.kind is Kind.VALUE:
                raise ProgramError(f"{tensor.name} is a value, so it cannot be an input")
            self.record(tensor)
            self.defined.add(tensor)

    def fail(self, message: str, error: type[PhistarError] = ProgramError) -> NoReturn:
        text = "" if self.statement is None else f"\n  {print_statement(self.statement)}"
        raise error(message + text)

    def record(self, tensor: Tensor) -> None:
        if self.records.setdefault(tensor.name, tensor) is tensor:
            if not NAME.fullmatch(tensor.name):
                self.fail(f"{tensor.name!r} is not a name")
            if tensor.halo and len(tensor.halo) != len(tensor.shape):
                self.fail(
                    f"{tensor.name} has {len(tensor.shape)} axes and a halo for {len(tensor.halo)}"
                )
        elif self.records[tensor.name] != tensor:
            self.fail(f"two tensors are named {tensor.name}")

    # Statements -----------------------------------------------------------------------------------

    def statements(self, statements: Iterable[Statement], scans: tuple[Index, ...]) -> None:
        for s in statements:
            self.statement = s
            if isinstance(s, Scan):
                if any(s.index.name == outer.name for outer in scans):
                    self.fail(f"a scan over {s.index.name} runs inside another")
                self.defined |= carried(s)  # earlier steps may be read before their line
                self.statements(s.body, (*scans, s.index))
            else:
                self.assign(s, scans)

    def assign(self, a: Assign, scans: tuple[Index, ...]) -> None:
        self.shape_of(a)
        left = target_indices(a)
        scope = tuple(dict.fromkeys((*scans, *left, *a.over)))
        self.one_size(a, scans)
        if set(a.over) & (set(left) | set(scans)):
            self.fail("an index is reduced, but stands on the left or is run by a scan")
        known = facts(a.condition)
        for e in (a.value, *([] if a.condition is None else [a.condition])):
            self.expr(e, scope, known if e is a.value else ())
        self.load(a.target, scope, known, store=True)
        if a.condition is not None and a.condition.dtype is not DType.BOOL:
            self.fail("a condition is a truth value")
        self.types(a)
        self.defined.add(a.target.tensor)

    def shape_of(self, a: Assign) -> None:
        """The op, its reduced indices and the target's kind fit together."""
        if a.target.tensor.kind is Kind.INPUT:
            self.fail(f"{a.target.tensor.name} is an input and cannot be assigned")
        if a.op is Op.SET and a.over:
            self.fail("= reduces nothing")
        if len(set(a.over)) < len(a.over):
            self.fail("an index is reduced twice")
        own = REDUCTION_OF.get(a.op)
        if (
            isinstance(a.value, Reduce)
            and a.value.reduction is own
            and not a.over
            and not a.condition
        ):
            self.fail(f"{a.op.value} reduces by itself: the indices belong to the assignment")

    def one_size(self, a: Assign, scans: tuple[Index, ...]) -> None:
        """Within a statement a name is one index, and no tensor without axes has it."""
        sizes: dict[str, Index] = {}
        scalars: set[str] = set()
        for index in mentioned(a):
            if sizes.setdefault(index.name, index) != index:
                self.fail(f"index {index.name} has two sizes", IndexRangeError)
        for scan in scans:
            if sizes.get(scan.name, scan) != scan:
                self.fail(f"index {scan.name} has two sizes", IndexRangeError)
        for node in (*nodes(a.target), *nodes(a.value)):
            if isinstance(node, Load) and not node.tensor.shape:
                scalars.add(node.tensor.name)
        if clash := scalars & set(sizes):
            self.fail(f"{min(clash)} names both an index and a tensor without axes")

    def types(self, a: Assign) -> None:
        wanted = a.target.tensor.dtype
        if a.op in (Op.ARGMAX, Op.ARGMIN):
            if wanted is not DType.I64:
                self.fail(f"{a.op.value} gives positions: {a.target.tensor.name} must be i64")
        elif a.value.dtype is not wanted:
            self.fail(f"{a.target.tensor.name} is {wanted.value}, its value {a.value.dtype!r}")

    # Expressions ----------------------------------------------------------------------------------

    def expr(self, e: Expr, scope: tuple[Index, ...], known: Facts) -> None:
        """Check e; `scope` are the indices that run here, `known` what is >= 0 here."""
        for index in free_indices(e):
            if index not in scope:
                self.fail(f"index {index.name} is bound by nothing")
        self.node(e, scope, known)

    def node(self, e: Expr, scope: tuple[Index, ...], known: Facts) -> None:
        if not isinstance(e.dtype, DType):
            self.fail("a number has no type yet")
        match e:
            case Load():
                self.load(e, scope, known, store=False)
                return
            case Reduce():
                self.reduction(e, scope, known)
                return
            case Apply():
                self.application(e)
            case Argument():
                self.fail(f"{e.name} is a parameter outside of its function")
            case Random() if any(i not in scope for i in e.indices):
                self.fail("a random field has an index that is bound by nothing")
        for child in children(e):
            self.node(child, scope, known)

    def application(self, e: Apply) -> None:
        if isinstance(e.function, Own):
            if self.flat:
                self.fail(f"{e.function.spelling} is still a function of its own")
            return
        try:
            same = apply(e.function, *e.args)
        except DTypeError as error:
            self.fail(str(error), DTypeError)
        if same.dtype is not e.dtype or any(
            x.dtype is not y.dtype for x, y in zip(same.args, e.args, strict=True)
        ):
            self.fail(
                f"{e.function.spelling} has type {e.dtype!r}, its arguments make it {same.dtype!r}"
            )

    def reduction(self, e: Reduce, scope: tuple[Index, ...], known: Facts) -> None:
        if self.flat:
            self.fail(f"a reduction is left: {e.reduction.spelling}")
        if not e.reduction.keeps_indices:
            names = {i.name for i in scope}
            if clash := names & {i.name for i in e.indices}:
                self.fail(f"index {min(clash)} is bound twice")
        if e.reduction in ARG_REDUCTIONS and e.dtype is not DType.I64:
            self.fail(f"{e.reduction.spelling} gives a position: i64")
        inner = tuple(dict.fromkeys((*scope, *e.indices)))
        if e.condition is not None:
            self.node(e.condition, inner, known)
        self.node(e.body, inner, (*known, *facts(e.condition)))

    # Loads and stores -----------------------------------------------------------------------------

    def load(self, e: Load, scope: tuple[Index, ...], known: Facts, store: bool) -> None:
        self.record(e.tensor)
        if not store and e.tensor not in self.defined:
            self.fail(f"{e.tensor.name} is read before it is defined")
        if len(e.subscripts) != len(e.tensor.shape):
            self.fail(
                f"{e.tensor.name} has {len(e.tensor.shape)} axes, "
                f"but {len(e.subscripts)} subscripts"
            )
        for axis, s in enumerate(e.subscripts):
            first, last = e.tensor.bounds(axis)
            match s:
                case Affine():
                    self.position(e, axis, s, first, last, known)
                case Pad():
                    end = e.tensor.shape[axis] + s.low + s.high - 1
                    self.position(e, axis, s.position, 0, end, known)
                case Expr():
                    if not (isinstance(s.dtype, DType) and s.dtype.is_integer):
                        self.fail(
                            f"a subscript of {e.tensor.name} is {s.dtype!r}, not a whole number"
                        )
                    self.node(s, scope, known)

    def position(self, e: Load, axis: int, s: Affine, first: int, last: int, known: Facts) -> None:
        """Prove an affine subscript inside its axis."""
        if any(i.size == 0 for i in affine_indices(s)):
            return
        if not (at_least(s, first, known) and at_most(s, last, known)):
            low, high = affine_bounds(s)
            self.fail(
                f"{print_load(e)} takes positions {low}..{high} of axis {axis}, "
                f"which runs from {first} to {last}",
                IndexRangeError,
            )


def carried(s: Scan) -> set[Tensor]:
    """What a scan's body assigns: its steps may read one another's values."""
    found: set[Tensor] = set()
    for inner in s.body:
        found |= carried(inner) if isinstance(inner, Scan) else {inner.target.tensor}
    return found


def mentioned(a: Assign) -> Iterator[Index]:
    """Every index an assignment mentions, bound ones included."""
    yield from target_indices(a)
    yield from a.over
    for e in (a.value, *([] if a.condition is None else [a.condition])):
        for node in nodes(e):
            if isinstance(node, Reduce):
                yield from node.indices
        yield from free_indices(e)
