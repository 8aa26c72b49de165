"""Layers made of layers: one after the other, side by side, around.

    sequential   y = f(g(x))
    residual     y[...] = f(x)[...] + x[...]
    concatenate  y[b, k] = f(x)[b, k],  y[b, |k| + m] = g(x)[b, m]

f and g are layers, functions of tensors, or elementwise functions such as ph.relu.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import phistar as ph
from phistar.errors import ExpressionError, IndexRangeError, PhistarError, ShapeError, UsageError
from phistar.language.expression import Expr, Index
from phistar.language.tensors import Tensor

# What a part may be -------------------------------------------------------------------------------


def apply(part: Any, x: Any) -> Any:
    """A layer's or a function's result; an elementwise function takes x[...]."""
    if isinstance(part, ph.Model) or not isinstance(x, Tensor):
        return part(x)
    try:
        y = part(x)
    except ExpressionError as error:
        try:
            y = part(x[...])
        except PhistarError:
            raise error from None
    return assigned(y) if isinstance(y, Expr) else y


def assigned(e: Expr) -> Tensor:
    """An expression as a tensor whose axes are its open indices."""
    y = Tensor("y")
    y[(..., *e.open) if e.has_ellipsis else e.open] = e
    return y


def expect_part(layer: Any, part: Any) -> Any:
    """A layer or a function; UsageError for anything else."""
    if isinstance(part, type) or not callable(part):
        shown = f"the class {part.__name__}" if isinstance(part, type) else repr(part)
        raise UsageError(f"{type(layer).__name__} takes layers and functions, not {shown}")
    return part


class Parts(ph.Model):
    """Parts by name: numbers, as in `0.weight`, or the names of a dict."""

    def __init__(self, *parts: Any) -> None:
        named = parts[0] if len(parts) == 1 and isinstance(parts[0], Mapping) else None
        pairs = enumerate(parts) if named is None else named.items()
        self.names: list[str] = []
        for name, part in pairs:
            self.names.append(self.free(str(name)))
            setattr(self, str(name), expect_part(self, part))

    def free(self, name: str) -> str:
        """The name, if it may be a part's; UsageError if not."""
        if not name or "." in name or hasattr(self, name):
            raise UsageError(
                f"{type(self).__name__} cannot call a part {name!r}: take another name"
            )
        return name

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, name) for name in self.names)

    def __getitem__(self, n: int | slice | str) -> Any:
        """A part by its number or its name; of a slice, a layer of the same kind with its parts."""
        if isinstance(n, slice):
            return type(self)({name: getattr(self, name) for name in self.names[n]})
        if isinstance(n, str) and n in self.names:
            return getattr(self, n)
        if isinstance(n, bool) or not isinstance(n, int) or not -len(self) <= n < len(self):
            raise IndexRangeError(f"{type(self).__name__} has no part {n!r}: {self.shown()}")
        return getattr(self, self.names[n])

    def shown(self) -> str:
        """Which parts there are, in words."""
        return f"there are {', '.join(self.names)}" if self.names else "it has none"


# One after the other ------------------------------------------------------------------------------


class Sequential(Parts):
    """One part after the other: `Sequential(Linear(784, 128), ph.relu, Linear(128, 10))`.

    Parts are layers, functions of tensors and elementwise functions; or one dict of them, whose
    names the parameters then have. Parts are found by `[n]`, slices give a Sequential. Raises
    UsageError for what is no part.
    """

    def __call__(self, x: Any) -> Any:
        for part in self:
            x = apply(part, x)
        return x


# Around -------------------------------------------------------------------------------------------


class Residual(ph.Model):
    """What comes in, added to what comes out: f(x) + x (He et al. 2016).

    layer: f. shortcut: what x goes through before it is added, None: nothing. Both are layers,
    functions of tensors or elementwise functions. Raises UsageError for what is no part, ShapeError
    if the two have different shapes.
    """

    def __init__(self, layer: Any, shortcut: Any = None) -> None:
        self.layer = expect_part(self, layer)
        self.shortcut = None if shortcut is None else expect_part(self, shortcut)

    def __call__(self, x: Any) -> Any:
        made = apply(self.layer, x)
        kept = x if self.shortcut is None else apply(self.shortcut, x)
        if made.shape != kept.shape:
            raise ShapeError(
                f"Residual adds tensors of one shape, not {made.shape} and {kept.shape}: "
                "a shortcut can change the second"
            )
        y = Tensor("y")
        y[...] = made[...] + kept[...]
        return y


# Side by side -------------------------------------------------------------------------------------


class Parallel(Parts):
    """Several parts of the same tensor: a tuple of what each gives.

    Parts are as in `Sequential`.
    """

    def __call__(self, x: Any) -> Any:
        return tuple(apply(part, x) for part in self)


class Concatenate(Parts):
    """Several parts of the same tensor, joined along an axis: as `concatenate` does.

    Parts are as in `Sequential`; axis: 1, the channels. Raises UsageError for what is no part,
    ShapeError for results that do not fit.
    """

    def __init__(self, *parts: Any, axis: int = 1) -> None:
        self.axis = axis
        super().__init__(*parts)
        if not self.names:
            raise UsageError("Concatenate takes a part or more")

    def __getitem__(self, n: int | slice | str) -> Any:
        found = super().__getitem__(n)
        if isinstance(n, slice):
            found.axis = self.axis
        return found

    def __call__(self, x: Any) -> Any:
        return concatenate([apply(part, x) for part in self], self.axis)


def concatenate(tensors: Sequence[Tensor], axis: int = 1) -> Tensor:
    """Tensors one after the other along an axis (negative: from the end).

    y[b, k] = x[b, k], y[b, |k| + m] = z[b, m], ... All have the other axes in common. Raises
    UsageError for no tensors, ShapeError for shapes that do not fit.
    """
    if not tensors:
        raise UsageError("concatenate takes a tensor or more")
    shapes = [x.shape for x in tensors]
    rank = len(shapes[0])
    if not -rank <= axis < rank:
        raise ShapeError(f"concatenate takes axis {axis}, which shape {shapes[0]} has not")
    n = axis % rank
    if len({(*shape[:n], *shape[n + 1 :], len(shape)) for shape in shapes}) > 1:
        shown = ", ".join(str(shape) for shape in shapes)
        raise ShapeError(f"concatenate joins tensors that differ in axis {n} alone, not {shown}")
    at = tuple(Index(f"i{k}") for k in range(rank))
    y, first = Tensor("y"), 0
    for x, shape in zip(tensors, shapes, strict=True):
        k = Index("k", shape[n])
        y[*at[:n], first + k if first else k, *at[n + 1 :]] = x[*at[:n], k, *at[n + 1 :]]
        first += shape[n]
    return y
