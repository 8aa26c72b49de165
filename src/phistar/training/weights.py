"""Parameter values in files (safetensors, whole or not at all), and what fits by name and shape.

No pickle, ever: a file of values cannot run anything.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from phistar.data.writing import write_atomically
from phistar.errors import DTypeError, WeightsError
from phistar.ir.dtypes import as_dtype

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

MANY = 8  # names that a report lists before it counts the rest


def save_arrays(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name to a safetensors file, which is replaced only when the new one is whole.

    Raises WeightsError if a type cannot be written, or the file cannot.
    """
    dense = {name: writable(name, array) for name, array in arrays.items()}
    content = save(dense, dict(metadata) if metadata else None)
    try:
        write_atomically(Path(path), [content])
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror}") from None


def writable(name: str, array: Array) -> Array:
    """The array in row-major order: safetensors writes others wrongly, without a word."""
    try:
        as_dtype(array.dtype)
    except DTypeError:
        raise WeightsError(f"{name} cannot be saved: it holds {array.dtype}") from None
    # ascontiguousarray gives a number one axis
    return np.ascontiguousarray(array).reshape(array.shape)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a safetensors file by name; WeightsError if it is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    try:
        arrays: dict[str, Array] = load_file(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None
    except (SafetensorError, ValueError) as error:
        raise WeightsError(f"{path} is not a safetensors file, or damaged: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} holds a type that NumPy does not have: {error}") from None
    return arrays


@dataclass(frozen=True)
class Report:
    """What of a file fits a model, by name and shape.

    wrong_shape: the shape wanted and the shape found, by name.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: Mapping[str, tuple[Shape, Shape]]

    @property
    def complete(self) -> bool:
        """Whether everything fits, both ways."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} matched"]
        if self.missing:
            lines.append(f"{len(self.missing)} missing in the file: {listed(self.missing)}")
        if self.unexpected:
            lines.append(
                f"{len(self.unexpected)} unexpected in the file: {listed(self.unexpected)}"
            )
        lines += [
            f"{name} has shape {wanted} in the model, {found} in the file"
            for name, (wanted, found) in self.wrong_shape.items()
        ]
        return "\n".join(lines)


def match(wanted: Mapping[str, Shape | None], found: Mapping[str, Shape]) -> Report:
    """Compare names and shapes; a shape None (not known yet) fits any."""
    both = [name for name in wanted if name in found]
    wrong = {
        name: (shape, tuple(found[name]))
        for name in both
        if (shape := wanted[name]) is not None and tuple(shape) != tuple(found[name])
    }
    return Report(
        matched=tuple(name for name in both if name not in wrong),
        missing=tuple(name for name in wanted if name not in found),
        unexpected=tuple(name for name in found if name not in wanted),
        wrong_shape=wrong,
    )


def listed(names: tuple[str, ...]) -> str:
    rest = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + rest
