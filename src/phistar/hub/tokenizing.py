"""From sentences to the numbers of their pieces, as a model's tokenizer.json says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phistar.errors import DataError, UsageError

Array = np.ndarray[Any, Any]
EXTRA = "pip install phistar[hub]"


class Tokenizer:
    """A tokenizer.json, by the package `tokenizers`.

    tokenizer(["A sentence.", "Another."]) gives arrays [sentence, place] by name, as the columns
    of a data set: text (the numbers of the pieces), seen (1 where there is one, 0 where there is
    padding), kind (which of a pair of sentences). Shorter sentences are padded to the longest,
    longer ones cut to `length` pieces, or where tokenizer.json says.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        if length is not None and (type(length) is not int or length < 2):
            raise UsageError(f"length is a number of pieces, 2 at least, not {length!r}")
        self.path, self.length = path, length
        self._made: Any = None

    def __repr__(self) -> str:
        return f"Tokenizer({str(self.path)!r})"

    @property
    def made(self) -> Any:
        """The package's own object; DataError if the package is not here, or the file damaged."""
        if self._made is None:
            self._made = opened(self.path)
            self._made.no_padding()
            if self.length is not None:
                self._made.enable_truncation(self.length)
        return self._made

    def __call__(
        self, sentences: str | Sequence[str], pairs: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """The pieces of each sentence, or of each pair of sentences."""
        given = [sentences] if isinstance(sentences, str) else list(sentences or ())
        if not given or not all(isinstance(s, str) for s in [*given, *(pairs or ())]):
            raise UsageError("a tokenizer wants a sentence, or a list of sentences")
        if pairs is not None and len(pairs) != len(given):
            raise UsageError(
                f"there are {len(given)} sentences, but {len(pairs)} to pair with them"
            )
        texts = given if pairs is None else list(zip(given, pairs, strict=True))
        pieces = self.made.encode_batch(texts)
        width = max(len(p.ids) for p in pieces)
        pad = self.made.token_to_id("[PAD]") or 0
        return {
            "text": table([p.ids for p in pieces], width, pad),
            "seen": table([p.attention_mask for p in pieces], width, 0),
            "kind": table([p.type_ids for p in pieces], width, 0),
        }

    def decode(self, ids: Sequence[int] | Array) -> str:
        """The sentence that pieces make."""
        text: str = self.made.decode([int(n) for n in ids])
        return text


def opened(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer as Made
    except ImportError:
        raise DataError(
            f"{path} is read by the package tokenizers, which is not here: {EXTRA}"
        ) from None
    try:
        return Made.from_file(str(path))
    except Exception as error:  # the package raises plain Exceptions
        raise DataError(f"{path} is not a tokenizer, or damaged: {error}") from None


def table(rows: list[list[int]], width: int, filler: int) -> Array:
    made = np.full((len(rows), width), filler, np.int64)
    for n, row in enumerate(rows):
        made[n, : len(row)] = row
    return made
