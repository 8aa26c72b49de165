"""Sentences to columns: padding to the longest, pairs, lengths; what is wrong in words."""

import sys
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from hub.tiny import tokenizer_file
from phistar.errors import DataError, UsageError
from phistar.hub import Tokenizer

pytest.importorskip("tokenizers")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tokenizer_file(tmp_path)
    return tmp_path / "tokenizer.json"


def test_sentences(path: Path) -> None:
    """Padded to the longest, though the file says ten."""
    columns = Tokenizer(path)(["a cat sat .", "the zebra"])
    assert_array_equal(columns["text"], [[2, 4, 5, 7, 11, 3], [2, 10, 1, 3, 0, 0]])
    assert_array_equal(columns["seen"], [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
    assert_array_equal(columns["kind"], [[0] * 6] * 2)
    assert {a.dtype.name for a in columns.values()} == {"int64"}


def test_one_sentence(path: Path) -> None:
    assert_array_equal(Tokenizer(path)("a dog")["text"], [[2, 4, 6, 3]])


def test_pairs(path: Path) -> None:
    columns = Tokenizer(path)(["a cat", "the dog sat"], ["the mat", "a"])
    assert_array_equal(columns["kind"], [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1]])
    assert_array_equal(columns["text"][1], [2, 10, 6, 7, 3, 4, 3])


def test_lengths(path: Path) -> None:
    long = " ".join(["cat"] * 20)
    assert Tokenizer(path)(long)["text"].shape == (1, 10)
    assert_array_equal(Tokenizer(path, length=4)(long)["text"], [[2, 5, 5, 3]])


def test_back_to_words(path: Path) -> None:
    tokenizer = Tokenizer(path)
    assert "cat sat" in tokenizer.decode(tokenizer("cat sat")["text"][0])
    assert repr(tokenizer) == f"Tokenizer({str(path)!r})"


@pytest.mark.parametrize("sentences", [[], [3], None, [["a"]]])
def test_what_is_no_sentence(path: Path, sentences: Any) -> None:
    with pytest.raises(UsageError, match="a tokenizer wants a sentence, or a list of sentences"):
        Tokenizer(path)(sentences)


def test_mistakes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there are 1 sentences, but 2 to pair with them"):
        Tokenizer(path)(["a"], ["a", "b"])
    for length in (1, 2.5, True):
        with pytest.raises(UsageError, match="length is a number of pieces, 2 at least"):
            Tokenizer(path, length=length)  # type: ignore[arg-type]
    path.write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer, or damaged: "):
        Tokenizer(path)("a")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(
        DataError, match=r"tokenizers, which is not here: pip install phistar\[hub\]"
    ):
        Tokenizer(path)("a")
