"""Which of the run time's kernels computes a leaf: a product, one of pictures, or windows."""

from __future__ import annotations

from phistar.backends.c.pictures import best_picture
from phistar.backends.c.products import best_product, best_window, in_loops, slow, window_in_loops
from phistar.backends.c.tree import Leaf, Node, Product, Var


def is_product(leaf: Leaf) -> bool:
    """The leaf becomes a call of a kernel."""
    return matrices(leaf) is not None or best_window(leaf) is not None


def matrices(leaf: Leaf, shared: Var | None = None) -> Product | None:
    """The fastest way to see the leaf as a product of matrices."""
    return best_picture(leaf, shared) or best_product(leaf, shared)


def product_nest(leaf: Leaf, shared: Var | None) -> list[Node] | None:
    """The leaf as calls of a kernel inside loops, or None if it is none."""
    best = matrices(leaf, shared)
    window = (
        best_window(leaf, shared) if leaf.chunk is None else None
    )  # it would sum over all chunks
    if window is not None and (best is None or (best.kind != "picture" and slow(best))):
        return window_in_loops(leaf, window, shared)
    return None if best is None else in_loops(leaf, best, shared)
