"""Texts as numbers, kept in the cache, so that words are counted once and not in every process.

numbers[starts[n] : ends[n]]        the words of text n: their places among all words, by frequency
"""

import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.columns import Array, column
from phistar.data.fetch import digest
from phistar.data.places import cache_folder
from phistar.data.vocabulary import PADDING, UNKNOWN, Numbers, TextDataset, Vocabulary, frequent
from phistar.data.writing import write_atomically

FORM = 1  # of the file, and of what counts as a word: another number, and all is counted anew

Labelled = list[tuple[list[str], int]]  # words and what they say


@dataclass(frozen=True)
class Texts:
    """Texts one after the other, where each ends, and a label each."""

    numbers: Numbers
    ends: Array
    labels: Array

    def dataset(self, vocabulary: Vocabulary, length: int) -> TextDataset:
        """The columns words, length and label; words that the vocabulary lacks are <unk>."""
        starts = np.concatenate([[0], self.ends])[:-1]
        lengths = np.minimum(self.ends - starts, length)
        rows = np.full((len(self.ends), length), vocabulary[PADDING], np.int32)
        for row, start, n in zip(rows, starts, lengths, strict=True):
            row[:n] = self.numbers[start : start + n]
        rows[rows >= len(vocabulary)] = vocabulary[UNKNOWN]
        return TextDataset(
            vocabulary,
            "words",
            words=column(rows, "i64"),
            length=column(lengths.astype(np.int32), "i64"),
            label=column(self.labels, "i64"),
        )


Numbered = tuple[list[str], Texts, Texts]  # all symbols, and the texts to train and to test on


def number(train: Labelled, test: Labelled) -> Numbered:
    """The texts by the words of those to train on, <pad> and <unk> before them."""
    vocabulary = frequent(text for text, _ in train)
    return list(vocabulary.symbols), numbers_of(train, vocabulary), numbers_of(test, vocabulary)


def numbers_of(examples: Labelled, vocabulary: Vocabulary) -> Texts:
    texts = [text for text, _ in examples]
    return Texts(
        vocabulary.encode(chain.from_iterable(texts)),
        np.cumsum([len(text) for text in texts], dtype=np.int64),
        np.array([label for _, label in examples], np.uint8),
    )


def remembered(
    name: str, content: bytes, read: Callable[[], tuple[Labelled, Labelled]]
) -> Numbered:
    """The texts in a file's content, from the cache, else as `read` gives them."""
    path = cache_folder() / name / f"words-{FORM}-{digest(content, 'sha256')[:16]}.npz"
    found = load(path)
    if found is None:
        found = number(*read())
        save(path, found)
    return found


def load(path: Path) -> Numbered | None:
    """What was kept; None if nothing was, or if it is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            symbols = file["symbols"].tobytes().decode().split("\n")
            train, test = (
                Texts(*(file[f"{part}_{name}"] for name in ("numbers", "ends", "labels")))
                for part in ("train", "test")
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return symbols, train, test


def save(path: Path, found: Numbered) -> None:
    symbols, *parts = found
    arrays: dict[str, Any] = {"symbols": np.frombuffer("\n".join(symbols).encode(), np.uint8)}
    for part, texts in zip(("train", "test"), parts, strict=True):
        arrays |= {f"{part}_{name}": array for name, array in vars(texts).items()}
    out = io.BytesIO()
    np.savez(out, **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [out.getvalue()])
    except OSError as error:
        warnings.warn(f"{path.name} could not be cached: {error}", stacklevel=2)
