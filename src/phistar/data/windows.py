"""Text as windows of tokens: what stands in a window, and what comes next.

x[n,t] = token[n*stride + t]     y[n,t] = token[n*stride + t + 1]
"""

from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.columns import Array, column
from phistar.data.dataset import Dataset
from phistar.data.lazy import Lazy
from phistar.data.needs import damage, existing, need
from phistar.errors import DataError


class Windows(Lazy):
    """Windows of a long row of tokens."""

    def __init__(self, tokens: Array, length: int, stride: int, shift: int) -> None:
        self.tokens, self.stride, self.shift = tokens, stride, shift
        self.shape = ((len(tokens) - 1 - length) // stride + 1, length)
        self.dtype = tokens.dtype

    def read(self, rows: Array) -> Array:
        places = rows[:, None] * self.stride + self.shift + np.arange(self.shape[1])
        found: Array = np.asarray(self.tokens[places])
        return found


class Text(Dataset):
    """Windows of a text; symbols: what each token stands for, where it is a character."""

    def __init__(self, tokens: Array, length: int, stride: int, symbols: str = "") -> None:
        self.symbols = symbols
        made = (Windows(tokens, length, stride, shift) for shift in (0, 1))
        super().__init__(**{n: column(w, "i64") for n, w in zip("xy", made, strict=True)})


def text(
    path: Any,
    length: int,
    *,
    by: str = "characters",
    tokenizer: Any = None,
    symbols: str | None = None,
    stride: int | None = None,
) -> Text:
    """Windows of `length` tokens of a text file: columns x, and y, one token later.

    by: "characters", numbered in the order of `symbols`, which are those of the text, sorted, if
    not given; or "bytes", which stay on the disk. tokenizer: a tokenizer.json that cuts the text
    (needs phistar[hub]). stride: from window to window; `length` if None.
    Raises DataError for a text that is too short or has other symbols.
    """
    path = existing(path)
    if min(length, length if stride is None else stride) < 1:
        raise DataError(f"a window has a length and a stride from 1 on, not {length} and {stride}")
    found = symbols or ""
    if tokenizer is not None:
        tokens = by_tokenizer(path, existing(tokenizer))
    elif by == "bytes":
        with damage(path, "text"):
            tokens = np.memmap(path, np.uint8, "r")
    elif by == "characters":
        content = content_of(path)
        found = "".join(sorted(set(content))) if symbols is None else symbols
        tokens = by_characters(content, found, path)
    else:
        raise DataError(f'text is read by "characters" or "bytes", not {by!r}')
    if len(tokens) <= length:
        raise DataError(f"{path} has {len(tokens):,} tokens, too few for windows of {length:,}")
    return Text(tokens, length, length if stride is None else stride, found)


def content_of(path: Path) -> str:
    with damage(path, "text"):
        return path.read_text(encoding="utf-8")


def by_characters(content: str, symbols: str, path: Path) -> Array:
    """The place of each character among the symbols."""
    if not content:
        return np.empty(0, np.uint8)
    codes = np.frombuffer(content.encode("utf-32-le"), np.uint32)
    known = np.array([ord(symbol) for symbol in symbols], np.uint32)
    by_code = np.argsort(known)
    place = np.minimum(np.searchsorted(known[by_code], codes), max(len(known) - 1, 0))
    if not len(known) or (strange := codes != known[by_code][place]).any():
        other = content[0] if not len(known) else chr(codes[strange][0])
        raise DataError(f"{path} has {other!r}, which is not among the {len(symbols)} symbols")
    return by_code[place].astype(np.uint8 if len(symbols) <= 256 else np.int32)


def by_tokenizer(path: Path, rules: Path) -> Array:
    tokenizers = need("tokenizers", "hub")
    with damage(rules, "tokenizer.json"):
        made = tokenizers.Tokenizer.from_file(str(rules))
    return np.array(made.encode(content_of(path), add_special_tokens=False).ids, np.int32)
