"""Axes of another size: each new element from the nearest old one, or from the two beside it.

Element p of m new ones stands at place (p + 1/2) a / b - 1/2 among n old ones, a / b of them for
each new one. With e = ((2 p + 1) a + b) // 2 b and f = ((2 p + 1) a + b) % 2 b / 2 b that is f of
the way from element e - 1 to element e; beyond the ends stands the last one.

    nearest         y[b, c, p] = x[b, c, (a p) // b]
    nearest-exact   y[b, c, p] = x[b, c, ((2 p + 1) a) // 2 b]
    linear          y[b, c, p] = (1 - f) x[b, c, e - 1] + f x[b, c, e]
    align_corners   the same with e = p (n - 1) // (m - 1) + 1 and the rest f of that division

Over several axes, one after the other: bilinear, trilinear.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

import phistar as ph
from phistar.errors import ShapeError, UsageError, suggestion
from phistar.language.expression import Expr, Index
from phistar.language.tensors import Tensor
from phistar.nn.shapes import each, expect

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}  # and over how many axes
MODES = ("nearest", "nearest-exact", *LINEAR)
NAMES = "bcpqr"


class Upsample(ph.Model):
    """Axes of another size, larger or smaller, by the nearest element or linearly.

    x (batch, channels, *sizes) -> (batch, channels, *size), over one to three axes. Either size, or
    scale_factor: new sizes are floor(size scale_factor); a number, or one for each axis (a fraction
    is taken with a denominator up to 4096). mode: "nearest", "nearest-exact", "linear" (one axis),
    "bilinear" (two), "trilinear" (three). align_corners: the first and last elements stay where
    they are. Raises UsageError for arguments that do not fit together, ShapeError for tensors that
    do not.
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise UsageError("Upsample takes either size or scale_factor")
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} of Upsample is unknown: {suggestion(mode, MODES)}")
        if align_corners and mode not in LINEAR:
            raise UsageError(f"align_corners of Upsample is for linear modes, not for {mode!r}")
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=3, most=5)
        axes = len(shape) - 2
        if LINEAR.get(self.mode, axes) != axes:
            raise ShapeError(
                f"Upsample with mode {self.mode!r} takes a tensor with {LINEAR[self.mode] + 2} "
                f"axes, not shape {shape}"
            )
        for n, scaling in enumerate(self.scalings(shape[2:])):
            x = resampled(x, n + 2, scaling, self.mode)
        return x

    def scalings(self, sizes: tuple[int, ...]) -> list["Scaling"]:
        """What happens to each axis; ShapeError if nothing would remain of it."""
        if self.size is not None:
            wanted = each(self, "size", self.size, len(sizes))
            ratios = [Fraction(n, m) for n, m in zip(sizes, wanted, strict=True)]
        else:
            factors = self.factors(len(sizes))
            wanted = tuple(floor(n * s) for n, s in zip(sizes, factors, strict=True))
            ratios = [1 / s for s in factors]
        if 0 in wanted:
            raise ShapeError(f"Upsample by {self.scale_factor} leaves nothing of sizes {sizes}")
        corners = self.align_corners
        return [Scaling(*row, corners) for row in zip(sizes, wanted, ratios, strict=True)]

    def factors(self, axes: int) -> list[Fraction]:
        given: Any = self.scale_factor
        several = given if isinstance(given, tuple | list) else (given,) * axes
        if len(several) != axes:
            raise UsageError(f"scale_factor of Upsample must be one number or {axes}, not {given}")
        for s in several:
            if isinstance(s, bool) or not isinstance(s, int | float) or not 0 < s < float("inf"):
                raise UsageError(f"scale_factor of Upsample must be above 0, not {s!r}")
        return [Fraction(s).limit_denominator(4096) for s in several]


@dataclass(frozen=True)
class Scaling:
    """An axis of n elements becomes one of m, with `ratio` old elements a new one."""

    n: int
    m: int
    ratio: Fraction
    align_corners: bool = False

    def nearest(self, p: Index) -> Expr:
        return (self.ratio.numerator * p) // self.ratio.denominator

    def nearest_exact(self, p: Index) -> Expr:
        return (2 * self.ratio.numerator * p + self.ratio.numerator) // (2 * self.ratio.denominator)

    def between(self, p: Index) -> tuple[Expr, Expr]:
        """e, the element after the place of p, and f, how far from e - 1 to e that lies."""
        if self.align_corners:
            a, steps = (self.n - 1, self.m - 1) if self.m > 1 else (0, 1)
            return a * p // steps + 1, (a * p) % steps / steps
        a, b = self.ratio.numerator, self.ratio.denominator
        place = 2 * a * p + (a + b)
        return place // (2 * b), place % (2 * b) / (2 * b)


def resampled(x: Tensor, axis: int, s: Scaling, mode: str) -> Tensor:
    """x with another size of one axis."""
    if s.n == s.m and (s.ratio == 1 or s.align_corners):
        return x
    n = tuple(Index(letter) for letter in NAMES[: len(x.shape)])
    p, y = Index(NAMES[axis], s.m), Tensor("y")
    before, after = n[:axis], n[axis + 1 :]
    left = (*before, p, *after)
    if mode not in LINEAR:
        place = s.nearest(p) if mode == "nearest" else s.nearest_exact(p)
        y[left] = x[*before, place, *after]
        return y
    e, f = s.between(p)
    low, high = x[*before, ph.pad(e, 1, 0), *after], x[*before, ph.pad(e, 0, 1), *after]
    y[left] = ph.where(e < s.n, 1 - f, 1) * low + ph.where(e > 0, f, 1) * high
    return y
