"""Expressions without free indices, each of which is a tensor without axes.

    u = x ** 2;  r = u + w;  L = ph.sqrt(r)

To run them backward every one becomes a statement; to print them, only those that the user gave a
name or used more than once. Walks are iterative: chains of thousands of statements are usual here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from phistar.errors import ExpressionError
from phistar.ir.program import Kind, Origin
from phistar.language import scope
from phistar.language.equations import closed_equation
from phistar.language.expression import (
    Element,
    Expr,
    Literal,
    Reduced,
    with_children,
)
from phistar.language.notation import written_at
from phistar.language.tensors import Tensor

INLINE_DEPTH = 12  # what is not named is written into its user's equation up to this depth

Keep = Callable[[Expr], bool]
Cache = dict[Expr, Tensor]


def tensor_of(e: Expr) -> Tensor:
    """The tensor that a closed expression is; every closed part of it becomes a tensor too."""
    if isinstance(e, Element) and e.target.rank == 0:
        return e.target
    if not e.closed:
        names = ", ".join(i.name for i in e.open) or "..."
        raise ExpressionError(
            f"{e} still has index {names}: give it a tensor, T[{names}] = ..., or reduce it, "
            f"ph.sum[{names}](...)"
        )
    if e._tensor is None:
        make_tensors(e, lambda node: True, None, {})
    assert e._tensor is not None
    return e._tensor


def make_tensors(root: Expr, keep: Keep, cache: Cache | None, names: Mapping[int, str]) -> Tensor:
    """The tensor of root, defined by equations over the tensors of its closed parts.

    keep: which parts get a tensor of their own; the others stay in their user's equation. cache:
    where the tensors are remembered (None: in the nodes, for `.grad`).
    """
    written: dict[Expr, Expr] = {}  # each part as it is written where it is used
    for node in closed_parts(root, stop_at_tensors=cache is None):
        known = node._tensor if cache is None else cache.get(node)
        if known is not None:
            written[node] = Element(known, ())
            continue
        new = rewrite_part(node, written)
        if node is root or (is_statement(node) and (keep(node) or new.depth > INLINE_DEPTH)):
            made = statement(new, names.get(id(node), ""))
            if cache is None:
                node._tensor = made
            else:
                cache[node] = made
            new = Element(made, ())
        written[node] = new
    result = written[root]
    assert isinstance(result, Element)
    return result.target


def closed_parts(root: Expr, stop_at_tensors: bool = False) -> Iterator[Expr]:
    """The closed parts of root that are reached through closed parts, each after its own parts."""
    done: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done.add(node)
            yield node
            continue
        stack.append((node, True))
        if node._tensor is None or node is root or not stop_at_tensors:
            parts = [c for c in node.children if c.closed and not isinstance(node, Element)]
            stack.extend((c, False) for c in reversed(parts))


def rewrite_part(node: Expr, written: Mapping[Expr, Expr]) -> Expr:
    if isinstance(node, Element) or not node.children:
        return node
    return with_children(node, tuple(written.get(c, c) for c in node.children))


def is_statement(node: Expr) -> bool:
    """Whether a closed part computes something from tensors (a literal or 1/8 does not)."""
    if isinstance(node, Literal | Element):
        return False
    return node.reads or isinstance(node, Reduced)


def statement(value: Expr, name: str) -> Tensor:
    """A new tensor without axes with value as its equation."""
    from phistar.language.equations import publish
    from phistar.language.solving import settle

    made = Tensor(name, Kind.VALUE, [], None)
    made.definition.declared = False
    outside = scope.current_scan()
    if outside is not None:
        raise ExpressionError(
            f"{value} has no index of the scan: compute it before the scan, or write "
            "T[..., t] = ... inside"
        )
    equation = closed_equation(made, value, _origin())
    settle([equation], None)
    publish(equation)
    return made


def _origin() -> Origin:
    return written_at()


# Names from the user's variables ------------------------------------------------------------------


def names_in(frame: FrameType) -> dict[int, str]:
    """The names of the tensors and expressions that the user's variables hold, by identity."""
    found: dict[int, str] = {}
    for variables in (frame.f_locals, frame.f_globals):
        for name, value in variables.items():
            if isinstance(value, Expr | Tensor) and id(value) not in found:
                found[id(value)] = name
    return found


def source_tensor(root: Any, names: Mapping[int, str]) -> Tensor:
    """The tensor of root, written as the user wrote it: only named or shared parts get names."""
    if isinstance(root, Tensor):
        return root
    if isinstance(root, Element) and root.target.rank == 0:
        return root.target
    if not root.closed:
        return tensor_of(root)
    uses: dict[Expr, int] = {}
    for node in closed_parts(root):
        for child in node.children:
            uses[child] = uses.get(child, 0) + 1
    return make_tensors(
        root,
        lambda node: id(node) in names or uses.get(node, 0) > 1,
        {},
        {id(root): "L", **names},
    )
