"""Expressions as text in the user's notation, and error messages that point into that text.

Printers pass precedence down as an argument, one more for the right operand. Python's own order is
kept, so what is printed can be pasted back:  < <= ...  |  &  + -  * / // %  unary -  **
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from phistar.ir.primitives import Primitive as P
from phistar.ir.program import Origin
from phistar.language.expression import (
    Argument,
    Call,
    CastTo,
    Element,
    Expr,
    Index,
    Literal,
    RandomField,
    Reduced,
    SizeOf,
)
from phistar.language.subscripts import Edge, Padded

COMPARE, OR, AND, SUM, PRODUCT, UNARY, POWER = range(1, 8)
# fmt: off
INFIX: dict[P, tuple[str, int]] = {
    P.LESS: ("<", COMPARE),      P.LESS_EQUAL: ("<=", COMPARE),
    P.GREATER: (">", COMPARE),   P.GREATER_EQUAL: (">=", COMPARE),
    P.EQUAL: ("==", COMPARE),    P.NOT_EQUAL: ("!=", COMPARE),
    P.OR: ("|", OR),             P.AND: ("&", AND),
    P.ADD: ("+", SUM),           P.SUB: ("-", SUM),
    P.MUL: ("*", PRODUCT),       P.DIV: ("/", PRODUCT),
    P.FLOOR_DIV: ("//", PRODUCT), P.MOD: ("%", PRODUCT),
}
# fmt: on
DEEPEST = 60  # what is nested deeper is shown as ...
HERE = Path(__file__).parent
OURS = (str(HERE), str(HERE.parent / "training"))  # not where a user writes equations


class Text:
    """A line of text that remembers where each node stands in it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
        self.spans: dict[int, list[tuple[int, int]]] = {}

    def write(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def __str__(self) -> str:
        return "".join(self.parts)

    # The cases -----------------------------------------------------------------------------------

    def expr(self, e: Expr, context: int = 0, depth: int = 0) -> None:
        start = self.length
        if depth > DEEPEST:
            self.write("...")
        else:
            self.node(e, context, depth + 1)
        self.spans.setdefault(id(e), []).append((start, self.length))

    def node(self, e: Expr, context: int, depth: int) -> None:
        match e:
            case Literal():
                negative = not isinstance(e.value_, bool) and e.value_ < 0
                self.bracketed(repr(e.value_), UNARY if negative else POWER + 1, context)
            case Index():
                self.write(e.name)
            case SizeOf():
                self.write(f"{e.index.name}.size")
            case Argument():
                self.write(e.name)
            case Element():
                self.element(e.target.shown_name, e.subscripts, depth)
            case RandomField():
                self.element(e.distribution.value, e.indices, depth)
            case CastTo():
                self.write("cast(")
                self.expr(e.argument, 0, depth)
                self.write(f', "{e.dtype.value}")')
            case Reduced():
                self.reduced(e, depth)
            case Call():
                self.call(e, context, depth)
            case _:
                self.write(f"<{type(e).__name__}>")

    def bracketed(self, text: str, precedence: int, context: int) -> None:
        self.write(f"({text})" if precedence < context else text)

    def call(self, e: Call, context: int, depth: int) -> None:
        function = e.function
        if isinstance(function, P) and function in INFIX:
            symbol, precedence = INFIX[function]
            self.infix(symbol, precedence, precedence, precedence + 1, e.args, context, depth)
        elif function is P.POW:
            self.infix("**", POWER, POWER + 1, UNARY, e.args, context, depth)
        elif function in (P.NEG, P.NOT):
            self.open(UNARY, context)
            self.write("-" if function is P.NEG else "~")
            self.expr(e.args[0], UNARY, depth)
            self.close(UNARY, context)
        else:
            name = function.spelling if isinstance(function, P) else function.__name__
            self.write(f"{name}(")
            self.comma(e.args, depth)
            self.write(")")

    def infix(
        self,
        symbol: str,
        precedence: int,
        left: int,
        right: int,
        args: tuple[Expr, ...],
        context: int,
        depth: int,
    ) -> None:
        self.open(precedence, context)
        self.expr(args[0], left, depth)
        self.write(f" {symbol} ")
        self.expr(args[1], right, depth)
        self.close(precedence, context)

    def open(self, precedence: int, context: int) -> None:
        if precedence < context:
            self.write("(")

    def close(self, precedence: int, context: int) -> None:
        if precedence < context:
            self.write(")")

    def comma(self, items: Iterable[Expr], depth: int) -> None:
        for n, item in enumerate(items):
            if n:
                self.write(", ")
            self.expr(item, 0, depth)

    def reduced(self, e: Reduced, depth: int) -> None:
        self.write(f"{e.reduction.spelling}[")
        self.comma(e.indices, depth)
        if e.condition is not None:
            self.write(" : ")
            self.expr(e.condition, 0, depth)
        self.write("](")
        self.expr(e.body, 0, depth)
        self.write(")")

    def element(self, name: str, subscripts: tuple[Any, ...], depth: int) -> None:
        self.write(name)
        if not subscripts:
            return
        self.write("[")
        for n, s in enumerate(subscripts):
            if n:
                self.write(", ")
            self.subscript(s, depth)
        self.write("]")

    def subscript(self, s: Any, depth: int) -> None:
        match s:
            case Padded():
                self.write("pad(")
                self.expr(s.position, 0, depth)
                self.write(f", {s.low}")
                self.write("" if s.high == s.low else f", {s.high}")
                self.write("" if s.value == 0 else f", value={s.value!r}")
                self.write(")")
            case Edge():
                self.edge(s, depth)
            case tuple():
                self.write("(")
                self.comma(s, depth)
                self.write(")")
            case Expr():
                self.expr(s, 0, depth)
            case _:
                self.write("...")

    def edge(self, s: Edge, depth: int) -> None:
        self.write("last" if s.is_last else "first")
        offset = constant(s.offset)
        if offset is None:
            self.write(" + ")
            self.expr(s.offset, SUM + 1, depth)
        elif offset:
            self.write(f" {'-' if offset < 0 else '+'} {abs(offset)}")


def constant(e: Expr) -> int | None:
    """The value of an integer expression made of literals alone, else None."""
    match e:
        case Literal():
            whole = isinstance(e.value_, int) and not isinstance(e.value_, bool)
            return int(e.value_) if whole else None
        case Call(function=P.ADD | P.SUB | P.NEG | P.MUL as function, args=args):
            values = [constant(a) for a in args]
            if any(v is None for v in values):
                return None
            x, *rest = (v for v in values if v is not None)
            return {
                P.ADD: lambda: x + rest[0],
                P.SUB: lambda: x - rest[0],
                P.MUL: lambda: x * rest[0],
                P.NEG: lambda: -x,
            }[function]()
    return None


def show(e: Expr) -> str:
    """An expression as the user would write it."""
    text = Text()
    text.expr(e)
    return str(text)


def show_subscript(s: Any) -> str:
    text = Text()
    text.subscript(s, 0)
    return str(text)


def equation_text(name: str, subscripts: tuple[Any, ...], op: str, value: Expr) -> Text:
    """target op value, as the user would write it."""
    text = Text()
    text.element(name, subscripts, 0)
    text.write(f" {op} ")
    text.expr(value)
    return text


def explain(
    what: str, text: Text, origin: Origin | None, facts: str = "", marked: Iterable[Expr] = ()
) -> str:
    """An error message: what is wrong, the equation with carets and its place, the facts."""
    line = str(text)
    lines = [what, f"  {line}" + (f"          {place(origin)}" if origin else "")]
    marks = {span for node in marked for span in text.spans.get(id(node.written), ())}
    if marks:
        under = [" "] * len(line)
        for start, end in marks:
            under[start:end] = "^" * (end - start)
        lines.append("  " + "".join(under).rstrip())
    if facts:
        lines.append(f"  {facts}")
    return "\n".join(lines)


def place(origin: Origin) -> str:
    return f"{Path(origin.file).name}:{origin.line}"


def written_at() -> Origin:
    """Where the user's code called into phistar's language: the file and the line."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno)
