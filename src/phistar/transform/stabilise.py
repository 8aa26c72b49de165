"""Writes log P, where P is a softmax, without the detour through numbers that may round to 0.

P[b, y] = softmax[y](s[b, y])        P[b, y] = softmax[y](s[b, y])
L = log(P[b, label[b]])         ->   P.lse[b] = logsumexp[y](s[b, y])
                                     L = s[b, label[b]] - P.lse[b]
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from phistar.ir.build import apply, const, reduce, settled, whole
from phistar.ir.primitives import Op, Primitive, Reduction
from phistar.ir.program import (
    Apply,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Pad,
    Program,
    Reduce,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import (
    expressions,
    flat,
    map_assign,
    map_statements,
    nodes,
    rewrite,
    substitute,
    target_indices,
)
from phistar.transform.guards import risky
from phistar.transform.lift import is_bare
from phistar.transform.names import Names, covers, names_of, targets

NOTE = "log of {}, a softmax: stable form"


def stabilise(program: Program) -> Program:
    """The program with `log(softmax)` as a difference, wherever the softmax is defined."""
    program = replace(program, statements=_with_log_softmax(program.statements))
    logged = set(logged_tensors(program))
    if not logged:
        return program
    writers = Counter(targets(program.statements))
    stabiliser = Stabiliser(names_of(program), {t for t in logged if writers[t] == 1})
    return replace(program, statements=stabiliser.statements(program.statements, ()))


def _with_log_softmax(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return map_statements(statements, lambda a: [map_assign(a, lambda e: rewrite(e, _log_softmax))])


def _log_softmax(e: Expr) -> Expr:
    """log(softmax[y](x)), written as one expression, is log_softmax[y](x)."""
    match e:
        case Apply(Primitive.LOG, (Reduce(Reduction.SOFTMAX) as inner,)):
            return replace(inner, reduction=Reduction.LOG_SOFTMAX)
    return e


def logged_tensors(program: Program) -> Iterator[Tensor]:
    """The tensors whose logarithm is taken."""
    for a in flat(program.statements):
        for e in expressions(a):
            for node in nodes(e):
                if (load := logged(node)) is not None:
                    yield load.tensor


def logged(e: Expr) -> Load | None:
    """The load that e is the logarithm of, unless it may read padding."""
    match e:
        case Apply(Primitive.LOG, (Load() as load,)):
            return None if any(isinstance(s, Pad) for s in load.subscripts) else load
    return None


@dataclass(frozen=True)
class Softmax:
    """P[target] = softmax[indices : condition](score), and its logsumexp."""

    target: tuple[Index, ...]
    score: Expr
    condition: Expr | None
    lse: Load

    def log(self, load: Load) -> Expr:
        """The logarithm of P[load's subscripts]."""
        at: dict[Index, Subscript] = dict(zip(self.target, load.subscripts, strict=True))
        value: Expr = substitute(self.score, at) - substitute(self.lse, at)
        if self.condition is None:
            return value
        return apply(Primitive.WHERE, substitute(self.condition, at), value, const(-math.inf))


class Stabiliser:
    """The softmaxes met so far, whose logarithms are wanted."""

    def __init__(self, names: Names, wanted: set[Tensor]) -> None:
        self.names = names
        self.wanted = wanted
        self.softmaxes: dict[Tensor, Softmax] = {}

    def statements(
        self, statements: tuple[Statement, ...], scans: tuple[Index, ...]
    ) -> tuple[Statement, ...]:
        out: list[Statement] = []
        for s in statements:
            if isinstance(s, Scan):
                out.append(replace(s, body=self.statements(s.body, (*scans, s.index))))
            else:
                out.extend(self.assign(s, scans))
        return tuple(out)

    def assign(self, a: Assign, scans: tuple[Index, ...]) -> list[Assign]:
        stable = map_assign(a, lambda e: rewrite(e, self.stable))
        if stable != a:
            names = ", ".join(dict.fromkeys(self.softmax_names(a)))
            stable = replace(stable, note=NOTE.format(names))
        match stable.value:
            case Reduce(Reduction.SOFTMAX) as e if self.may_be_logged(stable, scans):
                return self.with_logsumexp(stable, e)
        return [stable]

    def may_be_logged(self, a: Assign, scans: tuple[Index, ...]) -> bool:
        tensor = a.target.tensor
        plain = a.op is Op.SET and a.condition is None and covers(a.target)
        once = tensor.kind is Kind.VALUE and tensor in self.wanted
        return plain and once and set(scans) <= set(target_indices(a))

    def with_logsumexp(self, a: Assign, e: Reduce) -> list[Assign]:
        """P = softmax[y](s), after P.pre = s if s is more than a load, before P.lse."""
        before: list[Assign] = []
        loops = target_indices(a)
        if not is_bare(e.body):
            guard = e.condition if e.condition is not None and risky(e.body) else None
            score = self.temporary(a, "pre", loops)
            before = [Assign(score, Op.SET, settled(e.body), (), guard, a.origin)]
            e = replace(e, body=score)
        rows = tuple(i for i in loops if i not in e.indices)
        lse = self.temporary(a, "lse", rows)
        value = reduce(Reduction.LOGSUMEXP, e.indices, e.body, e.condition)
        self.softmaxes[a.target.tensor] = Softmax(loops, e.body, e.condition, lse)
        return [*before, replace(a, value=e), Assign(lse, Op.SET, value, (), None, a.origin)]

    def temporary(self, a: Assign, suffix: str, indices: tuple[Index, ...]) -> Load:
        name = self.names.fresh(f"{a.target.tensor.name}.{suffix}")
        dtype = a.target.tensor.dtype
        return whole(Tensor(name, tuple(i.size for i in indices), dtype), indices)

    def stable(self, e: Expr) -> Expr:
        load = logged(e)
        if load is None or load.tensor not in self.softmaxes:
            return e
        return self.softmaxes[load.tensor].log(load)

    def softmax_names(self, a: Assign) -> Iterator[str]:
        for e in expressions(a):
            for node in nodes(e):
                load = logged(node)
                if load is not None and load.tensor in self.softmaxes:
                    yield load.tensor.name
