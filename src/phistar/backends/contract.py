"""What every backend offers: `compile(program)` gives a Compiled, a function of arrays by name."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from phistar.errors import IndexRangeError
from phistar.ir.program import Assign, Index, Load

Array = np.ndarray[Any, Any]


class Compiled(Protocol):
    """A program that runs."""

    def __call__(
        self, values: Mapping[str, Array], seed: int = 0, step: int = 0
    ) -> dict[str, Array]:
        """Arrays for the program's outputs and for the parameters and states that it updates.

        values: an array of the storage shape for every input, by name; they are not modified. seed,
        step: what random fields are a function of. Raises IndexRangeError if a subscript that is
        only known now is out of range.
        """


def out_of_range(
    statement: Assign, load: Load, axis: int, setting: Mapping[Index, int], value: int
) -> IndexRangeError:
    """The error for a subscript that is out of range when the program runs."""
    from phistar.ir.printer import print_assign, print_expr

    name, subscript = load.tensor.name, load.subscripts[axis]
    assert not hasattr(subscript, "terms")
    first, last = load.tensor.bounds(axis)
    at = ", ".join(f"{index.name} = {n}" for index, n in setting.items())
    origin = statement.origin
    text = origin.text if origin is not None and origin.text else print_assign(statement)
    place = f"          {origin.file.rpartition('/')[2]}:{origin.line}" if origin else ""
    what = print_expr(subscript)  # type: ignore[arg-type]
    return IndexRangeError(
        f"{what} is {value}{f' at {at}' if at else ''}, outside {name}\n"
        f"  {text}{place}\n"
        f"  axis {axis} of {name} has {last - first + 1} elements ({first}..{last})"
    )
