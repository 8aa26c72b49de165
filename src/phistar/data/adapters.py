"""Data sets of other libraries: anything with a length and examples by number, and plain iterables.

example -> columns: a dict by its keys, a tuple by `names`, else one column
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from phistar.data.columns import Array
from phistar.data.dataset import Dataset
from phistar.data.lazy import Part, Reader
from phistar.errors import DataError


def example(values: Any, names: Sequence[str]) -> dict[str, Array]:
    """The columns of one example."""
    if isinstance(values, Mapping):
        return {name: plain(value) for name, value in values.items() if not names or name in names}
    parts = values if isinstance(values, tuple | list) else (values,)
    words = names or (("x", "label") if len(parts) == 2 else ("x",))
    if len(words) != len(parts):
        raise DataError(f"an example has {len(parts)} parts: name each of them by names=(...)")
    return {name: plain(value) for name, value in zip(words, parts, strict=True)}


def plain(value: Any) -> Array:
    """As an array; plain floats are f32."""
    array = np.asarray(value)
    return array.astype(np.float32) if isinstance(value, float) else array


class Examples(Reader):
    """A source of another library, asked for one example at a time."""

    def __init__(self, source: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.source, self.names = source, names

    def read_all(self, rows: Array) -> dict[str, Array]:
        return stacked([example(self.source[int(row)], self.names) for row in rows])


def stacked(examples: list[dict[str, Array]]) -> dict[str, Array]:
    """Examples as columns, or DataError if they do not have one form."""
    try:
        return {name: np.stack([each[name] for each in examples]) for name in examples[0]}
    except (KeyError, ValueError) as error:
        raise DataError(f"the examples do not have one form: {error}") from None


def from_source(source: Any, names: Sequence[str] = ()) -> Dataset:
    """A map-style source, of PyTorch, grain or your own: `len(source)`, `source[row]`.

    names: of the parts of an example that is a tuple, x and label if there are two; or the keys to
    take of one that is a dict. Examples are read when they are asked for. Raises DataError.
    """
    if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        raise DataError(f"{type(source).__name__} has no length or no rows: see from_iterable")
    if not len(source):
        raise DataError("the source has no examples")
    first = example(source[0], names)
    if not first:
        raise DataError(f"no example has {', '.join(names)}")
    reader = Examples(source, names)
    size = len(source)
    return Dataset(**{n: Part(reader, n, (size, *a.shape), a.dtype) for n, a in first.items()})


def from_datasets(source: Any, names: Sequence[str] = ()) -> Dataset:
    """A data set of Hugging Face's `datasets`: its columns of numbers, or those named."""
    if not hasattr(source, "with_format"):
        raise DataError(f"{type(source).__name__} is no data set of the library datasets")
    return from_source(source.with_format("numpy"), names)


def from_iterable(examples: Iterable[Any], names: Sequence[str] = ()) -> Dataset:
    """All examples that an iterable gives, kept in memory."""
    found = [example(each, names) for each in examples]
    if not found:
        raise DataError("the iterable gave no examples")
    return Dataset(**stacked(found))
