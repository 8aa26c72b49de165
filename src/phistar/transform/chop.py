"""Names the inner parts of equations that are too deep for passes that walk them by recursion.

    y[b] = tanh(tanh(...(x[b])...))    ->    y.part[b] = tanh(...(x[b])...)
                                             y[b] = tanh(tanh(...(y.part[b])...))

This pass itself does not recurse, so the depth of an equation has no bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from phistar.ir.build import settled, whole
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import (
    Apply,
    Assign,
    Expr,
    Index,
    Load,
    Program,
    Reduce,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import (
    all_indices,
    children,
    expressions,
    free_indices,
    rebuild,
    with_children,
)
from phistar.transform.guards import conjunction, indices_of, risky
from phistar.transform.names import Names, names_of

DEEPEST = 48


def chop(program: Program) -> Program:
    """The program with no expression deeper than DEEPEST."""
    names = names_of(program)
    return replace(program, statements=chopped(program.statements, (), names))


def chopped(
    statements: tuple[Statement, ...], scans: tuple[Index, ...], names: Names
) -> tuple[Statement, ...]:
    out: list[Statement] = []
    for s in statements:
        if isinstance(s, Scan):
            out.append(replace(s, body=chopped(s.body, (*scans, s.index), names)))
        elif any(is_deep(e) for e in expressions(s)):
            out.extend(Chopper(s, scans, names).statements())
        else:
            out.append(s)
    return tuple(out)


def is_deep(e: Expr) -> bool:
    """Whether e is deeper than DEEPEST."""
    stack = [(e, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > DEEPEST:
            return True
        stack.extend((child, depth + 1) for child in children(node))
    return False


@dataclass(frozen=True)
class Context:
    """The loops around an expression, and the conditions under which it is evaluated."""

    loops: tuple[Index, ...]
    guards: tuple[Expr, ...] = ()

    def inside(self, loops: Iterable[Index], guard: Expr | None) -> "Context":
        guards = self.guards if guard is None or guard in self.guards else (*self.guards, guard)
        return Context(tuple(dict.fromkeys((*self.loops, *loops))), guards)


class Chopper:
    """One statement, and the parts of it that have got names."""

    def __init__(self, a: Assign, scans: tuple[Index, ...], names: Names) -> None:
        self.assign = a
        self.scans = scans
        self.names = names
        self.parts: list[Assign] = []

    def statements(self) -> list[Assign]:
        a = self.assign
        context = Context(tuple(dict.fromkeys((*self.scans, *all_indices(a)))))
        condition = None if a.condition is None else self.shallow(a.condition, context)
        target = rebuild(a.target, lambda s: self.shallow(s, context))
        value = self.shallow(a.value, context.inside((), condition))
        assert isinstance(target, Load)
        return [*self.parts, replace(a, target=target, value=value, condition=condition)]

    def shallow(self, e: Expr, context: Context) -> Expr:
        """e with parts named, from the leaves up, so that it is not too deep."""
        done: list[tuple[Expr, int]] = []  # expressions that are shallow already, and their depths
        stack = [(e, context, 0)]
        while stack:
            node, context, ready = stack.pop()
            inside = children(node)
            before = done[len(done) - ready :]
            if ready < len(inside):
                stack.append((node, context, ready + 1))
                around = context_of_child(node, [x for x, _ in before], context)
                stack.append((inside[ready], around, 0))
            else:
                del done[len(done) - ready :]
                done.append(self.joined(node, before, context))
        return done[0][0]

    def joined(
        self, node: Expr, inside: list[tuple[Expr, int]], context: Context
    ) -> tuple[Expr, int]:
        """The node over its shallow children, or a load of it if that is too deep; its depth."""
        node = with_children(node, [x for x, _ in inside]) if inside else node
        depth = 1 + max((d for _, d in inside), default=0)
        if depth < DEEPEST:
            return node, depth
        return self.name(node, context), 1

    def name(self, e: Expr, context: Context) -> Load:
        """A load of a new tensor that holds e."""
        guard = conjunction(context.guards) if risky(e) else None
        needed = {*free_indices(e), *indices_of([guard] if guard else []), *self.scans}
        axes = tuple(i for i in context.loops if i in needed)
        value = settled(e)
        assert isinstance(value.dtype, DType)
        name = self.names.fresh(f"{self.assign.target.tensor.name}.part")
        tensor = Tensor(name, tuple(i.size for i in axes), value.dtype)
        load = whole(tensor, axes)
        self.parts.append(Assign(load, Op.SET, value, (), guard, self.assign.origin))
        return load


def context_of_child(node: Expr, before: list[Expr], context: Context) -> Context:
    """Where the next child of a node stands, after those before it."""
    match node, before:
        case Apply(Primitive.WHERE), [test]:
            return context.inside((), test)
        case Apply(Primitive.WHERE), [test, _]:
            return context.inside((), ~test)
        case Reduce(condition=Expr() as condition), [] if not is_deep(condition):
            return context.inside(node.indices, condition)
        case Reduce(), _:
            return context.inside(node.indices, None)
    return context
