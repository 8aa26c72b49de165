"""`ph.export_c`: an algorithm or a function as C that builds without phistar and without Python."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.c.export import Epochs, export
from phistar.errors import UsageError
from phistar.language.arguments import bind, function_name
from phistar.language.evaluation import given_value
from phistar.language.traced import called_as, trace_bound
from phistar.language.transformations import Transformed
from phistar.training.algorithm import Algorithm
from phistar.training.columns import as_dataset
from phistar.training.loop import Loop, as_column


def export_c(
    what: Algorithm | Callable[..., Any],
    folder: str | Path,
    *args: Any,
    data: Any = None,
    seed: int = 0,
    name: str | None = None,
) -> list[Path]:
    """Write a folder of C: a library, its header, a small main and the values it begins with.

    what: an algorithm made by `ph.compile`, with the data it trains on as `data=` (whose examples
    are to be a multiple of the minibatch, unless the algorithm drops the rest); or a function, with
    example arguments. Builds with `cc -O3 *.c -lm`; the program prints the loss of each epoch and
    writes what it updated, or what the function returns, to values/*.out.bin. Gives the files.
    Raises UsageError for a folder that is not empty.
    """
    if isinstance(what, Algorithm):
        return export_algorithm(what, Path(folder), data, seed, name or "train")
    return export_function(what, Path(folder), args, name)


def export_algorithm(
    algorithm: Algorithm, folder: Path, data: Any, seed: int, name: str
) -> list[Path]:
    if data is None:
        raise UsageError("export_c of an algorithm wants what it trains on: data=train")
    data = as_dataset(data)
    size = algorithm.batch.size
    if len(data) % size and not algorithm.drop_last:
        raise UsageError(
            f"{len(data)} examples are no whole number of minibatches of {size}: "
            "compile the algorithm with drop_last=True, or take another size"
        )
    start = algorithm.initial_values(seed)
    loop = Loop(algorithm.parts, data.columns, "c", build=False)
    values = {n: start[owner] for n, owner in algorithm.parts.kept.items()}
    for column, (stored, _) in loop.data.items():
        taken = as_column(column, data.columns[column])
        values[stored] = taken.array[:] if taken.rows is None else taken.array[taken.rows]
    epochs = Epochs(
        examples=len(data),
        batch=size,
        epochs=algorithm.epochs or 1,
        seed=seed,
        shuffle=algorithm.shuffle,
        loss=algorithm.parts.loss.name,
        rows=tuple(rows for _, rows in loop.data.values()),
        counter=algorithm.parts.counter,
    )
    return export(compiler.lower(loop.program), name, folder, values, epochs)


def export_function(
    f: Callable[..., Any], folder: Path, args: tuple[Any, ...], name: str | None
) -> list[Path]:
    plain = f.f if isinstance(f, Transformed) else f
    bound = bind(plain, args, {})
    values, bound.values = bound.values, {}
    traced = trace_bound(plain, bound)
    if isinstance(f, Transformed):
        traced = f.transform(traced)
    arrays: dict[str, Any] = {
        n: values[called]
        if (called := called_as(n, d)) in values
        else np.asarray(given_value(d.owner))
        for n, d in traced.assembled.inputs.items()
    }
    return export(compiler.lower(traced.source), name or function_name(plain), folder, arrays)
