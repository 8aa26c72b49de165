"""Sentences out of trees and reviews out of an archive: words, lengths, labels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_archives import tar_of

import phistar as ph
from phistar.data import sentiment
from phistar.data.places import cache_folder
from phistar.data.sentiment import phrases_of, split
from phistar.errors import DataError

TREES = {
    "train.txt": "(3 (2 A) (4 (3 good) (2 film)))\n(1 (2 No) (1 (1 -LRB-) (2 and\\/or)))\n",
    "dev.txt": "(0 (1 bad) (2 film))\n\n",
    "test.txt": "(2 A)\n(4 (2 A) (4 (2 very) (4 (3 good) (2 film))))\n",
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    (tmp_path / "sst").mkdir()
    for name, text in TREES.items():
        (tmp_path / "sst" / name).write_text(text)
    return tmp_path


def test_sst(own: Path) -> None:
    train, test = ph.data.sst(length=3)
    symbols = ("<pad>", "<unk>", "(", "A", "No", "and/or", "film", "good")
    assert train.vocabulary.symbols == symbols
    assert_array_equal(train["words"], [[3, 7, 6], [4, 2, 5]])
    assert_array_equal(train["label"], [3, 1])
    assert_array_equal(test["words"], [[3, 0, 0], [3, 1, 7]])
    assert_array_equal(test["length"], [1, 3])
    assert_array_equal(test["label"], [2, 4])
    assert all(test[name].dtype == np.int64 for name in test.columns)
    assert test.decode(1) == "A <unk> good"
    validation = ph.data.sst(test="validation")[1]
    assert validation["words"].shape == (1, 56) and validation["label"][0] == 0


def test_phrases(own: Path) -> None:
    train, _ = ph.data.sst(length=3, phrases=True)
    assert [train.decode(n) for n in range(5)] == ["A", "good", "film", "good film", "A good film"]
    assert_array_equal(train["label"][:5], [2, 3, 2, 4, 3])


@pytest.mark.parametrize(
    "line",
    ["(3 (2 A)", "3 A)", "(x A)", "(5 A)", "(3)", "A", "(2 A) (3 B)", "(3 A))", "(2 (3) (2 A))"],
)
def test_what_is_no_tree(own: Path, line: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        phrases_of(line)
    (own / "sst" / "dev.txt").write_text(f"(2 A)\n{line}\n")
    with pytest.raises(DataError, match=r"trees/dev.txt, line 2 is no tree: "):
        ph.data.sst(test="validation")


REVIEWS = {
    "aclImdb/train/pos/1_9.txt": b"Great!<br /><br />I don't think so.",
    "aclImdb/train/neg/0_1.txt": b"I think: bad, bad, bad",
    "aclImdb/train/pos/0_10.txt": b"Great",
    "aclImdb/train/unsup/0_0.txt": b"not counted",
    "aclImdb/test/neg/3_2.txt": b"Bad wine",
    "aclImdb/test/pos/3_7.txt": b"",
    "aclImdb/README": b"no review",
}


def test_imdb(own: Path) -> None:
    (own / "aclImdb_v1.tar.gz").write_bytes(tar_of(REVIEWS))
    train, test = ph.data.imdb(length=4, words=5)
    assert train.vocabulary.symbols == ("<pad>", "<unk>", "bad", "great", "i")
    texts = ["i <unk> bad bad", "great", "great <unk> i <unk>"]
    assert [train.decode(n) for n in range(3)] == texts
    assert_array_equal(train["label"], [0, 1, 1])
    assert_array_equal(train["length"], [4, 1, 4])
    assert_array_equal(test["words"], [[2, 1, 0, 0], [0, 0, 0, 0]])
    assert_array_equal(test["length"], [2, 0])
    assert len(ph.data.imdb(words=None)[0].vocabulary) == 9


def test_words_are_counted_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "aclImdb_v1.tar.gz").write_bytes(tar_of(REVIEWS))
    read = sentiment.reviews
    counted: list[str] = []

    def counting(content: bytes, name: str) -> object:
        counted.append(name)
        return read(content, name)

    monkeypatch.setattr(sentiment, "reviews", counting)
    first, again = (ph.data.imdb(length=4)[0] for _ in range(2))
    assert len(counted) == 1
    assert first.vocabulary.symbols == again.vocabulary.symbols
    for name in first.columns:
        assert_array_equal(first[name], again[name])
    (kept,) = (cache_folder() / "imdb").iterdir()
    kept.write_bytes(kept.read_bytes()[:-30])
    assert_array_equal(ph.data.imdb(length=4)[0]["words"], first["words"])
    assert len(counted) == 2
    (own / "aclImdb_v1.tar.gz").write_bytes(tar_of(REVIEWS | {"other": b""}))
    ph.data.imdb()
    assert len(counted) == 3


def test_no_room_for_words(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "aclImdb_v1.tar.gz").write_bytes(tar_of(REVIEWS))
    monkeypatch.setenv("PHISTAR_HOME", str(own / "aclImdb_v1.tar.gz"))
    with pytest.warns(UserWarning, match=r"words-.*npz could not be cached: .*Not a directory"):
        ph.data.imdb()


def test_words_of_a_review() -> None:
    assert split("It's 'great'!<br />10/10...") == ["it's", "great", "!", "10", "10"]


@pytest.mark.parametrize("words", [1, 2.0, True])
def test_a_vocabulary_that_is_too_small(words: int) -> None:
    with pytest.raises(DataError, match=f"imdb wants at least 2 words, .* not {words}"):
        ph.data.imdb(words=words)


def test_an_archive_without_reviews(own: Path) -> None:
    (own / "aclImdb_v1.tar.gz").write_bytes(tar_of({"x": b""}))
    with pytest.raises(DataError, match=r"has no reviews such as aclImdb/train/pos/0_9.txt"):
        ph.data.imdb()


@pytest.mark.parametrize("loader", [ph.data.sst, ph.data.imdb])
def test_lengths_that_are_none(own: Path, loader: object) -> None:
    with pytest.raises(DataError, match="wants a length of at least 1"):
        loader(length=0)
