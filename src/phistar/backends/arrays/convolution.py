"""Sums of products over windows as XLA's convolutions.

    y[n, g, o, p] = Σ_{c, r} x[n, g, c, stride*p + dilation*r] f[g, o, c, r]

n are the indices of x alone, c those that are summed, g those of both that are kept (groups), o
those of f alone; p and r step through the windows. The gradient to f is of the same form: p is then
the summed index and r the kept one. The gradient to x is the transposed form (`transposed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from phistar.backends.arrays.labelled import Array, Axes, Node, Term, extent, names
from phistar.ir.dtypes import DType
from phistar.ir.program import Index

MOST_SPATIAL = 3  # axes that windows may slide over


@dataclass(frozen=True)
class Roles:
    """What the indices of a convolution are. Along axis n of the image, `out[n]` moves the window
    by `strides[n]` and `kernel[n]` reaches into it by `dilations[n]`."""

    batch: Axes
    groups: Axes
    inner: Axes
    features: Axes
    out: Axes
    kernel: Axes
    strides: tuple[int, ...]
    dilations: tuple[int, ...]


def roles(plain: Axes, windows: Sequence[tuple[Term, ...]], f: Axes, kept: Axes) -> Roles | None:
    """The roles of the indices in a sum over x * f, if it is a convolution."""
    out: list[Term] = []
    kernel: list[Term] = []
    for terms in windows:
        moves = [term for term in terms if term[0] in kept and term[0] not in f]
        reaches = [term for term in terms if term[0] not in kept and term[0] in f]
        if len(terms) != 2 or len(moves) != 1 or len(reaches) != 1 or min(s for _, s in terms) < 1:
            return None
        out += moves
        kernel += reaches
    spatial = {index for index, _ in kernel}
    if len(windows) > MOST_SPATIAL or any(i not in kept and i not in f for i in plain):
        return None
    features = tuple(i for i in f if i not in plain and i not in spatial)
    if any(i not in kept for i in features):
        return None
    return Roles(
        tuple(i for i in plain if i not in f),
        tuple(i for i in plain if i in f and i in kept),
        tuple(i for i in plain if i in f and i not in kept),
        features,
        tuple(index for index, _ in out),
        tuple(index for index, _ in kernel),
        tuple(step for _, step in out),
        tuple(step for _, step in kernel),
    )


def convolution(x: Node, f: Node, kept: Axes, dtype: DType, jax: Any) -> Node | None:
    """The sum of x * f over the indices that are not kept, x being seen through windows; None if
    it is no convolution."""
    assert x.windows is not None
    layout = x.windows.axes
    plain = tuple(axis for axis in layout if not isinstance(axis, tuple))
    windows = [axis for axis in layout if isinstance(axis, tuple)]
    found = roles(plain, windows, f.axes, kept)
    if found is None or not dtype.is_float:
        return None
    places = {axis: n for n, axis in enumerate(layout) if not isinstance(axis, tuple)}
    slid = [n for n, axis in enumerate(layout) if isinstance(axis, tuple)]
    order = [*(places[i] for i in (*found.batch, *found.groups, *found.inner)), *slid]
    shape = (extent(found.batch), extent((*found.groups, *found.inner)))
    axes = (*found.batch, *found.groups, *found.features, *found.out)
    sizes = tuple(index.size for index in axes)
    kernels, behind, run = kernel_of(found, f), x.windows.run, f.run
    convolve = jax.lax.conv_general_dilated

    def convolved(env: list[Any]) -> Array:
        image = behind(env).transpose(order)
        image = image.reshape(*shape, *image.shape[len(order) - len(slid) :])
        y = convolve(
            image,
            kernels(run(env)),
            window_strides=found.strides,
            padding=[(0, 0)] * len(slid),
            rhs_dilation=found.dilations,
            feature_group_count=extent(found.groups),
            precision=jax.lax.Precision.HIGHEST,
        )
        return y.reshape(sizes)

    return Node(convolved, axes, True, text=f"convolution over {names(found.kernel)}")


def kernel_of(found: Roles, f: Node) -> Any:
    """How f's array becomes (groups * features, inner, kernel...)."""
    wanted = (*found.groups, *found.features, *found.inner, *found.kernel)
    order = [f.axes.index(index) for index in wanted]
    shape = (
        extent((*found.groups, *found.features)),
        extent(found.inner),
        *(index.size for index in found.kernel),
    )
    return lambda array: array.transpose(order).reshape(shape)


def transposed(
    g: Node, f: Node, slides: Sequence[tuple[Term, Term]], kept: Axes, dtype: DType, jax: Any
) -> tuple[Node, Axes] | None:
    """The sum over g * f of what falls on each position step * p + reach * r, for slides
    ((p, step), (r, reach)) where p is g's index and r is f's; and the new indices, one a slide,
    that stand for those positions. None if it is no convolution."""
    spread = tuple(index for (index, _), _ in slides)
    kernel = tuple(index for _, (index, _) in slides)
    plain = tuple(i for i in g.axes if i not in spread)
    fits = set(spread) <= set(g.axes) - set(f.axes) and set(kernel) <= set(f.axes) - set(g.axes)
    steps = [step for pair in slides for _, step in pair]
    if not fits or not dtype.is_float or min(steps) < 1 or len(slides) > MOST_SPATIAL:
        return None
    features = tuple(i for i in f.axes if i not in plain and i not in kernel)
    if any(i not in kept for i in features) or any(
        i not in kept and i not in f.axes for i in plain
    ):
        return None
    found = Roles(
        tuple(i for i in plain if i not in f.axes),
        tuple(i for i in plain if i in f.axes and i in kept),
        tuple(i for i in plain if i in f.axes and i not in kept),
        features,
        spread,
        kernel,
        tuple(step for (_, step), _ in slides),
        tuple(reach for _, (_, reach) in slides),
    )
    return spread_out(g, f, found, jax)


def spread_out(g: Node, f: Node, found: Roles, jax: Any) -> tuple[Node, Axes]:
    """The transposed convolution: g with zeros between, under the kernel read backwards."""
    order = [g.axes.index(i) for i in (*found.batch, *found.groups, *found.inner, *found.out)]
    shape = (
        extent(found.batch),
        extent((*found.groups, *found.inner)),
        *(index.size for index in found.out),
    )
    reach = [d * (r.size - 1) for r, d in zip(found.kernel, found.dilations, strict=True)]
    positions = tuple(
        Index(f"{p.name}+{r.name}", stride * (p.size - 1) + far + 1)
        for p, r, stride, far in zip(found.out, found.kernel, found.strides, reach, strict=True)
    )
    axes = (*found.batch, *found.groups, *found.features, *positions)
    sizes = tuple(index.size for index in axes)
    kernels, left, right = kernel_of(found, f), g.run, f.run
    flip = tuple(range(2, 2 + len(found.kernel)))
    convolve = jax.lax.conv_general_dilated

    def convolved(env: list[Any]) -> Array:
        y = convolve(
            left(env).transpose(order).reshape(shape),
            jax.lax.rev(kernels(right(env)), flip),
            window_strides=[1] * len(flip),
            padding=[(far, far) for far in reach],
            lhs_dilation=found.strides,
            rhs_dilation=found.dilations,
            feature_group_count=extent(found.groups),
            precision=jax.lax.Precision.HIGHEST,
        )
        return y.reshape(sizes)

    text = f"transposed convolution over {names(found.kernel)}"
    return Node(convolved, axes, True, text=text), positions
