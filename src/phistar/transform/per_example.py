"""Gradients with the sum over the batch left out: one for each example.

    W.grad[j, i] += Σ_b h.pre.grad[b, j] * x[b, i]
                                            ->    W.grad[b, j, i] += h.pre.grad[b, j] * x[b, i]

A tensor is *upstream* if it depends on no example: a parameter, or a function of parameters. Its
adjoint gets the batch axis, in front. A backward statement that runs over the batch leaves that sum
out; one that carries such an adjoint on keeps the axis; and what reaches an upstream tensor from no
example in particular (a regulariser) is spread evenly. The sum over the axis is the gradient.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from phistar.errors import ModelError, ShapeError, UsageError
from phistar.ir.program import (
    Affine,
    Assign,
    Expr,
    Index,
    Kind,
    Load,
    Program,
    Scan,
    Statement,
    Tensor,
)
from phistar.ir.walk import all_indices, flat, fresh, map_assign, reads, rewrite, target_indices
from phistar.transform.batch import dependent, every_index, with_axis
from phistar.transform.differentiate import constant, with_seed_one
from phistar.transform.lift import lift
from phistar.transform.names import Names, names_of
from phistar.transform.stabilise import stabilise
from phistar.transform.swap import Backward, swap
from phistar.transform.versions import commits, refuse_lost_values, versions


class Mixed(Enum):
    """Why a tensor that depends on the examples has no batch axis."""

    REDUCED = "reduced"  # it is one number for all examples, such as the loss or a mean
    HIDDEN = "hidden"  # its axes hold the examples in a way that no one subscript tells


Axis = int | Mixed


def per_example_gradients(
    program: Program, loss: Tensor, wrt: Iterable[Tensor], batched: Iterable[str]
) -> tuple[Program, Mapping[Tensor, Tensor]]:
    """The program of the gradients of each example, and which tensor holds which.

    batched: the inputs whose axis 0 is the batch. Each gradient has the batch axis in front, that
    of a batched input where it is. Raises ModelError naming a statement that uses several examples
    at a time together with a parameter, ShapeError if the batch axes differ.
    """
    wrt = tuple(wrt)
    size, sources = batch_of(program, tuple(batched))
    program = versions(stabilise(program))
    statements, updates = commits(program.statements)
    forward = lift(replace(program, statements=statements))
    backward = with_seed_one(swap(forward, loss, wrt))
    refuse_lost_values(forward.statements, backward.statements)
    examples = Examples.of(forward, backward, size, sources)
    gradients, zeros = examples.gradients(wrt, names_of(backward_after(forward, backward)))
    made = (constant(backward.loss_grad, 1), *map(examples.statement, backward.statements))
    statements = (*forward.statements, *made, *zeros, *updates)
    outputs = tuple(dict.fromkeys(gradients.values()))
    return replace(program, statements=statements, outputs=outputs), gradients


def backward_after(forward: Program, backward: Backward) -> Program:
    return replace(forward, statements=(*forward.statements, *backward.statements))


def batch_of(program: Program, batched: tuple[str, ...]) -> tuple[int, set[Tensor]]:
    """The size of the batch, and the inputs that have it as axis 0."""
    given = {t.name: t for t in program.inputs}
    for name in batched:
        if name not in given or not given[name].shape:
            raise UsageError(f"{name!r} is no input of {program.name} with an axis for the batch")
    if not batched:
        raise UsageError(
            f"{program.name} has no batched input: there are no examples to tell apart"
        )
    sizes = {name: given[name].shape[0] for name in batched}
    if len(set(sizes.values())) > 1:
        facts = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ShapeError(f"the batch axes of {program.name} differ: {facts}")
    return sizes[batched[0]], {given[name] for name in batched}


# Where the examples are ---------------------------------------------------------------------------


def batch_axes(statements: tuple[Statement, ...], sources: Iterable[Tensor]) -> dict[Tensor, Axis]:
    """Which axis of each tensor is the batch, for those that depend on the sources."""
    axes: dict[Tensor, Axis] = dict.fromkeys(sources, 0)
    downstream = dependent(statements, axes)
    changed = True
    while changed:
        changed = False
        for a in flat(statements):
            tensor = a.target.tensor
            if tensor in downstream:
                found = met(axes.get(tensor), axis_of(a, axes))
                if found is not None and found != axes.get(tensor):
                    axes[tensor] = found
                    changed = True
    return axes


def met(a: Axis | None, b: Axis | None) -> Axis | None:
    """What two assignments to one tensor say of it together."""
    if a is None or a == b:
        return b
    if b is None:
        return a
    if Mixed.HIDDEN in (a, b) or (isinstance(a, int) and isinstance(b, int)):
        return Mixed.HIDDEN
    return a if isinstance(a, int) else b


def axis_of(a: Assign, axes: Mapping[Tensor, Axis]) -> Axis | None:
    """Where an assignment puts the examples; None if it says nothing of them."""
    seen = [load for load in reads(a) if load.tensor in axes]
    if not seen:
        return None
    indices, clear, hidden = candidates(seen, axes)
    places = [n for n, s in enumerate(a.target.subscripts) if bare(s) in indices]
    if len(places) == 1 and clear:
        return places[0]
    kept = indices & set(target_indices(a))
    return Mixed.HIDDEN if kept or hidden or not clear else Mixed.REDUCED


def candidates(seen: Iterable[Load], axes: Mapping[Tensor, Axis]) -> tuple[set[Index], bool, bool]:
    """The indices that subscript batch axes, whether nothing else does, whether any is hidden."""
    indices: set[Index] = set()
    clear, hidden = True, False
    for load in seen:
        axis = axes[load.tensor]
        if isinstance(axis, int):
            index = bare(load.subscripts[axis])
            clear = clear and index is not None
            indices |= {index} if index is not None else set()
        else:
            hidden = hidden or axis is Mixed.HIDDEN
    return indices, clear, hidden


def bare(s: object) -> Index | None:
    return s.bare if isinstance(s, Affine) else None


def batch_indices(
    statements: tuple[Statement, ...], axes: Mapping[Tensor, Axis]
) -> dict[Tensor, set[Index]]:
    """The batch indices of the assignments to each tensor."""
    found: dict[Tensor, set[Index]] = {}
    for a in flat(statements):
        indices, _, _ = candidates([load for load in reads(a) if load.tensor in axes], axes)
        found.setdefault(a.target.tensor, set()).update(indices)
    return found


# Backward statements ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Examples:
    """The batch: its index, where it is in each tensor, and the adjoints that get it.

    adjoints: which tensor holds the adjoint of which. primal: whose adjoint a tensor is. widened:
    what the adjoints of upstream tensors become. writers: the batch indices of the forward
    statements that assign a tensor.
    """

    index: Index
    axes: Mapping[Tensor, Axis]
    adjoints: Mapping[Tensor, Tensor]
    primal: Mapping[Tensor, Tensor]
    widened: Mapping[Tensor, Tensor]
    writers: Mapping[Tensor, set[Index]]

    @classmethod
    def of(
        cls, forward: Program, backward: Backward, size: int, sources: Iterable[Tensor]
    ) -> "Examples":
        b = fresh(Index("b", size), every_index(backward_after(forward, backward).statements))
        axes = batch_axes(forward.statements, sources)
        adjoints = backward.adjoints
        primal = {grad: tensor for tensor, grad in adjoints.items()}
        widened = {grad: with_axis(grad, b) for grad, t in primal.items() if t not in axes}
        writers = batch_indices(forward.statements, axes)
        return cls(b, axes, adjoints, primal, widened, writers)

    def gradients(
        self, wrt: tuple[Tensor, ...], names: Names
    ) -> tuple[dict[Tensor, Tensor], list[Assign]]:
        """The gradient of each tensor of `wrt`, and statements for those that are 0."""
        found: dict[Tensor, Tensor] = {}
        zeros: list[Assign] = []
        for tensor in wrt:
            if tensor in self.adjoints:
                grad = self.adjoints[tensor]
                found[tensor] = self.widened.get(grad, grad)
            else:
                empty = replace(tensor, name=names.fresh(f"{tensor.name}.grad"), kind=Kind.VALUE)
                found[tensor] = empty if tensor in self.axes else with_axis(empty, self.index)
                zeros.append(constant(found[tensor], 0))
        return found, zeros

    def statement(self, s: Statement) -> Statement:
        if isinstance(s, Scan):
            return replace(s, body=tuple(self.statement(inner) for inner in s.body))
        return self.assign(s) if s.target.tensor in self.widened else s

    def assign(self, a: Assign) -> Assign:
        """A backward statement whose target is the adjoint of an upstream tensor."""
        if any(load.tensor in self.widened for load in reads(a)):
            return self.with_index(map_assign(a, self.carried), self.index)
        b = self.batch_index(a)
        if b is not None:
            return self.with_index(replace(a, over=tuple(i for i in a.over if i != b)), b)
        return self.with_index(replace(a, value=a.value / self.index.size), self.index)

    def carried(self, e: Expr) -> Expr:
        return rewrite(e, self.load)

    def load(self, e: Expr) -> Expr:
        if isinstance(e, Load) and e.tensor in self.widened:
            return Load(self.widened[e.tensor], (self.first(self.index), *e.subscripts))
        return e

    def first(self, b: Index) -> Affine:
        return Affine(((b, 1),))

    def with_index(self, a: Assign, b: Index) -> Assign:
        target = a.target
        if target.tensor in self.widened:
            tensor = self.widened[target.tensor]
            target = Load(tensor, (self.first(b), *target.subscripts))
        return replace(a, target=target)

    def batch_index(self, a: Assign) -> Index | None:
        """The index of a that runs over the examples, if it has one."""
        axes = {load.tensor: self.axis(load.tensor) for load in reads(a)}
        known = {tensor: axis for tensor, axis in axes.items() if axis is not None}
        seen = [load for load in reads(a) if load.tensor in known]
        indices, clear, hidden = candidates(seen, known)
        if not indices and clear:
            indices = self.inherited(a)
        if len(indices) > 1 or not clear or (hidden and not indices):
            self.refuse(a, indices)
        return next(iter(indices), None)

    def axis(self, tensor: Tensor) -> Axis | None:
        """Where the examples are in a tensor, or in the adjoint of one."""
        return self.axes.get(self.primal.get(tensor, tensor))

    def inherited(self, a: Assign) -> set[Index]:
        """The batch indices of the forward statement, where nothing in a itself shows them."""
        sources = {self.primal[x.tensor] for x in reads(a) if x.tensor in self.primal}
        found = {i for tensor in sources for i in self.writers.get(tensor, ())}
        return found & set(all_indices(a))

    def refuse(self, a: Assign, indices: set[Index]) -> None:
        from phistar.ir.printer import print_assign

        text = a.origin.text if a.origin is not None and a.origin.text else print_assign(a)
        several = " and ".join(sorted(i.name for i in indices))
        why = f"{several} both run over them" if len(indices) > 1 else "no one index runs over them"
        raise ModelError(
            f"a parameter meets several examples at a time, so that its gradient is no sum over "
            f"examples: {why}\n  {text}"
        )
