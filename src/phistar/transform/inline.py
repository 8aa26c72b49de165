"""Replaces calls of own functions by their bodies."""

from dataclasses import replace

from phistar.ir.program import Apply, Argument, Expr, Own, Program
from phistar.ir.walk import map_assign, map_statements, nodes, rewrite


def inline(program: Program) -> Program:
    """The program with no own function left in it."""
    statements = map_statements(program.statements, lambda a: [map_assign(a, inlined)])
    return replace(program, statements=statements)


def inlined(e: Expr) -> Expr:
    """e with own functions replaced by their bodies, those inside bodies too."""
    if not any(isinstance(node, Apply) and isinstance(node.function, Own) for node in nodes(e)):
        return e
    return rewrite(e, _body)


def _body(e: Expr) -> Expr:
    if isinstance(e, Apply) and isinstance(e.function, Own):
        return with_arguments(inlined(e.function.body), e.function, e.args)
    return e


def with_arguments(e: Expr, own: Own, args: tuple[Expr, ...], result: Expr | None = None) -> Expr:
    """An expression of an own function's scope, at its arguments and its result."""
    values = dict(zip(own.parameters, args, strict=True))
    if result is not None:
        values["result"] = result
    return rewrite(e, lambda x: values[x.name] if isinstance(x, Argument) else x)
