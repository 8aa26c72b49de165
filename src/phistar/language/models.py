"""Models: objects that hold parameters, states and other models, found by their dotted names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from phistar.errors import ModelError
from phistar.ir.program import Kind
from phistar.language import initial
from phistar.language.tensors import Changes, Parameter, Tensor


class Model:
    """Base of a user's models: `self.W = ph.param(...)` in `__init__`, equations in `__call__`.

    Parameters and states may also stand in lists, dicts and other models; the same object reached
    by two ways is shared and has its first name. `training` tells training from evaluation.
    """

    training: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        Changes.count += 1
        if name == "training":
            for model in submodels(self):
                object.__setattr__(model, "training", bool(value))
            return
        if isinstance(value, Parameter) and not value.name:
            value.name = name
        object.__setattr__(self, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ModelError(f"{type(self).__name__} has no equations: define __call__(self, x)")

    def named_tensors(self) -> dict[str, Parameter]:
        """Every parameter and state by its dotted name, each object once."""
        found: dict[str, Parameter] = {}
        seen: set[int] = set()
        for name, tensor in walk(self, "", set()):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                found[name] = tensor
        return found

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters by name."""
        return {n: t for n, t in self.named_tensors().items() if t.kind is Kind.PARAMETER}

    @property
    def states(self) -> dict[str, Parameter]:
        """The states by name."""
        return {n: t for n, t in self.named_tensors().items() if t.kind is Kind.STATE}

    def initialize(self, seed: int = 0) -> None:
        """Give every parameter and state that has no value yet its initial value."""
        for name, tensor in self.named_tensors().items():
            if tensor.data is None:
                tensor.name = name
                initial.materialize(tensor, seed)

    def __repr__(self) -> str:
        lines = [
            f"  {name}: {t.kind.value} {t.definition.shape or '?'}"
            for name, t in self.named_tensors().items()
        ]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


def check_model(model: Any) -> None:
    """ModelError if it is not a Model."""
    if not isinstance(model, Model):
        raise ModelError(f"a model is an object of a subclass of ph.Model, not {model!r}")


def aliases(model: Model) -> dict[str, str]:
    """The further names of shared parameters and states, and the first name of each."""
    first = {id(tensor): name for name, tensor in model.named_tensors().items()}
    return {n: first[id(t)] for n, t in paths(model, "", ()) if first[id(t)] != n}


def paths(holder: Any, prefix: str, above: tuple[int, ...]) -> Iterator[tuple[str, Parameter]]:
    """Every way to every parameter and state, also through models that were reached before."""
    if isinstance(holder, Parameter):
        yield prefix, holder
    elif isinstance(holder, Model | list | tuple | dict) and id(holder) not in above:
        for name, value in items(holder):
            inside = f"{prefix}.{name}" if prefix else str(name)
            yield from paths(value, inside, (*above, id(holder)))


def walk(holder: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Parameter]]:
    """The parameters and states inside a model, a list or a dict, with their dotted names."""
    if isinstance(holder, Parameter):
        yield prefix, holder
        return
    if not isinstance(holder, Model | list | tuple | dict) or id(holder) in seen:
        return
    seen.add(id(holder))
    for name, value in items(holder):
        yield from walk(value, f"{prefix}.{name}" if prefix else str(name), seen)


def items(holder: Any) -> Iterator[tuple[str, Any]]:
    match holder:
        case Model():
            yield from vars(holder).items()
        case dict():
            yield from ((str(k), v) for k, v in holder.items())
        case list() | tuple():
            yield from ((str(n), v) for n, v in enumerate(holder))


def submodels(model: Any, seen: set[int] | None = None) -> Iterator[Model]:
    """A model and every model inside it."""
    seen = set() if seen is None else seen
    if not isinstance(model, Model | list | tuple | dict) or id(model) in seen:
        return
    seen.add(id(model))
    if isinstance(model, Model):
        yield model
    for _, value in items(model):
        yield from submodels(value, seen)


def tensor_names(models: dict[str, Model]) -> dict[Tensor, str]:
    """The names of all tensors of a function's models: dotted paths, prefixed if several."""
    several = len(models) > 1
    names: dict[Tensor, str] = {}
    for argument, model in models.items():
        for name, tensor in model.named_tensors().items():
            names.setdefault(tensor, f"{argument}.{name}" if several else name)
    return names
