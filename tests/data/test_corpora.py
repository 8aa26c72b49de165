"""Running text: rows of symbols and the same a symbol later; vocabularies."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.data.vocabulary import PADDING, UNKNOWN, Vocabulary, frequent
from phistar.errors import DataError

TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler" * 4


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_text(TEXT)
    (tmp_path / "ptb.train.txt").write_text(" the cat <unk> the \n the end \n")
    (tmp_path / "ptb.valid.txt").write_text(" the end \n the cat \n")
    (tmp_path / "ptb.test.txt").write_text(" a cat \n")
    return tmp_path


def test_shakespeare(own: Path) -> None:
    train, test = ph.data.shakespeare(length=5)
    end = int(0.9 * len(TEXT))
    assert len(train) == (end - 1) // 5 and len(test) == (len(TEXT) - end - 1) // 5
    x, y = train["x"], train["y"]
    assert x.dtype == y.dtype == np.int64
    assert_array_equal(x.reshape(-1)[1:], y.reshape(-1)[:-1])
    assert train.decode(0) == "To be" and test.vocabulary is train.vocabulary
    assert train.vocabulary.decode(x) == TEXT[: x.size]
    assert test.vocabulary.decode(test["y"]) == TEXT[end + 1 :][: test["y"].size]
    assert list(train.vocabulary.symbols) == sorted(set(TEXT))


def test_ptb(own: Path) -> None:
    train, test = ph.data.ptb(length=2)
    words = ["the", "cat", "<unk>", "the", "<eos>", "the", "end", "<eos>"]
    assert train.vocabulary.symbols == ("the", "<eos>", "<unk>", "cat", "end")
    assert [train.decode(n) for n in range(3)] == ["the cat", "<unk> the", "<eos> the"]
    assert train.vocabulary.decode(train["y"]) == " ".join(words[1:7])
    assert test.decode(0) == "<unk> cat"
    assert ph.data.ptb(length=2, test="validation")[1].decode(0) == "the end"


@pytest.mark.parametrize("length", [0, -1, 2.5, True])
def test_lengths_that_are_none(own: Path, length: int) -> None:
    with pytest.raises(DataError, match=f"shakespeare wants a length .* not {length}"):
        ph.data.shakespeare(length)


def test_a_text_that_is_too_short(own: Path) -> None:
    with pytest.raises(DataError, match="length=1,000 wants more text than 223 symbols"):
        ph.data.shakespeare(1000)


def test_another_test_set(own: Path) -> None:
    with pytest.raises(DataError, match="test is 'validation' or 'test', not 'dev'"):
        ph.data.ptb(test="dev")


def test_other_bytes(own: Path) -> None:
    (own / "tinyshakespeare" / "input.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"input.txt is damaged: it is not UTF-8"):
        ph.data.shakespeare()


def test_vocabulary() -> None:
    v = frequent([["b", "a"], ["b"], ["c"]])
    assert v.symbols == (PADDING, UNKNOWN, "b", "a", "c")
    assert len(v) == 5 and "b" in v and "x" not in v and v["x"] == 1
    assert_array_equal(v.encode(["b", "x"]), [2, 1])
    assert v.decode([2, 1, 0]) == "b <unk>"
    assert repr(v) == "Vocabulary of 5 symbols"
    assert len(frequent([["a", "b"]])) == 4


def test_symbols_that_are_not_there() -> None:
    with pytest.raises(DataError, match="'x' is not in the vocabulary, which has no <unk>"):
        Vocabulary("ab").encode("ax")
    with pytest.raises(DataError, match="'a' stands twice in a vocabulary"):
        Vocabulary("aba")
