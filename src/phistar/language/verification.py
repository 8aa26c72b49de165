"""`ph.check_gradients`: every backward statement against finite differences."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from phistar import compiler, verify
from phistar.errors import UsageError
from phistar.language.evaluation import current_seed, given_value, input_values
from phistar.language.expression import Expr
from phistar.language.tensors import Tensor


def check_gradients(f: Any, *args: Any, **kwargs: Any) -> verify.Report:
    """Check every backward statement of f(*args) against finite differences in float64.

    f: a function, called with args (as in `ph.trace`), or a tensor or expression. Returns a report
    that prints a verdict for each statement (kinks are recognised); raises GradientMismatch naming
    the first statement that is wrong.
    """
    report = gradient_report(f, args, kwargs, sys._getframe(1))
    report.raise_for_mismatch()
    return report


def gradient_report(
    f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], frame: FrameType | None = None
) -> verify.Report:
    """The verdicts, whatever they are; frame: where an expression's names are sought."""
    if isinstance(f, Tensor | Expr):
        from phistar.language.gradients import assemble_source

        assembled = assemble_source(f, frame or sys._getframe(1))
        program, values = compiler.source(assembled.program), input_values(assembled)
    elif callable(f):
        from phistar.language.traced import trace

        traced = trace(f, *args, **kwargs)
        program = traced.source
        values = {
            name: traced.bound.values[name]
            if name in traced.bound.values
            else given_value(definition.owner)
            for name, definition in traced.assembled.inputs.items()
        }
    else:
        raise UsageError(f"ph.check_gradients wants a function or a tensor, not {f!r}")
    return verify.check_program(program, values, seed=current_seed())
