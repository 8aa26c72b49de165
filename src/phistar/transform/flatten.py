"""Writes logsumexp, softmax and log_softmax as elementary statements, and inlines own functions.

    P[b, y] = softmax[y](s[b, y])    ->    P.max[b] max= max[y](s[b, y])
                                           P.shift[b] = where(abs(P.max[b]) < inf, P.max[b], 0)
                                           P.exp[b, y] = exp(s[b, y] - P.shift[b])
                                           P.sum[b] += Σ_y P.exp[b, y]
                                           P[b, y] = P.exp[b, y] / P.sum[b]

The shift keeps exp from overflowing; it is 0 where the largest value is infinite, so that rows of
-inf stay free of inf - inf. No reduction node is left.
"""

import math
from dataclasses import dataclass, replace

from phistar.ir.build import apply, const, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive, Reduction
from phistar.ir.program import Assign, Expr, Index, Load, Program, Reduce, Scan, Statement, Tensor
from phistar.ir.walk import target_indices
from phistar.transform.inline import inline
from phistar.transform.names import Names, names_of


def flatten(program: Program) -> Program:
    """The lifted program without reduction nodes and own functions."""
    program = inline(program)
    return replace(program, statements=flattened(program.statements, (), names_of(program)))


def flattened(
    statements: tuple[Statement, ...], scans: tuple[Index, ...], names: Names
) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            out.append(replace(s, body=flattened(s.body, (*scans, s.index), names)))
        elif isinstance(s.value, Reduce):
            out.extend(Stable(s, s.value, scans, names).statements())
        else:
            out.append(s)
    return tuple(out)


@dataclass(frozen=True)
class Stable:
    """The stable form of target = reduction[indices : condition](body), and its temporaries."""

    assign: Assign
    reduce: Reduce
    scans: tuple[Index, ...]
    names: Names

    def statements(self) -> list[Assign]:
        e = self.reduce
        largest = self.temporary("max", self.rows)
        shift = self.temporary("shift", self.rows)
        finite = apply(Primitive.ABS, largest) < math.inf
        exponential = apply(Primitive.EXP, e.body - shift)
        before = [
            self.reducing(largest, Op.MAX, e.body),
            self.define(shift, apply(Primitive.WHERE, finite, largest, 0)),
        ]
        match e.reduction:
            case Reduction.SOFTMAX:
                return [*before, *self.softmax(exponential)]
            case Reduction.LOG_SOFTMAX:
                return [*before, *self.log_softmax(exponential, shift)]
        total = self.temporary("sum", self.rows)
        value = apply(Primitive.LOG, total) + shift
        return [*before, self.reducing(total, Op.ADD, exponential), self.result(value)]

    def softmax(self, exponential: Expr) -> list[Assign]:
        each = self.temporary("exp", self.elements)
        total = self.temporary("sum", self.rows)
        condition = self.reduce.condition
        return [
            replace(self.define(each, exponential), condition=condition),
            self.reducing(total, Op.ADD, each),
            replace(self.result(each / total), condition=condition),
        ]

    def log_softmax(self, exponential: Expr, shift: Expr) -> list[Assign]:
        total = self.temporary("sum", self.rows)
        value: Expr = self.reduce.body - shift - apply(Primitive.LOG, total)
        if self.reduce.condition is not None:
            value = apply(Primitive.WHERE, self.reduce.condition, value, const(-math.inf))
        return [self.reducing(total, Op.ADD, exponential), self.result(value)]

    @property
    def elements(self) -> tuple[Index, ...]:
        """The indices of the target, after those of the scans around it."""
        left = target_indices(self.assign)
        return (*(i for i in self.scans if i not in left), *left)

    @property
    def rows(self) -> tuple[Index, ...]:
        """The indices that are not reduced."""
        return tuple(i for i in self.elements if i not in self.reduce.indices)

    def temporary(self, suffix: str, indices: tuple[Index, ...]) -> Load:
        name = self.names.fresh(f"{self.assign.target.tensor.name}.{suffix}")
        dtype = self.reduce.dtype
        assert isinstance(dtype, DType)
        return whole(Tensor(name, tuple(i.size for i in indices), dtype), indices)

    def define(self, target: Load, value: Expr) -> Assign:
        return Assign(target, Op.SET, value, (), None, self.assign.origin)

    def reducing(self, target: Load, op: Op, value: Expr) -> Assign:
        over, condition = self.reduce.indices, self.reduce.condition
        return Assign(target, op, value, over, condition, self.assign.origin)

    def result(self, value: Expr) -> Assign:
        return replace(self.assign, value=value)
