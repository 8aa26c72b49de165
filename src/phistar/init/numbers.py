"""The numbers that initialisers are made with, checked; and how initialisers print."""

from dataclasses import fields
from typing import Any

import numpy as np

from phistar.errors import ShapeError, UsageError

Array = np.ndarray[Any, Any]
Rng = np.random.Generator
Shape = tuple[int, ...]


def number(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """A finite number in [low, high]; UsageError otherwise."""
    plain = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not plain or not np.isfinite(value) or not low <= value <= high:
        limits = f" from {low} to {high}" if high < np.inf else f" from {low} on"
        raise UsageError(f"{name} must be a number{limits if low > -np.inf else ''}, not {value!r}")
    return float(value)


def whole(name: str, value: Any, low: int = 0) -> int:
    """A whole number from `low` on; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise UsageError(f"{name} must be a whole number from {low} on, not {value!r}")
    return value


def shown(initializer: Any) -> str:
    """An initialiser as it is written: he_normal(mode='fan_out')."""
    given = [
        f"{f.name}={getattr(initializer, f.name)!r}"
        for f in fields(initializer)
        if getattr(initializer, f.name) != f.default
    ]
    return f"{type(initializer).__name__}({', '.join(given)})"


def expect_axes(shape: Shape, least: int, name: str, most: int | None = None) -> None:
    """ShapeError if a parameter has too few axes, or, if `most` is told, too many."""
    if len(shape) < least or (most is not None and len(shape) > most):
        wanted = f"{least} axes" if most is not None else f"{least} or more axes"
        raise ShapeError(f"{name} wants a parameter with {wanted}, not shape {shape}")
