"""When a loss is not finite: run that step again, keeping every tensor, and name what went wrong.

The first statement whose result is not finite though all it read was is the one that made the NaN.
If the parameters were not finite already, that statement is in the step before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from phistar import compiler
from phistar.errors import NotFiniteError
from phistar.ir.printer import print_statement
from phistar.ir.program import Assign, Const, Tensor
from phistar.ir.walk import flat, nodes, reads
from phistar.training.algorithm import Algorithm, Values, inputs_of

Array = np.ndarray[Any, Any]
Read = dict[str, Array]  # what a statement read, by name

SHOWN = 12  # examples of a minibatch in a message
MOST_SKIPPED = 100  # steps one after the other: nothing is learned any more


@dataclass(frozen=True, eq=False)
class Moment:
    """All that a step depends on. rows: which examples the minibatch has."""

    values: Values
    columns: Mapping[str, Array]
    rows: Array
    seed: int
    number: int


def refuse_not_finite(
    algorithm: Algorithm, loss: float, epoch: int, before: Moment | None, now: Moment
) -> NoReturn:
    """Raises NotFiniteError: which epoch and step, and what made the loss so."""
    what = f"the loss is {loss} at epoch {epoch + 1}, step {now.number + 1}"
    reason = bad_column(algorithm, now) or bad_statement(algorithm, now)
    if reason is None and before is not None:
        reason = bad_statement(algorithm, before)
        what += f"; the update of step {now.number} was not finite"
    raise NotFiniteError(f"{what}\n{reason or '  a parameter was not finite at the start'}")


def refuse_result(algorithm: Algorithm, last: Moment) -> NoReturn:
    """Raises NotFiniteError: the last update of a training was not finite."""
    what = f"the update of step {last.number + 1}, the last, was not finite"
    raise NotFiniteError(f"{what}\n{bad_statement(algorithm, last) or ''}".rstrip())


def spoiled(before: Values, after: Values) -> bool:
    """Whether numbers that were finite are so no more."""
    return any(
        array is not before.get(tensor)
        and not np.isfinite(array).all()
        and (tensor not in before or bool(np.isfinite(before[tensor]).all()))
        for tensor, array in after.items()
    )


def bad_column(algorithm: Algorithm, now: Moment) -> str | None:
    """The first column of the minibatch that is not finite."""
    step = algorithm.step_for(len(now.rows))
    for symbol in step.columns.values():
        array = now.columns[symbol.name]
        bad = ~np.isfinite(array)
        if bad.any():
            at = tuple(int(n) for n in np.argwhere(bad)[0])
            where = ", ".join(str(n) for n in (int(now.rows[at[0]]), *at[1:]))
            return f"  the data is not finite: {symbol.name}[{where}] is {array[at]}"
    return None


def bad_statement(algorithm: Algorithm, moment: Moment) -> str | None:
    """The first statement that made something not finite; None if its inputs were so already."""
    step = algorithm.step_for(len(moment.rows))
    known = inputs_of(step, moment.values, moment.columns, moment.number)
    if not all(np.isfinite(array).all() for array in known.values()):
        return None
    statements = tuple(flat(step.program.statements))
    everything = replace(step.program, outputs=tuple(dict.fromkeys(targets(statements))))
    results = compiler.compile(everything, algorithm.backend)(known, moment.seed, moment.number)
    culprit = first_not_finite(statements, known, results)
    if culprit is None:
        return None
    found, read = culprit
    place = f"          {Path(found.origin.file).name}:{found.origin.line}" if found.origin else ""
    return (
        f"  {print_statement(found)}{place}\n"
        f"  is the first statement whose result is not finite: "
        f"{first_element(found.target.tensor, results[found.target.tensor.name])}\n"
        f"  it read {', '.join(f'{name} {extent(a)}' for name, a in read.items()) or 'nothing'}\n"
        f"  the minibatch has the examples {some(moment.rows)}"
    )


def extent(array: Array) -> str:
    """from -0.5 to 2, or = 3"""
    if not array.size:
        return "(empty)"
    low, high = array.min(), array.max()
    return f"= {number(low)}" if low == high else f"from {number(low)} to {number(high)}"


def number(value: Any) -> str:
    return f"{value:.6g}" if np.issubdtype(np.asarray(value).dtype, np.floating) else str(value)


def some(rows: Array) -> str:
    """The first few of many."""
    return ", ".join(str(row) for row in rows[:SHOWN]) + (", ..." if len(rows) > SHOWN else "")


def targets(statements: tuple[Assign, ...]) -> Iterator[Tensor]:
    return (a.target.tensor for a in statements)


def first_not_finite(
    statements: tuple[Assign, ...], known: Mapping[str, Array], results: Mapping[str, Array]
) -> tuple[Assign, Read] | None:
    """The first statement whose result is not finite though what it read was; and what it read.

    A mask with an infinity of its own, where(u <= t, s[t, u], -inf), is not to blame: after one, it
    is the first statement that made a NaN of numbers and infinities.
    """
    history = list(read_and_result(statements, known, results))
    for a, read, result in history:
        if not finite([result]) and finite(read.values()) and not has_infinity(a):
            return a, read
    for a, read, result in history:
        if has_nan([result]) and not has_nan(read.values()):
            return a, read
    return next(((a, read) for a, read, result in history if not finite([result])), None)


def read_and_result(
    statements: tuple[Assign, ...], known: Mapping[str, Array], results: Mapping[str, Array]
) -> Iterator[tuple[Assign, Read, Array]]:
    """Each statement, what it read by name, and what it gave."""
    now = dict(known)
    for a in statements:
        tensor = a.target.tensor
        names = [load.tensor.name for load in reads(a) if load.tensor.name in now]
        read = {name: now[name] for name in names}
        now[tensor.name] = results[tensor.name]
        yield a, read, now[tensor.name]


def finite(arrays: Iterable[Array]) -> bool:
    return all(np.isfinite(array).all() for array in arrays)


def has_nan(arrays: Iterable[Array]) -> bool:
    return any(np.isnan(array).any() for array in arrays)


def has_infinity(a: Assign) -> bool:
    """Whether the user wrote an infinity into this statement."""
    return any(isinstance(e, Const) and not np.isfinite(e.value) for e in nodes(a.value))


def first_element(tensor: Tensor, array: Array) -> str:
    """h[3, 7] is nan"""
    at = tuple(int(n) for n in np.argwhere(~np.isfinite(array))[0])
    low = [-tensor.bounds(axis)[0] for axis in range(len(at))]
    subscripts = ", ".join(str(n - m) for n, m in zip(at, low, strict=True))
    return f"{tensor.name}{f'[{subscripts}]' if at else ''} is {array[at]}"
