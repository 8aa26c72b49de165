"""The pipeline on one page: from equations to a program that a backend can run.

    source         what the user wrote, with log(softmax) in its stable form
    differentiate  source, lifted, followed by its backward program: a source program again
    lower          no reduction nodes, nothing computed twice, products in a good order
    compile        the lowered program, compiled by a backend

Each pass is a function from program to program, in a file of its own in `transform`.
"""

import os
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from phistar.errors import BackendError, BackendWarning
from phistar.ir.check import check
from phistar.ir.program import Program, Tensor
from phistar.transform import differentiate as differentiation
from phistar.transform.chop import chop
from phistar.transform.contract import contract
from phistar.transform.differentiate import Differentiated as Differentiated
from phistar.transform.flatten import flatten
from phistar.transform.hoist import hoist
from phistar.transform.lift import lift
from phistar.transform.prune import prune
from phistar.transform.reuse import reuse
from phistar.transform.simplify import simplify
from phistar.transform.stabilise import stabilise

if TYPE_CHECKING:
    from phistar.backends.contract import Compiled

Pass = Callable[[Program], Program]

# What `lower` does, in this order: each pass relies on what the ones before it have done.
LOWERING: tuple[Pass, ...] = (
    chop,
    stabilise,
    lift,
    flatten,
    hoist,
    simplify,
    reuse,
    contract,
    prune,
)

# Where each backend's `compile` is.
BACKENDS = {
    "reference": "phistar.backends.reference",
    "numpy": "phistar.backends.arrays.numpy",
    "c": "phistar.backends.c",
    "xla": "phistar.backends.arrays.xla",
}


def source(program: Program) -> Program:
    """The program as it is shown and differentiated: stable."""
    return run_passes(program, (chop, stabilise))


def lower(program: Program) -> Program:
    """The program ready for a backend: flat, with nothing that no output needs."""
    return run_passes(program, LOWERING)


def compile(program: Program, backend: str | None = None) -> "Compiled":
    """The program, compiled: a function of arrays by name. BackendError for an unknown backend."""
    module = backend_module(default_backend() if backend is None else backend)
    compiled: Compiled = module.compile(lower(program))
    return compiled


def default_backend() -> str:
    """PHISTAR_BACKEND, else c where there is a C compiler, else numpy (said once)."""
    if named := os.environ.get("PHISTAR_BACKEND"):
        return named
    from phistar.backends.c.toolchain import find_compiler

    if find_compiler() is not None:
        return "c"
    say_without_compiler()
    return "numpy"


def eager_backend() -> str:
    """PHISTAR_BACKEND, else numpy: for values asked for one by one, where compiling takes longer
    than computing.
    """
    return os.environ.get("PHISTAR_BACKEND") or "numpy"


@cache
def say_without_compiler() -> None:
    """One warning a process."""
    warnings.warn(
        "there is no C compiler, so programs run on the numpy backend, more slowly: install cc, "
        "gcc or clang, or pip install ziglang; PHISTAR_BACKEND=numpy says that this is meant",
        BackendWarning,
        stacklevel=2,
    )


def backend_module(name: str) -> ModuleType:
    if name not in BACKENDS:
        known = ", ".join(BACKENDS)
        raise BackendError(f"there is no backend {name!r}; the backends are {known}")
    return import_module(BACKENDS[name])


def run_passes(program: Program, passes: Iterable[Pass]) -> Program:
    """The program after the passes; with PHISTAR_CHECK=1 it is checked after each."""
    for run in passes:
        program = checked(run(program))
    return program


def checked(program: Program) -> Program:
    """The program, which the checker has seen if PHISTAR_CHECK=1."""
    if os.environ.get("PHISTAR_CHECK") == "1":
        check(program)
    return program


# Derivatives --------------------------------------------------------------------------------------


def differentiate(
    program: Program,
    loss: Tensor,
    wrt: Iterable[Tensor] | None = None,
    given: bool = False,
    outputs: Iterable[Tensor] | None = None,
) -> Differentiated:
    """The program followed by its backward program: see `transform.differentiate`."""
    result = differentiation.differentiate(program, loss, wrt, given, outputs)
    checked(result.program)
    return result
