"""What is checked: every backward statement by itself, then each gradient of the whole program.

A forward statement is run alone, at the values that it has in the program, with every tensor that
it loads free to move; so a wrong statement is named, and not what it does to others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from phistar import compiler
from phistar.backends.contract import Compiled
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op, Primitive
from phistar.ir.printer import print_assign
from phistar.ir.program import Apply, Assign, Index, Kind, Program, Scan, Statement, Tensor
from phistar.ir.walk import all_indices, expressions, flat, nodes, reads
from phistar.transform.isolate import Isolated, isolate, renamed
from phistar.transform.lift import lift
from phistar.transform.names import targets
from phistar.transform.retype import retype
from phistar.transform.stabilise import stabilise
from phistar.transform.swap import swap
from phistar.transform.versions import commits, versions
from phistar.verify.differences import Array, Base, Outcome, Pair, Values, badness, compare
from phistar.verify.report import Report, Status, Verdict

DIRECTIONS = 2
ELEMENTS = 40
BROKEN = 4  # how many elements whose gradient is not finite are tried
WORK = 2e7  # how many settings of its indices one statement may be run for
PERFECT = Outcome(Status.OK, 0.0, 0.0, 0.0)


def check_program(
    program: Program,
    values: Values,
    seed: int = 0,
    step: int = 0,
    directions: int = DIRECTIONS,
    elements: int = ELEMENTS,
    backend: str = "numpy",
) -> Report:
    """A verdict on every backward statement of a source program, at the given input values.

    values: the arrays of the program's inputs, by name. directions, elements: how many random
    directions and single elements of each loaded tensor are tried. The statements on the way to
    the first output are checked, then its whole gradient by each floating input.
    """
    checker = Checker(backend, seed, step, directions, elements)
    double = retype(program, DType.F64)
    whole = versions(stabilise(double))
    forward = lift(replace(whole, statements=commits(whole.statements)[0]))
    known = {t.name: np.asarray(values[t.name], t.dtype.numpy) for t in forward.inputs}
    everything = dict.fromkeys(targets(forward.statements))
    known |= checker.compile(replace(forward, outputs=tuple(everything)))(known, seed, step)
    loss = forward.outputs[0]
    found = list(checker.statements(forward, loss, known))
    writers = Counter(a.target.tensor.name for a, _ in found)
    verdicts = [replace(v, statement=as_written(a, writers)) for a, v in found]
    return Report((*verdicts, *checker.whole(forward, loss, known)))


def as_written(a: Assign, writers: Counter[str]) -> str:
    """The text of a backward statement: += unless it is the only one to define its target."""
    several = a.op is Op.SET and writers[a.target.tensor.name] > 1
    return print_assign(replace(a, op=Op.ADD) if several else a)


def towards(statements: tuple[Statement, ...], loss: Tensor) -> set[Tensor]:
    """The float tensors that the loss is computed from."""
    sources: dict[Tensor, set[Tensor]] = {}
    for a in flat(statements):
        sources.setdefault(a.target.tensor, set()).update(load.tensor for load in reads(a))
    found, stack = {loss}, [loss]
    while stack:
        new = {t for t in sources.get(stack.pop(), ()) if t.dtype.is_float} - found
        found |= new
        stack.extend(new)
    return found


def with_scans(
    statements: tuple[Statement, ...], scans: tuple[Index, ...] = ()
) -> Iterator[tuple[Assign, tuple[Index, ...]]]:
    """Every assignment and the indices of the scans around it, the last first."""
    for s in reversed(statements):
        if isinstance(s, Scan):
            yield from with_scans(s.body, (*scans, s.index))
        else:
            yield s, scans


class Checker:
    """The settings of a check, and its random numbers."""

    def __init__(self, backend: str, seed: int, step: int, directions: int, elements: int) -> None:
        self.backend = backend
        self.seed = seed
        self.step = step
        self.directions = directions
        self.elements = elements
        self.random = np.random.default_rng(seed)

    def compile(self, program: Program) -> Compiled:
        return compiler.compile(program, self.backend)

    # What is checked ------------------------------------------------------------------------------

    def statements(
        self, program: Program, loss: Tensor, known: Values
    ) -> Iterator[tuple[Assign, Verdict]]:
        """Each backward statement with its verdict, in the order in which they run."""
        wanted = towards(program.statements, loss)
        for a, scans in with_scans(program.statements):
            isolated = isolate(a, scans) if a.target.tensor in wanted else None
            if isolated is not None and isolated.varied:
                yield from self.statement(a, isolated, known)

    def statement(
        self, a: Assign, isolated: Isolated, known: Values
    ) -> Iterator[tuple[Assign, Verdict]]:
        """The verdicts on the backward statements of one forward statement."""
        values = {made.name: known[t.name] for made, t in isolated.origins.items()}
        backward = isolated.backward
        grads = {t: backward.adjoints.get(t) for t in isolated.varied}
        pair = self.pair(isolated.forward, backward.statements, backward.loss_grad, grads, values)
        loops = prod(i.size for i in all_indices(isolated.statement))
        elements = int(min(self.elements, max(4, WORK // max(loops, 1))))
        outcomes = {t: self.outcome(pair, t, grad, elements) for t, grad in grads.items()}
        judged = {grad: outcomes[t] for t, grad in grads.items() if grad is not None}
        worst = max(outcomes.values(), key=badness)
        for b in flat(backward.statements):
            outcome = judged.get(b.target.tensor, worst)
            yield isolated.shown(b), verdict("", print_assign(a), outcome)
        for t, grad in grads.items():
            if grad is None and outcomes[t].status is Status.MISMATCH:
                yield self.missing(a, isolated.origins[t], outcomes[t])

    def missing(self, a: Assign, tensor: Tensor, outcome: Outcome) -> tuple[Assign, Verdict]:
        """The verdict on a tensor that should get something from a and gets nothing."""
        name = f"{tensor.name}.grad"
        nothing = replace(a, target=replace(a.target, tensor=replace(tensor, name=name)))
        return nothing, verdict("", print_assign(a), outcome)

    def whole(self, program: Program, loss: Tensor, known: Values) -> Iterator[Verdict]:
        """The gradient of the loss by each floating input, by all statements together."""
        if any(is_stop(a) for a in flat(program.statements)) or not loss.dtype.is_float:
            return
        wrt = tuple(t for t in program.inputs if t.dtype.is_float)
        backward = swap(program, loss, wrt)
        grads = {t: backward.adjoints.get(t) for t in wrt}
        forward = replace(program, outputs=(loss,))
        inputs = {t.name: known[t.name] for t in program.inputs}
        both = (*program.statements, *backward.statements)
        pair = self.pair(forward, both, backward.loss_grad, grads, inputs)
        for t, grad in grads.items():
            text = f"{t.name}.grad, the gradient of {loss.name}"
            if grad is not None:
                yield verdict(text, "all statements", self.outcome(pair, t, grad, 0))

    def pair(
        self,
        forward: Program,
        backward: tuple[Statement, ...],
        loss_grad: Tensor,
        grads: Mapping[Tensor, Tensor | None],
        values: Values,
    ) -> Pair:
        """Both programs compiled; the backward one gets the result of the forward one if it can."""
        (result,) = forward.outputs
        inputs = forward.inputs
        if result not in set(targets(backward)):
            given = replace(result, kind=Kind.INPUT)
            inputs = (*inputs, given)
            backward = tuple(renamed(a, {result: given}) for a in flat(backward))
        outputs = tuple(grad for grad in grads.values() if grad is not None)
        program = Program(backward, (*inputs, loss_grad), outputs)
        compiled = self.compile(forward), self.compile(program)
        return Pair(*compiled, values, result, loss_grad.name, self.seed, self.step)

    # Comparisons ----------------------------------------------------------------------------------

    def outcome(self, pair: Pair, tensor: Tensor, grad: Tensor | None, elements: int) -> Outcome:
        """The worst of the comparisons for one loaded tensor."""
        at = np.asarray(pair.known[tensor.name], np.float64)
        result = pair.run({})
        weights = np.where(np.isfinite(result), self.random.normal(size=result.shape), 0.0)
        base = Base(pair, tensor.name, None if grad is None else grad.name, at, result, weights)
        gradient = base.gradient(weights)
        usable = np.isfinite(at) & np.isfinite(gradient)
        some = self.sample(usable & (gradient != 0), (elements + 1) // 2)
        others = self.sample(usable, elements - len(some))
        broken = self.sample(np.isfinite(at) & ~usable, BROKEN)
        single = np.unique(np.concatenate([some, others, broken]))
        tried = [*self.along(at, usable), *(only(at, n) for n in single)]
        return max((compare(base, gradient, d) for d in tried), key=badness, default=PERFECT)

    def along(self, at: Array, usable: Array) -> Iterator[Array]:
        """Random directions, each usable element moved in proportion to its size."""
        scale = np.where(usable & (at != 0), np.minimum(np.abs(at), 1e6), 1.0)
        for _ in range(self.directions):
            yield np.where(usable, self.random.normal(size=at.shape) * scale, 0.0)

    def sample(self, mask: Array, n: int) -> Array:
        """Up to n of the positions where the mask is true."""
        positions = np.flatnonzero(mask)
        return self.random.choice(positions, min(n, positions.size), replace=False)


def only(at: Array, n: int) -> Array:
    """The direction of one element."""
    d = np.zeros(at.size)
    d[n] = abs(at.flat[n]) or 1.0
    return d.reshape(at.shape)


def verdict(statement: str, forward: str, outcome: Outcome) -> Verdict:
    return Verdict(statement, forward, outcome.status, outcome.error, outcome.expected, outcome.got)


def is_stop(a: Assign) -> bool:
    """Whether a holds a gradient back."""
    return any(
        isinstance(node, Apply) and node.function is Primitive.STOP_GRADIENT
        for e in expressions(a)
        for node in nodes(e)
    )
