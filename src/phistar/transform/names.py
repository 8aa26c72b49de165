"""Names for the tensors that passes introduce: `h.pre`, then `h.pre2`, `h.pre3`, ..."""

from collections.abc import Iterable

from phistar.ir.program import Index, Load, Program, Statement, Tensor
from phistar.ir.walk import flat


class Names:
    """The names that are taken in a program."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def fresh(self, name: str) -> str:
        """name, or name2, name3, ...: the first that is free."""
        return self._first_free(name, name, 2)

    def numbered(self, name: str) -> str:
        """name1, name2, ...: the first that is free."""
        return self._first_free(f"{name}1", name, 2)

    def _first_free(self, candidate: str, stem: str, n: int) -> str:
        while candidate in self.taken:
            candidate, n = f"{stem}{n}", n + 1
        self.taken.add(candidate)
        return candidate


def names_of(program: Program) -> Names:
    """The names of every tensor of a program."""
    return Names(tensor.name for tensor in tensors_of(program))


def tensors_of(program: Program) -> tuple[Tensor, ...]:
    """Every tensor of a program: its inputs, what its statements define, its outputs."""
    defined = targets(program.statements)
    return tuple(dict.fromkeys((*program.inputs, *defined, *program.outputs)))


def targets(statements: Iterable[Statement]) -> Iterable[Tensor]:
    """The tensor on the left of every assignment, in order."""
    return (a.target.tensor for a in flat(statements))


def covers(target: Load) -> bool:
    """Whether the subscripts are distinct bare indices that run over the whole tensor."""
    tensor = target.tensor
    if any(map(any, tensor.halo)):
        return False
    found: list[Index] = []
    for subscript, size in zip(target.subscripts, tensor.shape, strict=True):
        index = getattr(subscript, "bare", None)
        if index is None or index.size != size:
            return False
        found.append(index)
    return len(set(found)) == len(found)
