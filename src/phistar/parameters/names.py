"""From the names and axes of a file to those of a model, where conventions differ.

names       {"fc.weight": "W0"}, [(r"^module\\.", "")], or a function of a name
transpose   ["*.W"], or {"*.kernel": (3, 2, 0, 1)}, by the model's names
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from phistar.errors import UsageError, WeightsError, suggestion
from phistar.parameters.matching import listed

Names = (
    Mapping[str, str | None] | Sequence[tuple[str, str | None]] | Callable[[str], str | None] | None
)
Axes = tuple[int, ...]
Transpose = Iterable[str] | Mapping[str, Axes | None] | None


def renamed(found: Iterable[str], names: Names) -> dict[str, str]:
    """The model's name of each name in a file, but of those that a None leaves out.

    Raises UsageError for a map that names nothing in the file, WeightsError if two names become
    one.
    """
    found = list(found)
    rename = renaming(found, names)
    made: dict[str, str] = {}
    sources: dict[str, str] = {}
    for name in found:
        new = rename(name)
        if new is None:
            continue
        if new in sources:
            raise WeightsError(f"{sources[new]} and {name} would both be {new}")
        made[name], sources[new] = new, name
    return made


def renaming(found: list[str], names: Names) -> Callable[[str], str | None]:
    """A function of a name, whichever way the map was given."""
    if names is None:
        return lambda name: name
    if isinstance(names, Mapping):
        return by_name(found, names)
    if callable(names):
        return names
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise UsageError(
            "names is a dict, a list of (regular expression, replacement), or a function of a "
            f"name, not {names!r}"
        )
    return by_patterns(found, names)


def by_name(found: list[str], names: Mapping[str, str | None]) -> Callable[[str], str | None]:
    for name in names:
        if name not in found:
            raise UsageError(f"names has {name!r}, not in the file: {near(name, found)}")
    return lambda name: names.get(name, name)


def near(name: str, found: list[str]) -> str:
    """The name that was meant, or the first of those there are."""
    said = suggestion(name, found)
    return said if said.endswith("?") else f"there is {listed(found)}"


def by_patterns(
    found: list[str], names: Sequence[tuple[str, str | None]]
) -> Callable[[str], str | None]:
    """Each regular expression in turn, on what those before have made of a name."""
    rules = [compiled(rule) for rule in names]
    used = set()

    def rename(name: str) -> str | None:
        for n, (pattern, replacement) in enumerate(rules):
            if pattern.search(name):
                used.add(n)
                if replacement is None:
                    return None
                name = substituted(pattern, replacement, name)
        return name

    for name in found:
        rename(name)
    if unused := [p.pattern for n, (p, _) in enumerate(rules) if n not in used]:
        raise UsageError(f"nothing in the file matches {unused[0]!r}: there is {listed(found)}")
    return rename


def compiled(rule: object) -> tuple[re.Pattern[str], str | None]:
    """A rule of a list; UsageError if it is none."""
    match rule:
        case (str(pattern), str() | None as replacement):
            try:
                return re.compile(pattern), replacement
            except re.error as error:
                raise UsageError(f"{pattern!r} is no regular expression: {error}") from None
    raise UsageError(f"a list of names holds (regular expression, replacement), not {rule!r}")


def substituted(pattern: re.Pattern[str], replacement: str, name: str) -> str:
    try:
        return pattern.sub(replacement, name)
    except (re.error, IndexError) as error:
        raise UsageError(f"{replacement!r} cannot replace {pattern.pattern!r}: {error}") from None


def selected(names: Iterable[str], patterns: str | Iterable[str], what: str) -> list[str]:
    """The names that any of the patterns (`*`, `?`, `[abc]`) matches.

    Raises UsageError for a pattern that matches none.
    """
    names = list(names)
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(f"{what} {pattern!r} matches none of {listed(names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def transposition(
    names: Iterable[str], ranks: Mapping[str, int], transpose: Transpose
) -> dict[str, Axes]:
    """The order of axes of each name that has another one in the file; all backwards by default."""
    if transpose is None:
        return {}
    patterns = [transpose] if isinstance(transpose, str) else transpose
    rules = patterns if isinstance(patterns, Mapping) else dict.fromkeys(patterns)
    found: dict[str, Axes] = {}
    for pattern, axes in rules.items():
        for name in selected(names, pattern, "transpose's pattern"):
            backwards = tuple(range(ranks[name]))[::-1]
            found[name] = backwards if axes is None else tuple(axes)
            if tuple(sorted(found[name])) != backwards[::-1]:
                raise UsageError(
                    f"transpose has axes {axes} for {name}, which has {ranks[name]} axes"
                )
    return found
