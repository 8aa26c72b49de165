"""The element type of every tensor a group of equations defines.

Types flow from the right side to the left. Inside a scan a tensor may be read before the equation
that tells its type (`c[b, first - 1, j] = 0`, then c in its own update): such reads are weak until
something strong is met.
"""

from __future__ import annotations

from phistar.ir.dtypes import AnyType, DType, Weak
from phistar.language.equations import Equation, elements, join_dtypes
from phistar.language.lowering import type_of_value
from phistar.language.tensors import Definition


def find_types(equations: list[Equation]) -> None:
    """Set the type of every definition; DTypeError where types do not mix."""
    waiting = [e for e in equations if e.settled]
    open_definitions = {e.definition for e in waiting if not isinstance(e.definition.dtype, DType)}
    while waiting:
        ready = [e for e in waiting if not reads_open(e, open_definitions)] or waiting[:1]
        for equation in ready:
            dtype = type_of_value(equation, open_definitions)
            join_dtypes(equation.definition, dtype, equation)
            equation.dtype = dtype
            waiting.remove(equation)
            if isinstance(equation.definition.dtype, DType):
                open_definitions.discard(equation.definition)
        close_finished(open_definitions, waiting)
    for equation in equations:
        if equation.settled:  # once more, now that every type is known
            join_dtypes(equation.definition, type_of_value(equation, set()), equation)


def reads_open(equation: Equation, open_definitions: set[Definition]) -> bool:
    return any(e.definition in open_definitions for e in elements(equation.value))


def close_finished(open_definitions: set[Definition], waiting: list[Equation]) -> None:
    """Definitions whose equations are all typed, and weak, get their default type."""
    for definition in list(open_definitions):
        if not any(e.definition is definition for e in waiting):
            open_definitions.discard(definition)
            if all(e.settled for e in definition.equations) and len(definition.equations) > 1:
                definition.dtype = weak_default(definition.dtype)


def weak_default(dtype: AnyType | None) -> DType | None:
    return dtype.default if isinstance(dtype, Weak) else dtype
