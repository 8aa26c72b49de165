"""Checks every backward statement against central finite differences, in float64.

Each forward statement f is run alone, at the values it has in the program: for random weights G of
its result, <x.grad, d>, from its backward statements, must be the derivative of <G, f(x + ε d)> by
ε, for each x it loads and for random directions and single elements d. Where the one-sided
differences disagree however small ε is (relu at 0, ties of max) there is no derivative to compare.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any

import numpy as np

from phistar import compiler
from phistar.backends.contract import Compiled
from phistar.errors import GradientMismatch
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

Array = np.ndarray[Any, Any]
Values = Mapping[str, Array]

STEP = 1e-5
TOLERANCE = 1e-6
NOISE = 64 * 2.0**-52  # what rounding may do to a result, relative to its largest element
DIRECTIONS = 2
ELEMENTS = 40
WORK = 2e7  # how many settings of its indices one statement may be run for


class Status(Enum):
    """What came of a check, the worst last."""

    OK = "ok"
    KINK = "kink"
    MISMATCH = "mismatch"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """One backward statement, the forward statement it comes from, and how far off it is.

    error: |got - expected| relative to the size of the terms of both.
    """

    statement: str
    forward: str
    status: Status
    error: float
    expected: float
    got: float


@dataclass(frozen=True)
class Report:
    """The verdicts on all backward statements; it prints as a table."""

    verdicts: tuple[Verdict, ...]

    @property
    def mismatches(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.status is Status.MISMATCH)

    @property
    def ok(self) -> bool:
        return not self.mismatches

    def raise_for_mismatch(self) -> None:
        """GradientMismatch naming the first statement that is wrong, if there is one."""
        for v in self.mismatches:
            raise GradientMismatch(
                "a backward statement disagrees with finite differences\n"
                f"  {v.statement}\n"
                f"  from  {v.forward}\n"
                f"  it gives {v.got:.8g}; finite differences give {v.expected:.8g}"
            )

    def __str__(self) -> str:
        rows = [(str(v.status), f"{v.error:.1e}", v.statement) for v in self.verdicts]
        head = ("verdict", "error", "backward statement")
        widths = [max(len(row[n]) for row in (head, *rows)) for n in range(2)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {text}" for a, b, text in (head, *rows)
        )


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


# One forward and backward pair --------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A forward program and its backward program, both compiled, at given values."""

    forward: Compiled
    backward: Compiled
    known: Values
    result: Tensor
    grad: str  # the input that holds the adjoint of the result
    seed: int
    step: int

    def run(self, moved: Values) -> Array:
        result = self.forward({**self.known, **moved}, self.seed, self.step)[self.result.name]
        return np.asarray(result, np.float64)

    def grads(self, result: Array, weights: Array) -> dict[str, Array]:
        known = {**self.known, self.result.name: result, self.grad: weights}
        return self.backward(known, self.seed, self.step)


@dataclass(frozen=True)
class Difference:
    """What finite differences say in one direction: central, and how far the sides are apart."""

    slope: Array
    bend: Array


@dataclass(frozen=True)
class Outcome:
    """One comparison."""

    status: Status
    error: float
    expected: float
    got: float


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
        tried = [*self.along(at), *self.single(gradient, at, elements)]
        return max((compare(base, gradient, d) for d in tried), key=badness, default=PERFECT)

    def along(self, at: Array) -> Iterator[Array]:
        """Random directions, each element moved in proportion to its size."""
        scale = np.where(at == 0, 1.0, np.minimum(np.abs(at), 1e6))
        for _ in range(self.directions):
            yield np.where(np.isfinite(at), self.random.normal(size=at.shape) * scale, 0.0)

    def single(self, gradient: Array, at: Array, elements: int) -> Iterator[Array]:
        """Single elements, half of them where the gradient is not 0."""
        allowed = np.flatnonzero(np.isfinite(at))
        nonzero = np.flatnonzero(np.isfinite(at) & (gradient != 0))
        chosen = [self.sample(nonzero, (elements + 1) // 2), self.sample(allowed, elements)]
        for n in np.unique(np.concatenate(chosen))[:elements] if elements else ():
            d = np.zeros(at.size)
            d[n] = abs(at.flat[n]) or 1.0
            yield d.reshape(at.shape)

    def sample(self, positions: Array, n: int) -> Array:
        return self.random.choice(positions, min(n, positions.size), replace=False)


@dataclass(frozen=True)
class Base:
    """A pair at one point: x = at gives `result`, which is weighted by `weights`."""

    pair: Pair
    name: str
    grad: str | None
    at: Array
    result: Array
    weights: Array

    def gradient(self, weights: Array) -> Array:
        if self.grad is None:
            return np.zeros(self.at.shape)
        return np.asarray(self.pair.grads(self.result, weights)[self.grad], np.float64)

    def moved(self, d: Array) -> Array:
        return self.pair.run({self.name: self.at + d})

    def difference(self, d: Array, step: float) -> Difference:
        """Central differences, and how much the one-sided ones differ."""
        with np.errstate(invalid="ignore", over="ignore"):
            up = (self.moved(step * d) - self.result) / step
            down = (self.result - self.moved(-step * d)) / step
            return Difference((up + down) / 2, np.abs(up - down))

    def noise(self, step: float) -> float:
        """What rounding may do to the slope of the weighted result."""
        finite = np.where(np.isfinite(self.result), np.abs(self.result), 0.0)
        typical = np.sqrt(np.sum((finite * self.weights) ** 2)) + np.max(finite, initial=1e-300)
        return NOISE * float(typical) / step


PERFECT = Outcome(Status.OK, 0.0, 0.0, 0.0)


def compare(base: Base, gradient: Array, d: Array) -> Outcome:
    """<gradient, d> against the slope along d; kinks are looked for only if they disagree."""
    slope = base.difference(d, STEP)
    outcome = weigh(gradient, d, slope, base.weights, base.noise(STEP))
    if outcome.status is Status.OK:
        return outcome
    small = STEP / 16
    finer = base.difference(d, small)
    kinked = ~np.isfinite(finer.slope) | (finer.bend > slope.bend / 4)
    kinked &= ~(finer.bend <= 1e-5 * np.abs(finer.slope))
    weights = np.where(kinked, 0.0, base.weights)
    with np.errstate(invalid="ignore"):
        change = np.where(weights != 0, (slope.slope - finer.slope) * weights, 0.0)
    unsure = base.noise(small) + abs(float(np.sum(change))) / 16  # what is left of higher orders
    outcome = weigh(base.gradient(weights), d, finer, weights, unsure)
    kinks = outcome.status is Status.OK and bool(np.any(kinked & (base.weights != 0)))
    return replace(outcome, status=Status.KINK) if kinks else outcome


def weigh(
    gradient: Array, d: Array, difference: Difference, weights: Array, unsure: float
) -> Outcome:
    """One comparison, of what the weights and the direction do not leave out."""
    used = weights != 0
    expected_terms = difference.slope[used] * weights[used]
    got_terms = gradient[d != 0] * d[d != 0]
    expected, got = float(np.sum(expected_terms)), float(np.sum(got_terms))
    sides = np.abs(expected_terms) + np.abs(difference.bend[used] * weights[used]) / 2
    size = float(np.sum(sides) + np.sum(np.abs(got_terms)))
    off = abs(got - expected)
    good = off <= TOLERANCE * size + unsure
    error = off / size if size else off
    return Outcome(Status.OK if good else Status.MISMATCH, error, expected, got)


def badness(outcome: Outcome) -> tuple[int, float]:
    order = (Status.OK, Status.KINK, Status.MISMATCH)
    error = outcome.error if np.isfinite(outcome.error) else np.inf
    return order.index(outcome.status), float(error)


def verdict(statement: str, forward: str, outcome: Outcome) -> Verdict:
    return Verdict(statement, forward, outcome.status, outcome.error, outcome.expected, outcome.got)


def is_stop(a: Assign) -> bool:
    """Whether a holds a gradient back."""
    return any(
        isinstance(node, Apply) and node.function is Primitive.STOP_GRADIENT
        for e in expressions(a)
        for node in nodes(e)
    )
