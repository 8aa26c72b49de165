"""Subscripts that are only known when the program runs, and the error if one is out of range."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phistar.backends.arrays.labelled import Axes
from phistar.backends.contract import out_of_range
from phistar.errors import IndexRangeError
from phistar.ir.program import Assign, Index, Load


@dataclass(frozen=True)
class Site:
    """One run-time subscript of a program: `load`'s at `axis`, with an axis for each of `axes`.

    `moving` are the scanned indices around the statement and the slots that hold their values.
    """

    number: int
    statement: Assign
    load: Load
    axis: int
    axes: Axes
    moving: tuple[tuple[Index, int], ...]
    guarded: bool

    @property
    def bounds(self) -> tuple[int, int]:
        return self.load.tensor.bounds(self.axis)

    def error(self, position: int, value: int, moving: Sequence[int]) -> IndexRangeError:
        """What to raise for the setting of `axes` at a row-major position."""
        shape = tuple(index.size for index in self.axes)
        setting = dict(zip(self.axes, map(int, np.unravel_index(position, shape)), strict=True))
        setting |= {index: int(t) for (index, _), t in zip(self.moving, moving, strict=True)}
        return out_of_range(self.statement, self.load, self.axis, setting, value)
