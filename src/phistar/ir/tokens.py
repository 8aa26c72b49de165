"""Text to tokens, and the errors that point at one."""

import re
from dataclasses import dataclass
from typing import NoReturn

from phistar.errors import ParseError

TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+)
  | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?)
  | (?P<sum>Σ_)
  | (?P<name>[^\W\d]\w*(?:\.\w+)*'*)
  | (?P<string>"[^"\n]*")
  | (?P<op>\*\*|//|<=|>=|argmax=|argmin=|max=|min=|\+=|\*=|[-+*/%<>=()\[\]{},:&|~\#])
    """,
    re.VERBOSE,
)
REDUCING = re.compile(r"(argmax|argmin|max|min)=(?!=)")


@dataclass(frozen=True)
class Token:
    kind: str  # number, sum, name, string, op or end
    text: str
    column: int


class Line:
    """The tokens of one line, and a position among them."""

    def __init__(self, text: str, number: int) -> None:
        self.text = text
        self.number = number
        self.at = 0
        self.tokens = list(self.scan())

    def scan(self) -> "list[Token]":
        found: list[Token] = []
        position = 0
        while position < len(self.text):
            reducing = REDUCING.match(self.text, position)
            match = TOKEN.match(self.text, position)
            if reducing is not None:
                found.append(Token("op", reducing.group(), position))
                position = reducing.end()
                continue
            if match is None:
                self.fail(f"{self.text[position]!r} means nothing here", position)
            if match.lastgroup != "space":
                found.append(Token(match.lastgroup or "", match.group(), position))
            position = match.end()
        return [*found, Token("end", "", len(self.text))]

    def fail(self, message: str, column: int | None = None) -> NoReturn:
        column = self.here.column if column is None else column
        pointer = " " * column + "^"
        raise ParseError(
            f"line {self.number}, column {column + 1}: {message}\n  {self.text}\n  {pointer}"
        )

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def ahead(self, n: int = 1) -> Token:
        return self.tokens[min(self.at + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.here
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.here.text == text and self.here.kind != "end":
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        if self.here.text != text:
            found = self.here.text or "the end of the line"
            self.fail(f"expected {text!r}, found {found!r}")
        return self.take()

    def name(self, what: str) -> str:
        if self.here.kind != "name":
            self.fail(f"expected {what}, found {self.here.text or 'the end of the line'!r}")
        return self.take().text

    def whole(self, what: str) -> int:
        if self.here.kind != "number" or not self.here.text.isdigit():
            self.fail(f"expected {what}, found {self.here.text or 'the end of the line'!r}")
        return int(self.take().text)

    def end(self) -> None:
        if self.here.kind != "end":
            self.fail(f"expected the end of the line, found {self.here.text!r}")

    def closing(self) -> int:
        """How many tokens ahead the bracket that opens here is closed."""
        depth, n = 0, 0
        pairs = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
        while self.ahead(n).kind != "end":
            depth += pairs.get(self.ahead(n).text, 0)
            if depth == 0:
                return n
            n += 1
        self.fail("this bracket is never closed")
