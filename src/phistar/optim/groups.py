"""Parameter groups: an optimizer for each pattern of names, or none for parameters that stay.

Groups({"embedding.*": None, "*.bias": SGD(0.1), "*": AdamW(1e-3)})           the first match wins
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.optimizer import Kept, chosen, write
from phistar.optim.wrapper import Whole, check_optimizer


@dataclass(frozen=True, eq=False)
class Groups(Whole):
    """Optimizers by patterns of parameters' dotted names (`*`, `?`, `[abc]`, as for files).

    A parameter belongs to the first pattern that matches; None leaves it as it is, and no gradient
    of it is computed. Raises UsageError for a pattern that no parameter belongs to (a last "*" may
    be left over), and for a parameter that no pattern matches.
    """

    optimizers: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.optimizers, Mapping) or not self.optimizers:
            raise UsageError(
                'Groups wants optimizers by patterns, as in {"*.bias": ph.SGD(0.1), "*": ...}, '
                f"not {self.optimizers!r}"
            )
        for pattern, optimizer in self.optimizers.items():
            if optimizer is not None:
                check_optimizer(
                    f"pattern {pattern!r} wants None or an optimizer, such as", optimizer
                )

    def __repr__(self) -> str:
        return f"Groups({dict(self.optimizers)!r})"

    def pattern(self, parameter: Parameter) -> str:
        """The first pattern that matches a parameter's name; UsageError if none does."""
        for pattern in self.optimizers:
            if fnmatchcase(parameter.name, pattern):
                return pattern
        raise UsageError(
            f"no pattern of {', '.join(map(repr, self.optimizers))} matches parameter "
            f'{parameter.name}: add "*" for all others, with None if they shall stay'
        )

    def chosen(self, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
        """All but those that stay as they are."""
        members: dict[str, list[Parameter]] = {pattern: [] for pattern in self.optimizers}
        for parameter in parameters:
            members[self.pattern(parameter)].append(parameter)
        self.refuse_empty(members, parameters)
        wanted = {
            p
            for pattern, own in members.items()
            if own and self.optimizers[pattern] is not None
            for p in chosen(self.optimizers[pattern], own)
        }
        return [p for p in parameters if p in wanted]

    def refuse_empty(
        self, members: Mapping[str, list[Parameter]], parameters: Sequence[Parameter]
    ) -> None:
        for pattern, own in members.items():
            if own or pattern == "*":
                continue
            names = [p.name for p in parameters]
            if any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(
                    f"every parameter that pattern {pattern!r} matches is matched by one before "
                    "it: put it first"
                )
            raise UsageError(f"pattern {pattern!r} matches none of {', '.join(names)}")

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        """Those of the parameter's own optimizer."""
        found: Mapping[str, Parameter] = self.optimizers[self.pattern(parameter)].states(parameter)
        return found

    def update_all(self, states: Kept, step: Tensor) -> None:
        """Each group's equations, over its parameters together."""
        for pattern, optimizer in self.optimizers.items():
            own = {p: kept for p, kept in states.items() if self.pattern(p) == pattern}
            if own:
                write(optimizer, own, step)
