"""Well-known running text for language models: rows of symbols, and the same a symbol later.

x[n, t] = text[n T + t]        y[n, t] = text[n T + t + 1]
"""

import numpy as np

from phistar.data.columns import column
from phistar.data.images import file_parts
from phistar.data.vocabulary import UNKNOWN, Numbers, TextDataset, Vocabulary, check_length
from phistar.errors import DataError

END = "<eos>"  # of a line
TRAINING = 0.9  # of the characters


def shakespeare(length: int = 64) -> tuple[TextDataset, TextDataset]:
    """Plays of Shakespeare, character by character: the first 90 % to train on, then the rest.

    Columns: x and y, i64 of shape (n, length): the characters' numbers, and those of the characters
    that follow them. Rows do not overlap; what does not fill one at the end is left out. There are
    1,115,394 characters, 65 different ones: `train.vocabulary`, by code point, has them all.
    Read from PHISTAR_DATA, else the cache, else fetched (1.1 MB). Raises DataError if no route has
    it, and for a length that the text does not have.
    Source: A. Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015; the text
    is in the public domain.
    """
    (content,) = file_parts("shakespeare").values()
    text = decoded(content, "input.txt")
    vocabulary = Vocabulary(sorted(set(text)), between="")
    numbers = vocabulary.encode(text)
    end = int(TRAINING * len(numbers))
    return (
        following(numbers[:end], vocabulary, length, "shakespeare"),
        following(numbers[end:], vocabulary, length, "shakespeare"),
    )


def ptb(length: int = 35, test: str = "test") -> tuple[TextDataset, TextDataset]:
    """The Penn Treebank's Wall Street Journal, word by word, as T. Mikolov prepared it.

    Columns: x and y, i64 of shape (n, length), as in `shakespeare`: 929,589 words to train on,
    10,000 different ones with <unk> and <eos>, which ends a line; `train.vocabulary`, the most
    frequent first. test: "test" or "validation", which of the two other texts is the second set.
    Raises DataError as `shakespeare` does.
    Source: T. Mikolov and others, Recurrent neural network based language model, Interspeech 2010.
    The text is the Linguistic Data Consortium's, for research.
    """
    files = {"validation": "ptb.valid.txt", "test": "ptb.test.txt"}
    check_test(test, files)
    parts = file_parts("ptb")
    words = {name: words_of(decoded(content, name)) for name, content in parts.items()}
    counted, counts = np.unique(words["ptb.train.txt"], return_counts=True)
    symbols = [str(counted[k]) for k in np.lexsort((counted, -counts))]
    vocabulary = Vocabulary(symbols if UNKNOWN in symbols else [*symbols, UNKNOWN])
    train, other = (vocabulary.encode(words[n]) for n in ("ptb.train.txt", files[test]))
    return following(train, vocabulary, length, "ptb"), following(other, vocabulary, length, "ptb")


def check_test(test: str, sets: dict[str, str]) -> None:
    if test not in sets:
        raise DataError(f"test is {' or '.join(map(repr, sets))}, not {test!r}")


def words_of(text: str) -> list[str]:
    """The words, and one more for the end of each line."""
    return [word for line in text.splitlines() for word in (*line.split(), END)]


def decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is damaged: it is not UTF-8 ({error})") from None


def following(numbers: Numbers, vocabulary: Vocabulary, length: int, name: str) -> TextDataset:
    """Rows of a text, and the same a symbol later."""
    check_length(length, name)
    rows = (len(numbers) - 1) // length
    if rows < 1:
        raise DataError(
            f"{name} with length={length:,} wants more text than {len(numbers):,} symbols"
        )
    x, y = (numbers[k : k + rows * length].reshape(rows, length) for k in (0, 1))
    return TextDataset(vocabulary, "x", x=column(x, "i64"), y=column(y, "i64"))
