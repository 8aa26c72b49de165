"""C identifiers for names of the user's, and comments: nothing of theirs can become code.

An identifier is made of ASCII letters, digits and underscores only, is no word of C, of its headers
or of the run time's, and no two names of a program share one. σ becomes sigma.
"""

import re
import unicodedata
from collections.abc import Iterator

LENGTH = 48  # of an identifier; longer names are cut, and numbered where that makes two equal

WORDS = """
    auto break case char const continue default do double else enum extern float for goto if inline
    int long register restrict return short signed sizeof static struct switch typedef union
    unsigned void volatile while asm typeof bool true false nullptr constexpr thread_local alignas
    alignof static_assert linux unix i386 errno stdin stdout stderr main isnan isinf isfinite
    isnormal signbit fpclassify isgreater isgreaterequal isless islessequal islessgreater
    isunordered iseqsig issignaling iscanonical issubnormal iszero math_errhandling offsetof
    memcpy memset memmove malloc free calloc exit abort abs labs atomic_int team
    run lo hi chunk thread threads shape step steps seed arena call place fail failed
    at lane lanes acc best found tile rows cols
    """
TAKEN = frozenset(WORDS.split())
RESERVED = re.compile(
    r"_|[A-Z][A-Z0-9_]{2,}$"  # __builtin...; macros
    r"|.*_(f32|f64|u8|i8|i16|i32|i64|t)$"  # the run time's functions; types
    r"|(half|float|bfloat)_to_|team|pthread|phistar|product|atomic_|memory_order|vec|str|mem|is"
)


class Names:
    """The identifiers of one program: `names(key, "h.pre")` is h_pre each time."""

    def __init__(self) -> None:
        self._given: dict[object, str] = {}
        self.taken: set[str] = set()

    def __call__(self, key: object, name: str) -> str:
        """The identifier of a thing, made from its name the first time."""
        if key not in self._given:
            self._given[key] = self.fresh(name)
        return self._given[key]

    def fresh(self, name: str) -> str:
        """An identifier like the name, that nothing has yet."""
        wanted = identifier(name)
        for candidate in numbered(wanted):
            if candidate not in self.taken:
                break
        self.taken.add(candidate)
        return candidate


def numbered(name: str) -> Iterator[str]:
    yield name
    n = 2
    while True:
        yield f"{name}_{n}"
        n += 1


def identifier(name: str) -> str:
    """A C identifier that looks like the name."""
    letters = "".join(spelled(letter) for letter in unicodedata.normalize("NFC", name))
    letters = letters[:LENGTH].rstrip("_") or "x"
    if not letters[0].isalpha():
        letters = f"n{letters}"
    return f"{letters}_" if letters in TAKEN or RESERVED.match(letters) else letters


def spelled(letter: str) -> str:
    """One letter, in ASCII: é is e, σ is sigma, anything else its number."""
    if letter.isascii():
        return letter if letter.isalnum() else "_"
    plain = unicodedata.normalize("NFKD", letter)[0]
    if plain.isascii() and plain.isalnum():
        return plain
    words = unicodedata.name(plain, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        return words[words.index("LETTER") + 1].lower()
    return f"u{ord(letter):x}"


def comment(text: str) -> str:
    """A line of text as a C comment that ends where the line ends."""
    shown = "".join(c if c.isprintable() else "?" for c in text.replace("\n", " "))
    return f"// {shown.replace(chr(92), '|').replace('??/', '? ?/')}"
