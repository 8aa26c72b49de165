"""Texts as data: numbers for characters, and windows of a text as the rows of a data set.

text[n] = symbols.index(n-th character);   row k holds text[k S], ..., text[k S + T]

A window of T + 1 characters has T to be guessed, each from those before it.
"""

from typing import Any

import numpy as np

from phistar.data import Dataset
from phistar.data.corpora import decoded
from phistar.data.images import file_parts
from phistar.errors import DataError

Array = np.ndarray[Any, Any]

SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))  # of ASCII: what the recipes' models know


def encode(text: str, symbols: str | None = None) -> tuple[Array, str]:
    """The characters' numbers, and the symbols they count: those of the text, in order.

    symbols: other ones. Raises DataError for a character that is not among them.
    """
    symbols = "".join(sorted(set(text))) if symbols is None else symbols
    number = {symbol: n for n, symbol in enumerate(symbols)}
    if unknown := sorted(set(text) - set(number)):
        raise DataError(f"the text has {unknown[0]!r}, which is not among {len(symbols)} symbols")
    dtype = np.uint8 if len(symbols) <= 256 else np.int64
    return np.array([number[c] for c in text], dtype), symbols


def decode(numbers: Any, symbols: str) -> str:
    """The text of these numbers."""
    return "".join(symbols[n] for n in numbers)


def windows(numbers: Array, length: int, stride: int | None = None) -> Dataset:
    """Rows `text` of length + 1 numbers, one every `stride` of them (None: every `length`).

    Nothing is copied. Raises DataError for a text that is shorter than a window.
    """
    if len(numbers) <= length:
        raise DataError(f"a text of {len(numbers)} has no window of {length + 1}")
    every = np.lib.stride_tricks.sliding_window_view(numbers, length + 1)
    return Dataset(text=every[:: length if stride is None else stride])


def shakespeare() -> str:
    """The text that the recipes learn: see `ph.data.shakespeare`."""
    (content,) = file_parts("shakespeare").values()
    return decoded(content, "input.txt")


def parts(
    text: str, length: int, share: float = 0.9, symbols: str | None = None
) -> tuple[Dataset, Dataset, str]:
    """Windows to train on, of the first share of a text, windows of the rest, and the symbols."""
    numbers, symbols = encode(text, symbols)
    end = int(share * len(numbers))
    return windows(numbers[:end], length), windows(numbers[end:], length), symbols
