"""`x.grad[b, 2*p + r, c] += Σ_k g[b, p, k] * K[k, r, c]` as a transposed convolution: one array
over the positions 2*p + r, which is added to a slice.
"""

from dataclasses import replace

from phistar.backends.arrays.labelled import Axes, Node, Term, extent
from phistar.backends.arrays.products import product_of
from phistar.backends.arrays.scope import Scope
from phistar.backends.arrays.slices import places, unrolled_indices
from phistar.backends.arrays.sums import scaled
from phistar.ir.primitives import Op
from phistar.ir.program import Affine, Assign, Expr, Index, Load, Pad, Subscript
from phistar.ir.walk import free_indices

Slide = tuple[Term, Term]


def spread_product(a: Assign, scope: Scope) -> tuple[Assign, Node, Scope] | None:
    """The assignment with its windows on the left replaced by positions, and its value over them;
    None if the array library has no such product, or the statement is none."""
    slid = slides(a, scope.scans)
    factors = product_of(a.value)
    if not slid or a.op is not Op.ADD or a.condition or len(factors.factors) != 2:
        return None
    left, right = factors.factors
    (p, _), _ = slid[0]
    g, f = (left, right) if p in free_indices(left) else (right, left)
    if not set(a.over) <= set(free_indices(g)) & set(free_indices(f)):
        return None
    turned = [turn(slide, g) for slide in slid]
    kept = tuple(i for i in scope.order if i not in a.over)
    found = scope.arrays.transposed(scope.lower(g), scope.lower(f), turned, kept, a.target.dtype)
    if found is None:
        return None
    node, positions = found
    target = positioned(a.target, dict(zip(slid, positions, strict=True)), scope.scans)
    within = replace(scope, order=(*scope.order, *positions))
    return replace(a, target=target), scaled(node, factors.scale, within), within


def slides(a: Assign, scans: Axes) -> list[Slide]:
    """The pairs of indices that slide on the left, the longer first; none if some do otherwise."""
    found = places(a.target, scans)
    if found is None or extent(unrolled_indices(found)) == 1:
        return []
    sliding = [p.line for p in found if set(p.line.indices) & set(unrolled_indices(found))]
    if any(len(placed.terms) != 2 for placed in sliding):
        return []
    return [longer_first(placed.terms) for placed in sliding]


def longer_first(terms: tuple[Term, ...]) -> Slide:
    one, two = sorted(terms, key=lambda term: -term[0].size)
    return one, two


def turn(slide: Slide, g: Expr) -> Slide:
    """A slide with g's index first."""
    one, two = slide
    return slide if one[0] in free_indices(g) else (two, one)


def positioned(target: Load, new: dict[Slide, Index], scans: Axes) -> Load:
    """The target with one index in place of each slide."""

    def affine(old: Affine) -> Affine:
        terms = tuple((t, step) for t, step in old.terms if isinstance(t, Index) and t not in scans)
        index = new.get(longer_first(terms)) if len(terms) == 2 else None
        if index is None:
            return old
        return Affine(((index, 1), *(t for t in old.terms if t not in terms)), old.offset)

    def subscript(s: Subscript) -> Subscript:
        match s:
            case Affine():
                return affine(s)
            case Pad():
                return replace(s, position=affine(s.position))
        return s

    return Load(target.tensor, tuple(subscript(s) for s in target.subscripts))
