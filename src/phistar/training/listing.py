"""An algorithm as source: the loops, the minibatch, and every statement of a step.

for epoch < 10:
    order = shuffle(60000, seed, epoch)
    for n < 469:
        # minibatch ... # forward ... # backward ... # update ...
"""

from collections.abc import Iterable, Iterator

from phistar.ir.printer import declare, print_statement, usual_ranges
from phistar.ir.program import Kind, Statement
from phistar.language.tensors import Parameter, Tensor
from phistar.training.algorithm import Algorithm
from phistar.training.averages import axes_of

INDENT = "    "


def listing(algorithm: Algorithm) -> str:
    """The whole algorithm as text."""
    lines = [*heading(algorithm), "", *declarations(algorithm), ""]
    lines += epoch_loop(algorithm)
    return "\n".join(line.rstrip() for line in lines)


def heading(algorithm: Algorithm) -> Iterator[str]:
    """What is trained, on what, how."""
    model, batch = algorithm.model, algorithm.batch
    kept = algorithm.parts.kept.values()
    trained = [p for p in kept if isinstance(p, Parameter) and p in algorithm.states]
    count = sum(size(p) for p in trained)
    examples = "" if batch.examples is None else f"{batch.examples:,} examples in "
    what = f"{type(model).__name__}: {count:,} trained parameters, {algorithm.optimizer}"
    yield f"# {what}, {examples}minibatches of {batch.size}"


def size(parameter: Parameter) -> int:
    n = 1
    for length in parameter.shape:
        n *= length
    return n


def declarations(algorithm: Algorithm) -> Iterator[str]:
    """The ranges of the indices, and the parameters and states with their shapes."""
    ranges = usual_ranges(algorithm.step.statements)
    yield "index " + ", ".join(f"{name} < {n}" for name, n in ranges.items())
    for tensor in algorithm.step.inputs:
        if tensor.kind in (Kind.PARAMETER, Kind.STATE):
            yield f"{tensor.kind.value} {declare(tensor)}"


def epoch_loop(algorithm: Algorithm) -> Iterator[str]:
    batch = algorithm.batch
    examples = "examples" if batch.examples is None else str(batch.examples)
    epochs = algorithm.epochs
    yield "for epoch = 0, 1, 2, ...:" if epochs is None else f"for epoch < {epochs}:"
    if algorithm.shuffle:
        yield f"{INDENT}order = shuffle({examples}, seed, epoch)"
    yield f"{INDENT}for n < {steps(algorithm)}:"
    yield from (INDENT * 2 + line for line in step_body(algorithm))
    yield from (INDENT + line for line in remainder(algorithm))


def steps(algorithm: Algorithm) -> str:
    """How many steps an epoch has, as a number or as a formula."""
    examples, size = algorithm.batch.examples, algorithm.batch.size
    if examples is None:
        return f"examples / {size}"
    up = 0 if algorithm.drop_last else size - 1
    return str((examples + up) // size)


def remainder(algorithm: Algorithm) -> Iterator[str]:
    """What happens to a smaller last minibatch."""
    rest = (algorithm.batch.examples or 0) % algorithm.batch.size
    if rest:
        fate = "the same statements run with that size"
        fate = "it is left out" if algorithm.drop_last else fate
        yield ""
        yield f"# the last minibatch has {rest} examples: {fate}"


def step_body(algorithm: Algorithm) -> Iterator[str]:
    step = algorithm.parts
    ranges = usual_ranges(step.program.statements)
    yield "# minibatch"
    yield from minibatch(algorithm)
    for name, statements in (
        ("forward", step.forward),
        ("backward", step.backward),
        ("update", step.update),
    ):
        yield ""
        yield f"# {name}"
        yield from printed(statements, ranges)


def minibatch(algorithm: Algorithm) -> Iterator[str]:
    """The rows of the minibatch, and its columns gathered from the data."""
    step = algorithm.parts
    if step.counter is not None:
        yield f"{step.counter} = {steps(algorithm)}*epoch + n"
    names = {name: axis_names(symbol) for name, symbol in step.columns.items()}
    b = next((axes[0] for axes in names.values()), "b")
    position = f"{algorithm.batch.size}*n + {b}"
    yield f"row[{b}] = " + (f"order[{position}]" if algorithm.shuffle else position)
    for name, axes in names.items():
        source = ", ".join([f"row[{axes[0]}]", *axes[1:]])
        yield f"{name}[{', '.join(axes)}] = data.{step.columns[name].name}[{source}]"


def axis_names(symbol: Tensor) -> list[str]:
    """The axes of a column, named as the equations name them."""
    return [index.name for index in axes_of(symbol)]


def printed(statements: Iterable[Statement], ranges: dict[str, int]) -> Iterator[str]:
    for s in statements:
        yield from print_statement(s, ranges).splitlines()
