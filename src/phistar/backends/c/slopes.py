"""A row's gelu and its partial, both taken before the next row's, are taken together.

    h[b, k] = gelu(n[b, k]);  ...;  n.grad[b, k] = h.grad[b, k] * (Φ(n[b, k]) + n[b, k] φ(n[b, k]))

    h[b, k] = gelu(n[b, k]);  n.slope[b, k] = Φ(n[b, k]) + n[b, k] φ(n[b, k])
    ...;  n.grad[b, k] = h.grad[b, k] * n.slope[b, k]

They have an exp and a quotient in common, which in one loop are computed once.
"""

from __future__ import annotations

import math
from dataclasses import replace

from phistar.backends.c.idioms import argument, gelu_slope
from phistar.backends.c.nests import LOCAL
from phistar.backends.c.tree import Access, Group, Leaf, Node, Var, accesses, leaves
from phistar.ir.build import settled
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Affine, Apply, Assign, Expr, Load, Tensor
from phistar.ir.walk import free_indices, nodes, rewrite
from phistar.transform.names import Names


def share_slopes(group: Group, names: Names) -> None:
    """The group with such partials named, each after the gelu it belongs to."""
    for leaf in [node for node in group.nodes if isinstance(node, Leaf)]:
        for e, x in slopes(leaf):
            before = gelu_before(leaf, x, group)
            if before is not None:
                made = definition(e, x, leaf, group, names)
                group.nodes[group.nodes.index(leaf)] = using(made, leaf)
                group.nodes.insert(group.nodes.index(before) + 1, made)
                return share_slopes(group, names)


def slopes(leaf: Leaf) -> list[tuple[Apply, Load]]:
    """The partials of gelu inside a leaf's value, and by what they are taken."""
    value = leaf.assign.value
    applied = [e for e in nodes(value) if isinstance(e, Apply) and e is not value]
    found = [(e, gelu_slope(e)) for e in applied if isinstance(e.dtype, DType)]
    return [(e, at) for e, x in found if x is not None and isinstance(at := settled(x), Load)]


def definition(e: Apply, x: Load, leaf: Leaf, group: Group, names: Names) -> Leaf:
    """x.slope[...] = e, in loops of its own."""
    assert isinstance(e.dtype, DType)
    t = Tensor(names.fresh(f"{x.tensor.name}.slope"), x.tensor.shape, e.dtype)
    bind = {i: leaf.bind[i] for i in free_indices(x)}
    bind = {i: v if v is group.var else Var(i.name, i.size) for i, v in bind.items()}
    return Leaf(Assign(Load(t, x.subscripts), Op.SET, e), bind, define=True)


def using(made: Leaf, leaf: Leaf) -> Leaf:
    """The leaf, with what is named read."""
    value, slope = made.assign.value, made.assign.target
    new = rewrite(leaf.assign.value, lambda e: slope if e == value else e)
    return replace(leaf, assign=replace(leaf.assign, value=new))


def gelu_before(leaf: Leaf, x: Expr, group: Group) -> Leaf | None:
    """The leaf of the same group that takes gelu of the same rows, which are not changed since."""
    if not isinstance(x, Load) or row_of(x, leaf) is not group.var:
        return None
    earlier = group.nodes[: group.nodes.index(leaf)]
    for number, node in enumerate(earlier):
        if any(a.write and a.tensor == x.tensor for a in all_accesses(earlier[number:])):
            continue
        if isinstance(node, Leaf) and not node.assign.over and node.assign.condition is None:
            for e in nodes(node.assign.value):
                of = argument(e, P.GELU)
                if isinstance(of, Load) and of.tensor == x.tensor and row_of(of, node) is group.var:
                    return node
    return None


def row_of(x: Load, leaf: Leaf) -> Var | None:
    """The variable of the first axis, if each axis has an index of its own, and rows are short."""
    own = [s.bare if isinstance(s, Affine) else None for s in x.subscripts]
    if len(own) < 2 or None in own or len(set(own)) < len(own) or x.tensor.halo:
        return None
    sizes = [i.size for i in own if i is not None]
    if tuple(sizes) != x.tensor.shape or math.prod(sizes[1:]) > LOCAL:
        return None
    return leaf.bind[own[0]] if own[0] is not None else None


def all_accesses(group: list[Node]) -> list[Access]:
    return [a for leaf in leaves(group) for a in accesses(leaf)]
