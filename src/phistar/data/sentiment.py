"""Sentences and reviews with the opinion they express: words as numbers, padded, and a label.

words[n, t]     number of word t of text n; 0, <pad>, for t >= length[n]
"""

import re
from collections.abc import Iterator

from phistar.data.corpora import check_test, decoded
from phistar.data.images import file_parts
from phistar.data.numbered import Labelled, numbers_of, remembered
from phistar.data.vocabulary import TextDataset, Vocabulary, check_length, frequent
from phistar.errors import DataError

TOKEN = re.compile(r"\(|\)|[^\s()]+")
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[!?]")
ESCAPED = {"-LRB-": "(", "-RRB-": ")", "\\/": "/", "\\*": "*"}
REVIEW = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_\d+\.txt")


def sst(
    length: int = 56, test: str = "test", phrases: bool = False
) -> tuple[TextDataset, TextDataset]:
    """Sentences of film reviews, from very negative, 0, to very positive, 4: 8,544 and 2,210.

    Columns: words, i64 of shape (n, length), the words' numbers, then 0; length, i64, how many
    words there are; label, i64. Longer sentences are cut (the longest has 56 words). test: "test"
    or "validation" (1,101), which of the two other parts is the second set. phrases: train on
    every phrase of the sentences' trees as well, each with its own label. `train.vocabulary`: the
    words of the training sentences, the most frequent first, after <pad> and <unk>.
    Read from PHISTAR_DATA, else the cache, else fetched (0.8 MB). Raises DataError if no route has
    it, or for a damaged tree.
    Source: R. Socher and others, Recursive Deep Models for Semantic Compositionality Over a
    Sentiment Treebank, EMNLP 2013. For research.
    """
    files = {"validation": "trees/dev.txt", "test": "trees/test.txt"}
    check_test(test, files)
    check_length(length, "sst")
    parts = file_parts("sst")
    training, other = (
        list(trees(decoded(parts[name], name), name)) for name in ("trees/train.txt", files[test])
    )
    vocabulary = frequent(tree[-1][0] for tree in training)
    train = [p for tree in training for p in (tree if phrases else tree[-1:])]
    return (
        numbers_of(train, vocabulary).dataset(vocabulary, length),
        numbers_of([tree[-1] for tree in other], vocabulary).dataset(vocabulary, length),
    )


def trees(text: str, name: str) -> Iterator[Labelled]:
    """Of each line its phrases, the whole sentence last.

    tree = ( label word ) | ( label tree tree )
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield phrases_of(line)
            except (ValueError, IndexError):
                raise DataError(f"{name}, line {number} is no tree: {line[:60]}") from None


def phrases_of(line: str) -> Labelled:
    """The phrases of a tree, each after those that it consists of."""
    found: Labelled = []
    words: list[str] = []
    open_: list[tuple[int, int]] = []  # phrases that have not ended: label, first word
    tokens = iter(TOKEN.findall(line))
    for token in tokens:
        if token == "(":
            open_.append((int(next(tokens, "")), len(words)))
        elif token == ")":
            label, first = open_.pop()
            found.append((words[first:], label))
        else:
            words.append(unescaped(token))
    whole = found and not open_ and found[-1][0] == words
    if not whole or any(not 0 <= label <= 4 or not phrase for phrase, label in found):
        raise ValueError(line)
    return found


def unescaped(token: str) -> str:
    """A word as it was written: -LRB- is a parenthesis, \\/ a slash."""
    for written, meant in ESCAPED.items():
        token = token.replace(written, meant)
    return token


def imdb(length: int = 256, words: int | None = 20_000) -> tuple[TextDataset, TextDataset]:
    """Film reviews, negative, 0, or positive, 1: 25,000 to train on and 25,000 to test.

    Columns: words, i64 of shape (n, length), the numbers of the first words, then 0; length, i64,
    how many words of the row are a review's; label, i64. A word is a run of letters and digits, in
    lower case, with what follows an apostrophe (don't), or one of ! and ?. words: how large the
    vocabulary is, <pad> and <unk> included: the most frequent of the training set; None for all.
    Reviews come by label and number: shuffle them. Read from PHISTAR_DATA, else the cache, else
    fetched (84 MB); the words, counted once, are cached too. Raises DataError if no route has it.
    Source: A. Maas and others, Learning Word Vectors for Sentiment Analysis, ACL 2011.
    """
    check_length(length, "imdb")
    if words is not None and (isinstance(words, bool) or not isinstance(words, int) or words < 2):
        raise DataError(f"imdb wants at least 2 words, for <pad> and <unk>, not {words!r}")
    (content,) = file_parts("imdb").values()
    name = "aclImdb_v1.tar.gz"
    symbols, train, test = remembered("imdb", content, lambda: reviews(content, name))
    vocabulary = Vocabulary(symbols[:words])
    return train.dataset(vocabulary, length), test.dataset(vocabulary, length)


def reviews(content: bytes, name: str) -> tuple[Labelled, Labelled]:
    """Those to train on and those to test on, by label and number."""
    from phistar.data.archives import members  # slow to import, and seldom needed

    found: dict[str, dict[tuple[int, int], list[str]]] = {"train": {}, "test": {}}
    for path, text in members(content, name, lambda path: bool(REVIEW.fullmatch(path))):
        match = REVIEW.fullmatch(path)
        assert match
        key = int(match[2] == "pos"), int(match[3])
        found[match[1]][key] = split(decoded(text, path))
    if not (found["train"] and found["test"]):
        raise DataError(f"{name} has no reviews such as aclImdb/train/pos/0_9.txt")
    train, test = ([(r[key], key[0]) for key in sorted(r)] for r in found.values())
    return train, test


def split(text: str) -> list[str]:
    """The words of a review."""
    return WORD.findall(text.lower().replace("<br />", " "))
