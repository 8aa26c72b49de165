"""Every error phistar raises: what is wrong in the user's names, the equation, the facts.

Each class also derives from the built-in exception a Python programmer would expect to catch.
"""

from collections.abc import Iterable


class PhistarError(Exception):
    """The root of phistar's errors."""


class IndexRangeError(PhistarError, IndexError):
    """An index has two sizes or none, or a subscript reads outside its axis."""


class SubscriptError(PhistarError, IndexError):
    """A tensor has the wrong number or the wrong kind of subscripts."""


class SummationError(PhistarError, ValueError):
    """It is not clear over which product an index is to be summed."""


class DefinitionError(PhistarError, NameError):
    """A tensor is read before it is defined, defined twice, or defined with holes."""


class DTypeError(PhistarError, TypeError):
    """Types meet that phistar does not convert silently."""


class ShapeError(PhistarError, ValueError):
    """A value does not have the shape its tensor has."""


class ExpressionError(PhistarError, TypeError):
    """Python syntax that has no meaning on an expression, such as `if` or `and`."""


class GradientMismatch(PhistarError, ArithmeticError):
    """A backward statement disagrees with finite differences."""


class NotFiniteError(PhistarError, ArithmeticError):
    """A NaN or an infinity stands where a number must be."""


class ProgramError(PhistarError, ValueError):
    """A program breaks the grammar of the intermediate representation."""


class ParseError(PhistarError, SyntaxError):
    """Text is not a program in phistar's notation."""


class BackendWarning(UserWarning):
    """A backend is not what it could be: phistar goes on with another, or without its cache."""


class BackendError(PhistarError, RuntimeError):
    """A backend is unknown, or cannot run here."""


class CompileError(BackendError):
    """A C compiler does not compile what a backend wrote for it."""


class ModelError(PhistarError, ValueError):
    """A model holds something it cannot hold, or is used where it does not fit."""


class DataError(PhistarError, ValueError):
    """A data set is missing, damaged, or does not fit the model."""


class WeightsError(PhistarError, ValueError):
    """A file of parameter values is missing, damaged, or does not fit the model."""


class SnapshotError(PhistarError, ValueError):
    """A snapshot is damaged, cannot be written, or does not fit the training that is to go on."""


class SnapshotWarning(UserWarning):
    """A snapshot is damaged or was not written: phistar goes on without it."""


class UsageError(PhistarError, ValueError):
    """An option, a recipe or an argument that phistar does not know."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """For a word that is unknown: the nearest known one, or all of them."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(word, names, 1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there is {', '.join(names)}"
