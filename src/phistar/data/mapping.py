"""What a function makes of each example, when it is asked for: decoded, cropped, with noise.

    seen = data.map(f)              f(x, label) -> {"x": ...}: what it names is replaced or added
    seen = data.map(augment)        augment(x, rng): random numbers of (seed, epoch, example) alone

The same example has the same numbers in the same epoch, whichever thread or process asks, in which
minibatch, before or after a resume.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from phistar.data.columns import column
from phistar.data.lazy import Part, Reader
from phistar.errors import DataError, UsageError
from phistar.language.arguments import title

if TYPE_CHECKING:
    from phistar.data.dataset import Dataset

Array = np.ndarray[Any, Any]
Function = Callable[..., Mapping[str, Any]]

WORD = 2**64
RNG = "rng"  # the parameter that gets random numbers
AUGMENTING = 0x6175676D656E7421  # "augment!": another key than the order's


def generator(seed: int, epoch: int, row: int) -> np.random.Generator:
    """The random numbers of one example in one epoch."""
    key = np.array([(seed ^ AUGMENTING) % WORD, epoch % WORD], np.uint64)
    counter = np.array([0, 0, int(row) % WORD, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Mapped(Reader):
    """A data set with a function behind it."""

    def __init__(
        self,
        data: Dataset,
        f: Function,
        workers: int = 0,
        batched: bool = False,
        when: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.data, self.f, self.workers, self.batched, self.when = data, f, workers, batched, when
        self.asked, self.random = parameters(f, list(data.columns))
        if self.random and batched:
            raise UsageError(
                f"{title(f)} asks for {RNG}, which belongs to one example: map it without batched"
            )

    def at(self, seed: int, epoch: int, found: dict[int, Any]) -> Mapped:
        """The same in an epoch; found: what was made so already, so that columns share a reader."""
        if id(self) not in found:
            data = self.data.at(seed, epoch)
            if not self.random and data is self.data:
                found[id(self)] = self
            else:
                when = seed, epoch
                found[id(self)] = Mapped(data, self.f, self.workers, self.batched, when)
        made: Mapped = found[id(self)]
        return made

    def read_all(self, rows: Array) -> dict[str, Array]:
        given = {name: self.data.columns[name][rows] for name in self.asked}
        if self.batched:
            return arrays(self.call(given, None), self.f)
        each = range(len(rows))
        if self.workers > 1 and len(rows) > 1:
            made = list(pool(self.workers).map(lambda n: self.one(given, rows, n), each))
        else:
            made = [self.one(given, rows, n) for n in each]
        return {name: stacked([m[name] for m in made], name, self.f) for name in made[0]}

    def one(self, given: Mapping[str, Array], rows: Array, n: int) -> dict[str, Array]:
        """What the function makes of one example."""
        rng = generator(*self.when, rows[n]) if self.random else None
        return arrays(self.call({name: values[n] for name, values in given.items()}, rng), self.f)

    def call(self, given: Mapping[str, Any], rng: Any) -> Any:
        return self.f(**given, **({RNG: rng} if self.random else {}))


def mapped(data: Dataset, f: Function, workers: int, batched: bool) -> dict[str, Any]:
    """The columns of a data set after a function, by its answer to the first example."""
    if not len(data):
        raise DataError("a function cannot be tried on a data set without examples")
    reader = Mapped(data, f, workers, batched)
    first = reader.read_all(np.zeros(1, np.int64))
    made = {
        name: column(Part(reader, name, (len(data), *array.shape[1:]), array.dtype), name=name)
        for name, array in first.items()
    }
    return {**data.columns, **made}


def parameters(f: Function, columns: list[str]) -> tuple[list[str], bool]:
    """The columns that a function's parameters name, and whether it asks for random numbers."""
    names = list(inspect.signature(f).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in names):
        return columns, RNG in {p.name for p in names}
    asked = [p.name for p in names if p.name in columns]
    missing = [p.name for p in names if p.name not in (*columns, RNG) and p.default is p.empty]
    if missing:
        raise DataError(
            f"{title(f)} asks for {', '.join(map(repr, missing))}, "
            f"but the data has {', '.join(columns)}"
        )
    return asked, RNG in {p.name for p in names} and RNG not in columns


def arrays(made: Any, f: Function) -> dict[str, Array]:
    """What a function returned, as arrays by column."""
    if not isinstance(made, Mapping) or not made:
        raise DataError(
            f"{title(f)} must return a dict of columns, such as {{'x': ...}}, "
            f"not {type(made).__name__}"
        )
    return {name: plain(value) for name, value in made.items()}


def plain(value: Any) -> Array:
    """Python's numbers have phistar's types: f32, i64."""
    array: Array = np.asarray(value)
    own = hasattr(value, "dtype")
    return array.astype(np.float32) if array.dtype == np.float64 and not own else array


def stacked(values: list[Array], name: str, f: Function) -> Array:
    """The examples of a minibatch, side by side."""
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        one, other = sorted(shapes)[:2]
        raise DataError(
            f"{title(f)} makes {name!r} of shape {one} for one example and {other} for another"
        )
    return np.stack(values)


# Threads ------------------------------------------------------------------------------------------

pools: dict[int, ThreadPoolExecutor] = {}
making = threading.Lock()


def pool(workers: int) -> ThreadPoolExecutor:
    """Threads that last as long as the process."""
    with making:
        if workers not in pools:
            pools[workers] = ThreadPoolExecutor(workers, thread_name_prefix="phistar-map")
        return pools[workers]
