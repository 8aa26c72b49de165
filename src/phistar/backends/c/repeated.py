"""Loop nests that come again with other tensors, as layer after layer does: one C function for all.

    static void nest_1(const struct run *run, long lo, long hi, float *restrict h, ...) { ... }
    nest_1(run, lo, hi, blocks_0_h, ...);
    nest_1(run, lo, hi, blocks_1_h, ...);

A compiler then reads and vectorises each once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

WORD = re.compile(r"\b[A-Za-z_]\w*")
COUNTED = re.compile(r"(acc|kept|at|place)\d+(_nan|_place)?$")  # names that a nest makes itself
LEAST = 6  # lines that are worth a function


@dataclass
class Nest:
    """The text of one loop nest: its equations as comments, its tables, its loops, the clock."""

    comments: list[str]
    tables: list[str]
    lines: list[str]
    before: list[str]
    after: list[str]


@dataclass
class Body:
    """A function in the making: what stands before the nests, and them."""

    head: str
    pointers: dict[str, str]  # of each tensor that it uses: "float *restrict h"
    scans: tuple[str, ...]
    nests: list[Nest]


@dataclass(frozen=True)
class Form:
    """A nest with numbers in place of names, and the tensors from outside it, in order."""

    text: str
    kinds: tuple[str, ...]
    scans: int
    tensors: tuple[str, ...]

    @property
    def key(self) -> tuple[str, tuple[str, ...], int]:
        return self.text, self.kinds, self.scans


def functions(bodies: Iterable[Body], names: Collection[str]) -> list[str]:
    """The C functions: those of nests that come again, then each body. names: of all tensors."""
    bodies = list(bodies)
    forms = {id(n): form(n, body, names) for body in bodies for n in body.nests}
    often = Counter(form.key for form in forms.values())
    shared: dict[object, str] = {}
    out: list[str] = []
    for body in bodies:
        for nest in body.nests:
            found = forms[id(nest)]
            if often[found.key] > 1 and len(nest.lines) >= LEAST and found.key not in shared:
                shared[found.key] = name = f"nest_{len(shared) + 1}"
                out.append(definition(name, nest, found, body))
    return [*out, *(written(body, forms, shared) for body in bodies)]


def form(nest: Nest, body: Body, names: Collection[str]) -> Form:
    """What tells nests apart but for the names of their tensors."""
    numbers: dict[str, str] = {}
    scans = {name: f"scan{n}" for n, name in enumerate(body.scans)}

    def number(match: re.Match[str]) -> str:
        word = match[0]
        if word in scans:
            return scans[word]
        if word not in names and not COUNTED.match(word):
            return word
        return numbers.setdefault(word, f"#{len(numbers)}")

    text = WORD.sub(number, "\n".join([*nest.tables, *nest.lines]))
    outside = tuple(word for word in numbers if word in body.pointers)
    kinds = tuple(numbers[w] + kind(body.pointers[w], w) for w in outside)
    return Form(text, kinds, len(scans), outside)


def kind(pointer: str, name: str) -> str:
    return pointer.removesuffix(name)


def definition(name: str, nest: Nest, found: Form, body: Body) -> str:
    """A nest as a function of its tensors, with the names that they have the first time."""
    given = [*(f"long {s}" for s in body.scans), *(body.pointers[w] for w in found.tensors)]
    head = [
        f"static __attribute__((noinline)) void {name}(",
        f"    const struct run *run, long lo, long hi{''.join(f', {g}' for g in given)}) {{",
    ]
    return "\n".join([*nest.comments, *head, *nest.tables, *nest.lines, "}"])


def written(body: Body, forms: Mapping[int, Form], shared: Mapping[object, str]) -> str:
    """A function; nests that come again are calls."""
    lines: list[str] = []
    tables: list[str] = []
    for nest in body.nests:
        found = forms[id(nest)]
        lines += [*nest.comments, *nest.before]
        if found.key in shared:
            given = "".join(f", {word}" for word in (*body.scans, *found.tensors))
            lines.append(f"    {shared[found.key]}(run, lo, hi{given});")
        else:
            lines += nest.lines
            tables += nest.tables
        lines += nest.after
    pointers = [f"    {p} = run->{name};" for name, p in body.pointers.items()]
    return "\n".join([body.head, *pointers, *tables, *lines, "}"])
