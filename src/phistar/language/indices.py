"""Declaring indices: `b, i, j = ph.indices("b i j")`, `ph.index("j", 128)`.

An index is a loop variable that lives in one statement at a time; two objects with one name are the
same index wherever they meet.
"""

from phistar.errors import UsageError
from phistar.language.expression import Index

RESERVED = frozenset({"first", "last", "if", "for", "over", "scan", "backwards"})


def index(name: str, size: int | None = None) -> Index:
    """One index, with a range of `size` if given, else inferred in each statement.

    Raises UsageError if the name is not an identifier or the size is negative.
    """
    if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
        raise UsageError(f"{name!r} cannot name an index: take a word such as b, i or time")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise UsageError(f"index {name} cannot have size {size!r}: it counts 0, 1, ... size - 1")
    return Index(name, size)


def indices(names: str, **sizes: int) -> Index | tuple[Index, ...]:
    """The indices named in a string, split at spaces or commas: one object, or a tuple of several.

    `ph.indices("v z", v=2, z=2)` declares sizes as well.
    """
    words = names.replace(",", " ").split()
    if not words:
        raise UsageError('ph.indices wants names: b, i, j = ph.indices("b i j")')
    if unknown := sorted(set(sizes) - set(words)):
        raise UsageError(f"ph.indices got a size for {', '.join(unknown)}, not among {names!r}")
    if len(set(words)) < len(words):
        raise UsageError(f"ph.indices names an index twice: {names!r}")
    made = tuple(index(word, sizes.get(word)) for word in words)
    return made[0] if len(made) == 1 else made
