"""What every backend offers: `compile(program)` gives a Compiled, a function of arrays by name."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

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


@runtime_checkable
class Repeating(Compiled, Protocol):
    """A compiled program that does many steps in one call."""

    def repeat(
        self,
        values: Mapping[str, Array],
        varying: Mapping[str, Array],
        seed: int = 0,
        step: int = 0,
    ) -> dict[str, Array]:
        """The program once for each row of the varying inputs, each run with what the one before
        made of parameters and states.

        values: the other inputs. step: the number of the first run. Gives outputs with one row a
        run, and the last values of parameters and states.
        """


def repeat(
    compiled: Compiled,
    values: Mapping[str, Array],
    varying: Mapping[str, Array],
    seed: int = 0,
    step: int = 0,
) -> dict[str, Array]:
    """`Repeating.repeat`, run by run where the backend knows nothing better."""
    if isinstance(compiled, Repeating):
        return compiled.repeat(values, varying, seed, step)
    kept, rows, found = dict(values), list[dict[str, Array]](), dict[str, Array]()
    for n in range(len(next(iter(varying.values())))):
        found = compiled({**kept, **{k: v[n] for k, v in varying.items()}}, seed, step + n)
        kept |= {name: array for name, array in found.items() if name in values}
        rows.append(found)
    return {
        name: array if name in values else np.stack([row[name] for row in rows])
        for name, array in found.items()
    }


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
