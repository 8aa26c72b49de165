"""Values outside traced functions: computed when asked for, remembered until an input changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phistar import compiler
from phistar.errors import DefinitionError
from phistar.ir.program import Kind
from phistar.language import initial
from phistar.language.assembly import Assembled, assemble
from phistar.language.equations import Unit
from phistar.language.tensors import Definition, Parameter, Tensor

Array = np.ndarray[Any, Any]

_seed = 0


def seed(number: int) -> None:
    """Set the seed of random fields and of parameters that have no value yet."""
    global _seed
    _seed = int(number)


def current_seed() -> int:
    return _seed


def value_of(tensor: Tensor) -> Array:
    """The value of a tensor: given, initial, remembered, or computed now."""
    if tensor.kind is not Kind.VALUE:
        return given_value(tensor)
    definition = tensor.definition
    if definition.rank is None or not (definition.units or definition.equations):
        raise DefinitionError(
            f"{tensor.shown_name} has no value: it was never defined "
            f"(write {tensor.shown_name}[...] = ..., not {tensor.shown_name} = ...)"
        )
    assembled = assemble([definition])
    stamp = versions(assembled)
    if definition.cache is None or definition.cache[0] != stamp:
        array = run(assembled, [definition])[0]
        definition.cache = (stamp, array)
    return core(definition.cache[1], definition)


def given_value(tensor: Tensor) -> Array:
    """The value of an input, a parameter or a state."""
    if tensor.data is None and isinstance(tensor, Parameter):
        initial.materialize(tensor, _seed)
    if tensor.data is None:
        raise DefinitionError(f"{tensor.shown_name} has no value yet")
    return tensor.data


def versions(assembled: Assembled) -> tuple[Any, ...]:
    """What a remembered value depends on: the inputs' versions, the seed and the program's size."""
    inputs = assembled.inputs.values()
    return (_seed, len(assembled.program.statements), *((d.uid, d.owner.version) for d in inputs))


def core(array: Array, definition: Definition) -> Array:
    """An array without its halo."""
    if all(h == (0, 0) for h in definition.halo):
        return array
    shape = definition.shape
    assert shape is not None
    return array[
        tuple(slice(low, low + n) for (low, _), n in zip(definition.halo, shape, strict=True))
    ]


def input_values(assembled: Assembled) -> dict[str, Array]:
    return {name: given_value(d.owner) for name, d in assembled.inputs.items()}


def run(
    assembled: Assembled, wanted: Sequence[Definition], backend: str | None = None
) -> list[Array]:
    """Run a program on its tensors' own values; parameters and states that it updates are set."""
    compiled = compiler.compile(assembled.program, backend or compiler.eager_backend())
    results = compiled(input_values(assembled), seed=_seed, step=0)
    store_updates(results, assembled)
    return [np.asarray(results[assembled.records[d].name]) for d in wanted]


def store_updates(results: Mapping[str, Array], assembled: Assembled) -> None:
    """Give parameters and states the values a program returned for them."""
    for name, definition in assembled.inputs.items():
        if name in results and definition.owner.kind in (Kind.PARAMETER, Kind.STATE):
            definition.owner.data = np.asarray(results[name])
            definition.owner.version += 1


def run_update(unit: Unit) -> None:
    """An update outside a traced function happens at once."""
    run(assemble([], [unit]), [])
