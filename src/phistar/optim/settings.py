"""The numbers an optimizer is made with: what each may be, and how they are shown.

settle(self, rate=rate, beta1=fraction)      UsageError: beta1 of Adam must be from 0 to below 1
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from phistar.errors import UsageError

Check = Callable[[str, Any], Any]


def settle(optimizer: Any, **checks: Check) -> None:
    """Check fields of a frozen dataclass, by name, and set them to what the check gives."""
    for name, check in checks.items():
        words = name.replace("_", " ")
        the = "" if any(c.isdigit() for c in words) or words in ("eps", "rho", "alpha") else "the "
        found = check(f"{the}{words} of {type(optimizer).__name__}", getattr(optimizer, name))
        object.__setattr__(optimizer, name, found)


def rate(what: str, number: Any) -> Any:
    """A positive number, or a schedule: a function of the step number."""
    return number if callable(number) else positive(what, number)


def positive(what: str, number: Any) -> float:
    """number, if it is finite and greater than 0; else UsageError."""
    return positive_or(what, number, "a positive number")


def positive_or(what: str, number: Any, wanted: str) -> float:
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    if not plain or not math.isfinite(number) or number <= 0:
        raise UsageError(f"{what} must be {wanted}, not {number!r}")
    return float(number)


def not_negative(what: str, number: Any) -> float:
    """number, if it is finite and at least 0; else UsageError."""
    if number == 0 and not isinstance(number, bool):
        return 0.0
    return positive_or(what, number, "a number from 0 on")


def fraction(what: str, number: Any) -> float:
    """number, if it is at least 0 and less than 1; else UsageError."""
    found = not_negative(what, number)
    if found >= 1:
        raise UsageError(f"{what} must be from 0 to below 1, not {number!r}")
    return found


def above_one(what: str, number: Any) -> float:
    """number, if it is finite and greater than 1; else UsageError."""
    found = positive(what, number)
    if found <= 1:
        raise UsageError(f"{what} must be greater than 1, not {number!r}")
    return found


def counted(what: str, number: Any) -> int:
    """number, if it is a whole number from 1 on; else UsageError."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise UsageError(f"{what} must be a whole number from 1 on, not {number!r}")
    return number


def whole(what: str, number: Any) -> int:
    """number, if it is a whole number from 0 on; else UsageError."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise UsageError(f"{what} must be a whole number from 0 on, not {number!r}")
    return number


def one_of(*choices: str) -> Check:
    """A check for one of some words."""

    def check(what: str, word: Any) -> Any:
        if word not in choices:
            raise UsageError(f"{what} must be one of {', '.join(map(repr, choices))}, not {word!r}")
        return word

    return check


def rest(beta: float) -> float:
    """1 - beta as a person writes it: 0.1, not 0.09999999999999998."""
    return float(f"{1 - beta:.14g}")


def shown(optimizer: Any) -> str:
    """An optimizer as it was written: SGD(rate=0.1), without what was left as it is."""
    said = [
        f"{f.name}={getattr(optimizer, f.name)!r}"
        for n, f in enumerate(fields(optimizer))
        if n == 0 or getattr(optimizer, f.name) != f.default
    ]
    return f"{type(optimizer).__name__}({', '.join(said)})"


def written(name: str, arguments: Sequence[tuple[str, Any, Any]]) -> str:
    """A call as it was written: name, and (argument, value, default) for each argument."""
    said = [repr(v) if n == "" else f"{n}={v!r}" for n, v, default in arguments if v != default]
    return f"{name}({', '.join(said)})"
