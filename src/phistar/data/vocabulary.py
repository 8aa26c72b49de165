"""Words or characters as numbers and back: what a data set of text is made of.

number[symbol] = its place in the list of symbols; a symbol that is not there: that of UNKNOWN
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from phistar.data.dataset import Dataset
from phistar.errors import DataError

Numbers = np.ndarray[Any, np.dtype[np.int32]]

PADDING = "<pad>"  # number 0, where there is padding
UNKNOWN = "<unk>"


class Vocabulary:
    """Symbols, each with its number: `len(v)`, `v["word"]`, `v.symbols[3]`, `v.decode(numbers)`."""

    def __init__(self, symbols: Iterable[str], between: str = " ") -> None:
        self.symbols = tuple(symbols)
        self.between = between  # symbols of a text
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        if len(self.numbers) < len(self.symbols):
            twice = next(s for s, n in Counter(self.symbols).items() if n > 1)
            raise DataError(f"{twice!r} stands twice in a vocabulary")

    def __len__(self) -> int:
        return len(self.symbols)

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.numbers

    def __getitem__(self, symbol: str) -> int:
        number = self.numbers.get(symbol, self.numbers.get(UNKNOWN))
        if number is None:
            raise DataError(f"{symbol!r} is not in the vocabulary, which has no {UNKNOWN}")
        return number

    def encode(self, symbols: Iterable[str]) -> Numbers:
        """The numbers of symbols: words in a list, or the characters of a string."""
        return np.array([self[symbol] for symbol in symbols], np.int32)

    def decode(self, numbers: Any) -> str:
        """The text of numbers, without padding."""
        found = (self.symbols[int(number)] for number in np.asarray(numbers).reshape(-1))
        return self.between.join(symbol for symbol in found if symbol != PADDING)

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self):,} symbols"


def frequent(texts: Iterable[Sequence[str]]) -> Vocabulary:
    """The words of texts, the most frequent first, after <pad> and <unk>."""
    counts = Counter(chain.from_iterable(texts))
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return Vocabulary([PADDING, UNKNOWN, *words])


class TextDataset(Dataset):
    """A data set with the vocabulary of its text. `data.decode(3)`: the text of an example."""

    def __init__(self, vocabulary: Vocabulary, text: str, /, **columns: Any) -> None:
        super().__init__(**columns)
        self.vocabulary = vocabulary
        self.text = text  # the column that holds it

    def decode(self, row: int) -> str:
        """The text of an example."""
        return self.vocabulary.decode(self[row][self.text])


def check_length(length: int, name: str) -> None:
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise DataError(f"{name} wants a length of at least 1, a whole number, not {length!r}")
