"""What must be the same for a training to go on, and in words what is not.

the seed, the minibatches, the data (its form and a sample of its content), the equations, shapes
"""

import hashlib
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from phistar import compiler
from phistar.data.dataset import Dataset
from phistar.ir.printer import print_statement
from phistar.ir.program import Statement
from phistar.language.tensors import Parameter
from phistar.training.algorithm import Algorithm
from phistar.training.steps import Step

Settings = Mapping[str, Any]
Parts = Mapping[str, Algorithm]  # one, called "", or those that take turns

SAMPLE = 64  # rows of the data whose content is compared
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

# fmt: off
PLAIN = {  # setting: how it is called
    "seed":       "the seed",
    "batch_size": "the batch size",
    "shuffle":    "shuffle",
    "drop_last":  "drop_last",
    "examples":   "the number of examples",
}
EQUATIONS = {
    "forward":   "the equations of the model or of its loss are others",
    "constants": "a constant that the loss reads has another value",
}
# fmt: on


def settings_of(algorithms: Parts, data: Dataset, seed: int) -> dict[str, Any]:
    """All that the numbers of a training depend on, as JSON has it."""
    algorithm = next(iter(algorithms.values()))
    steps = [a.parts for a in algorithms.values()]
    return {
        "seed": int(seed),
        "batch_size": algorithm.batch.size,
        "shuffle": algorithm.shuffle,
        "drop_last": algorithm.drop_last,
        "examples": len(data),
        "data": {name: form_of(data.columns[name]) for name in sorted(data.columns)},
        "optimizer": ", ".join(
            f"{part}: {shown(a.optimizer)}" if part else shown(a.optimizer)
            for part, a in algorithms.items()
        ),
        "forward": digest_of(line for step in steps for line in text(step.forward)),
        "update": digest_of(line for step in steps for line in text(step.update)),
        "constants": digest_of(c for step in steps for c in constants(step)),
    }


def versions_of(algorithms: Parts) -> dict[str, str]:
    """What the bits may depend on, though nothing of the user's does."""
    from phistar import __version__

    algorithm = next(iter(algorithms.values()))
    return {
        "phistar": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "backend": algorithm.backend or compiler.default_backend(),
        "machine": platform.machine(),
    }


def shown(optimizer: Any) -> str:
    """How an optimizer is written; a function in it without its place in memory."""
    return ADDRESS.sub("", repr(optimizer))


def text(statements: Iterable[Statement]) -> Iterator[bytes]:
    return (print_statement(s).encode() for s in statements)


def constants(step: Step) -> Iterator[bytes]:
    """The values that are read and never written."""
    return (
        np.ascontiguousarray(t.data).tobytes()
        for _, t in sorted(step.kept.items())
        if not isinstance(t, Parameter)
    )


def digest_of(pieces: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(len(piece).to_bytes(8, "little") + piece)
    return found.hexdigest()


def form_of(column: Any) -> dict[str, Any]:
    """A column's form, and a checksum of some rows of it; none if a function draws them anew."""
    n = len(column)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64))
    looks = {digest_of([np.ascontiguousarray(column[rows]).tobytes()]) for _ in range(2)}
    return {
        "shape": list(column.shape),
        "type": column.dtype.value,
        "sample": looks.pop() if len(looks) == 1 else None,  # another one at every look
    }


def changes(then: Settings, now: Settings, same_phistar: bool) -> list[str]:
    """In words, what is not as it was; nothing if the training can go on.

    The text of equations is compared only for one and the same phistar: another may write the same
    program otherwise.
    """
    found = [
        f"{name} was {then.get(key)}, it is {now[key]} now"
        for key, name in PLAIN.items()
        if then.get(key) != now[key]
    ]
    found += changed_data(then.get("data", {}), now["data"], then.get("examples"), now["examples"])
    if then.get("optimizer") != now["optimizer"]:
        found.append(f"the optimizer was {then.get('optimizer')}, it is {now['optimizer']} now")
    if found or not same_phistar:
        return found
    found = [what for key, what in EQUATIONS.items() if then.get(key) != now[key]]
    if not found and then.get("update") != now["update"]:
        found.append(f"the equations of the optimizer {now['optimizer']} are others")
    return found


def changed_data(
    then: Mapping[str, Any], now: Mapping[str, Any], examples: Any, examples_now: int
) -> Iterator[str]:
    if set(then) != set(now):
        yield f"the data had the columns {', '.join(then)}, it has {', '.join(now)} now"
        return
    for name, form in now.items():
        for key in ("shape", "type"):
            if then[name].get(key) != form[key]:
                yield f"the {key} of column {name} was {then[name].get(key)}, it is {form[key]} now"
        same_form = {**then[name], "sample": 0} == {**form, "sample": 0}
        if same_form and examples == examples_now and then[name]["sample"] != form["sample"]:
            yield f"the data has other numbers in column {name}"


def other_versions(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What computes otherwise than it did: the bits may differ."""
    return [
        f"{name} was {then.get(name)}, it is {version} now"
        for name, version in now.items()
        if then.get(name) != version
    ]
