"""Many steps of training as one call of a compiled program that gathers its own minibatches.

x[b, i] = cast(x.data[x.rows[b], i], f32) / 255       in front of the step's statements
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from phistar import compiler
from phistar.backends.contract import repeat
from phistar.data.columns import Column, column
from phistar.ir.build import apply, cast, load
from phistar.ir.dtypes import DType, as_dtype
from phistar.ir.primitives import Op, Primitive
from phistar.ir.program import Assign, Expr, Index, Kind, Load, Program, Tensor
from phistar.ir.walk import map_assign, map_statements, replace_tensors
from phistar.language.tensors import Tensor as Kept
from phistar.training.steps import Step
from phistar.transform.names import names_of

Array = np.ndarray[Any, Any]
Form: TypeAlias = tuple[tuple[str, tuple[int, ...], str, DType, float | None], ...]


def form_of(columns: Mapping[str, Any]) -> Form:
    """What a compiled loop depends on: the shape and the types of each column."""
    found = {name: as_column(name, values) for name, values in columns.items()}
    return tuple(
        (name, c.array.shape, c.array.dtype.str, c.dtype, c.divisor) for name, c in found.items()
    )


def as_column(name: str, values: Any) -> Column:
    return values if isinstance(values, Column) else column(values, name=name)


def compiles_loops(backend: str | None) -> bool:
    """The backend does many steps in one call."""
    return (backend or compiler.default_backend()) == "c"


def loopable(data: Column) -> bool:
    """A compiled program can read the column where it lies, in memory or in a mapped file."""
    stored = data.array
    if not isinstance(stored, np.ndarray):
        return False
    return stored.flags.c_contiguous and stored.flags.aligned and stored.dtype.isnative


class Loop:
    """One step, compiled with the gathering of its minibatch."""

    def __init__(
        self, step: Step, columns: Mapping[str, Any], backend: str | None, build: bool = True
    ) -> None:
        self.step = step
        self.data: dict[str, tuple[str, str]] = {}  # column: the inputs of its data and its rows
        self.program = self.gathering(columns)
        if build:
            self.compiled = compiler.compile(self.program, backend)

    def gathering(self, columns: Mapping[str, Any]) -> Program:
        """The step's program, its columns read from whole data sets."""
        program, names = self.step.program, names_of(self.step.program)
        inputs, first, renamed = list[Tensor](), list[Assign](), dict[Tensor, Tensor]()
        for t in program.inputs:
            symbol = self.step.columns.get(t.name)
            if symbol is None:
                inputs.append(t)
                continue
            name = str(symbol.name)
            stored = as_column(name, columns[name])
            data = Tensor(
                names.fresh(f"{t.name}.data"),
                stored.array.shape,
                as_dtype(stored.array.dtype),
                Kind.INPUT,
            )
            rows = Tensor(names.fresh(f"{t.name}.rows"), t.shape[:1], DType.I64, Kind.INPUT)
            inputs += [data, rows]
            self.data[name] = data.name, rows.name
            renamed[t] = replace(t, kind=Kind.VALUE)
            first.append(gather(renamed[t], data, rows, stored.divisor))

        def change(e: Expr) -> Expr:
            return replace_tensors(e, renamed)

        later = map_statements(program.statements, lambda a: [map_assign(a, change)])
        return replace(program, statements=(*first, *later), inputs=tuple(inputs))

    def run(
        self,
        values: Mapping[Kept, Array],
        columns: Mapping[str, Any],
        rows: Array,
        seed: int,
        number: int,
    ) -> tuple[Array, dict[Kept, Array]]:
        """The loss of each step, and the values that were updated."""
        rows = np.ascontiguousarray(rows, np.int64)
        given = self.step.values(values)
        varying: dict[str, Array] = {}
        for name, (data, numbers) in self.data.items():
            stored = as_column(name, columns[name])
            assert isinstance(stored.array, np.ndarray)  # it is loopable
            given[data] = stored.array
            varying[numbers] = rows if stored.rows is None else stored.rows[rows]
        if self.step.counter is not None:
            varying[self.step.counter] = np.arange(number, number + len(rows), dtype=np.int64)
        results = repeat(self.compiled, given, varying, seed, number)
        new = {o: results[name] for name, o in self.step.kept.items() if name in results}
        return results[self.step.loss.name], new


def gather(x: Tensor, data: Tensor, rows: Tensor, divisor: float | None) -> Assign:
    """x[b, ...] = data[rows[b], ...], as the model sees it."""
    indices = tuple(Index(f"i{n}", size) for n, size in enumerate(x.shape))
    row = load(rows, indices[0])
    value: Expr = load(data, row, *indices[1:])
    if data.dtype is not x.dtype:
        value = cast(value, x.dtype)
    if divisor is not None:
        value = apply(Primitive.DIV, value, divisor)
    target = load(x, *indices)
    assert isinstance(target, Load)
    return Assign(target, Op.SET, value)
