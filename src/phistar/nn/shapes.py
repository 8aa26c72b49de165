"""What layers take: tensors with the axes they need and at least one element; whole numbers."""

from typing import Any

from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor


def expect(x: Any, layer: Any, least: int = 0, most: int | None = None) -> tuple[int, ...]:
    """The shape of a layer's argument.

    UsageError if it is no tensor; ShapeError if it has fewer axes than `least`, more than `most`,
    or no elements.
    """
    name = type(layer).__name__
    if not isinstance(x, Tensor):
        raise UsageError(f"{name} takes a tensor, not {type(x).__name__}: ph.tensor(x) makes one")
    shape = x.shape
    if len(shape) < least or (most is not None and len(shape) > most):
        raise ShapeError(f"{name} takes a tensor with {axes(least, most)}, not shape {shape}")
    if 0 in shape:
        raise ShapeError(f"{name} got an empty batch: a tensor of shape {shape} has no elements")
    return shape


def axes(least: int, most: int | None) -> str:
    """How many axes, in words."""
    if most is None:
        return "at least 1 axis" if least == 1 else f"at least {least} axes"
    return f"{least} axes" if most == least else f"{least} to {most} axes"


def expect_size(layer: Any, what: str, wanted: int, shape: tuple[int, ...], axis: int) -> None:
    """ShapeError if an axis does not have the size that the layer was made for."""
    if shape[axis] != wanted:
        raise ShapeError(
            f"{type(layer).__name__} has {wanted} {what}, but axis {axis} of shape {shape} "
            f"has {shape[axis]}"
        )


def whole(layer: Any, what: str, value: Any, least: int = 1) -> int:
    """A whole number from `least` on; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(
            f"{what} of {type(layer).__name__} must be a whole number from {least} on, "
            f"not {value!r}"
        )
    return value


def each(layer: Any, what: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """A whole number for each axis: one for all, or as many as axes; UsageError otherwise."""
    if not isinstance(value, tuple | list):
        return (whole(layer, what, value, least),) * axes
    if len(value) != axes:
        raise UsageError(
            f"{what} of {type(layer).__name__} must be one number or {axes}, not {value!r}"
        )
    return tuple(whole(layer, what, v, least) for v in value)


def leading(shape: tuple[int, ...], own: int) -> tuple[Index, ...]:
    """Indices for the axes before a layer's own: b if there is one, else b1, b2, ..."""
    count = len(shape) - own
    return (Index("b"),) if count == 1 else tuple(Index(f"b{n}") for n in range(1, count + 1))
