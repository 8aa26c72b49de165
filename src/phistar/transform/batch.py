"""Minibatching adds a batch index: in front of every tensor that depends on the batched inputs.

    h[j] = relu(Σ_i W[j, i] * x[i])      ->      h[b, j] = relu(Σ_i W[j, i] * x[b, i])

Parameters, and what depends on nothing but parameters, stay as they are. A random field gets the
index too, as its first: each example has its own numbers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from phistar.errors import ModelError, UsageError
from phistar.ir.build import whole
from phistar.ir.primitives import Op
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Random,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import (
    expressions,
    flat,
    fresh,
    map_assign,
    mentioned_indices,
    nodes,
    reads,
    replace_tensors,
    rewrite,
)
from phistar.transform.names import names_of

Starts = Callable[[Assign], bool]


def batch(program: Program, index: str, size: int, inputs: Iterable[str]) -> Program:
    """The program for `size` examples at a time; `inputs` names the tensors that get the index.

    Every output has the batch axis, in front; one that does not depend on the batched inputs is
    repeated. Raises ModelError where a parameter or a state would be updated with a batch axis,
    UsageError for a name that is no input.
    """
    chosen = {t.name: t for t in program.inputs}
    wanted = tuple(inputs)
    for name in wanted:
        if name not in chosen:
            raise UsageError(f"{name!r} is no input of {program.name}: it has {', '.join(chosen)}")
    statements = program.statements
    b = fresh(Index(index, size), every_index(statements))
    touched = dependent(statements, {chosen[name] for name in wanted}, draws)
    refuse_updates(statements, touched)
    batching = Batching(b, {t: with_axis(t, b) for t in touched})
    return repeated(batching.program(program), b, set(batching.new.values()))


def dependent(
    statements: tuple[Statement, ...], sources: Iterable[Tensor], starts: Starts | None = None
) -> set[Tensor]:
    """The sources, and every tensor that is computed from them or by a statement that `starts`."""
    readers: dict[Tensor, set[Tensor]] = {}
    found = set(sources)
    for a in flat(statements):
        if starts is not None and starts(a):
            found.add(a.target.tensor)
        for load in reads(a):
            readers.setdefault(load.tensor, set()).add(a.target.tensor)
    stack = list(found)
    while stack:
        new = readers.get(stack.pop(), set()) - found
        found |= new
        stack.extend(new)
    return found


def draws(a: Assign) -> bool:
    """Whether a statement has a random field in it."""
    return any(isinstance(node, Random) for e in expressions(a) for node in nodes(e))


def every_index(statements: Iterable[Statement]) -> Iterable[Index]:
    """Every index of the statements, those of scans and bound ones included."""
    for s in statements:
        if isinstance(s, Scan):
            yield s.index
            yield from every_index(s.body)
        else:
            yield from s.over
            for e in (s.target, *expressions(s)):
                yield from mentioned_indices(e)


def refuse_updates(statements: tuple[Statement, ...], touched: set[Tensor]) -> None:
    """ModelError if a parameter or a state would have to hold one value for each example."""
    from phistar.ir.printer import print_assign

    for a in flat(statements):
        tensor = a.target.tensor
        if tensor in touched and tensor.kind is not Kind.VALUE:
            text = a.origin.text if a.origin is not None and a.origin.text else print_assign(a)
            raise ModelError(
                f"{tensor.name} is one for all examples, but its update differs from one to the "
                f"next\n  {text}\n  reduce the right side over the batch, or leave the update out"
            )


def with_axis(tensor: Tensor, b: Index) -> Tensor:
    """The tensor with the batch axis in front."""
    halo = ((0, 0), *tensor.halo) if tensor.halo else ()
    return replace(tensor, shape=(b.size, *tensor.shape), halo=halo)


@dataclass(frozen=True)
class Batching:
    """The batch index, and what each tensor that gets it becomes."""

    index: Index
    new: dict[Tensor, Tensor]

    def program(self, program: Program) -> Program:
        return replace(
            program,
            statements=tuple(self.statement(s) for s in program.statements),
            inputs=tuple(self.new.get(t, t) for t in program.inputs),
            outputs=tuple(self.new.get(t, t) for t in program.outputs),
        )

    def statement(self, s: Statement) -> Statement:
        if isinstance(s, Scan):
            return replace(s, body=tuple(self.statement(inner) for inner in s.body))
        return map_assign(s, lambda e: rewrite(e, self.node)) if self.concerns(s) else s

    def concerns(self, a: Assign) -> bool:
        return a.target.tensor in self.new

    def node(self, e: Expr) -> Expr:
        if isinstance(e, Load) and e.tensor in self.new:
            first = Affine(((self.index, 1),))
            return Load(self.new[e.tensor], (first, *e.subscripts))
        if isinstance(e, Random):
            return replace(e, indices=(self.index, *e.indices))
        return e


# Outputs that are the same for every example ------------------------------------------------------


def repeated(program: Program, b: Index, batched: set[Tensor]) -> Program:
    """The program with outputs that have no batch axis repeated along one."""
    alone = tuple(t for t in dict.fromkeys(program.outputs) if t not in batched)
    if not alone:
        return program
    names = names_of(program)
    hidden = {
        t: replace(t, name=names.fresh(f"{t.name}.one")) for t in alone if t.kind is Kind.VALUE
    }
    statements = tuple(rename_statement(s, hidden) for s in program.statements)
    outputs, copies = list(program.outputs), []
    for tensor in alone:
        source = hidden.get(tensor, tensor)
        name = tensor.name if tensor in hidden else names.fresh(f"{tensor.name}.all")
        result = replace(with_axis(tensor, b), name=name, kind=Kind.VALUE)
        copies.append(copy(source, result, b))
        outputs = [result if t == tensor else t for t in outputs]
    return replace(program, statements=(*statements, *copies), outputs=tuple(outputs))


def rename_statement(s: Statement, names: dict[Tensor, Tensor]) -> Statement:
    if isinstance(s, Scan):
        return replace(s, body=tuple(rename_statement(inner, names) for inner in s.body))
    return map_assign(s, lambda e: replace_tensors(e, names))


def copy(source: Tensor, target: Tensor, b: Index) -> Assign:
    """target[b, n...] = source[n...]."""
    indices = tuple(Index(f"n{k}", size) for k, size in enumerate(source.shape, 1))
    b = fresh(b, indices)
    return Assign(whole(target, (b, *indices)), Op.SET, whole(source, indices))
