"""A loss that keeps its batch index is averaged over it: gradients then carry the lecture's 1/B."""

from collections.abc import Callable
from typing import Any

from phistar.errors import ExpressionError
from phistar.ir.primitives import Primitive
from phistar.language.expression import Call, Element, Expr, Index, Reduced, lift
from phistar.language.reductions import mean, sum
from phistar.language.tensors import Tensor

ARITHMETIC = frozenset({Primitive.ADD, Primitive.SUB, Primitive.MUL, Primitive.DIV, Primitive.NEG})


def average(returned: Any, size: int, name: str, what: str) -> Tensor:
    """What a loss returned, as a number: averaged over its batch index if it keeps one.

    Raises ExpressionError if it keeps another index, or several.
    """
    return without_batch(returned, size, name, what, lambda e, kept: mean[kept](e) if kept else e)


def total(returned: Any, size: int, name: str, what: str) -> Tensor:
    """What a loss or a metric returned, summed over the examples; a number counts for each."""
    return without_batch(
        returned, size, name, what, lambda e, kept: sum[kept](e) if kept else e * size
    )


def without_batch(
    returned: Any,
    size: int,
    name: str,
    what: str,
    reduced: Callable[[Expr, tuple[Index, ...]], Expr],
) -> Tensor:
    """The tensor of that name, without axes."""
    e = as_expression(returned)
    kept = e.open
    if len(kept) > 1:
        raise ExpressionError(
            f"{what} keeps the indices {', '.join(i.name for i in kept)}: only the batch index is "
            f"averaged; reduce the others, ph.mean[{kept[-1].name}](...)"
        )
    made = Tensor(name)
    made[()] = reduced(e, kept)
    refuse_hidden_sum(made, size, what)
    if kept and ranges(made)[kept[0].name] != size:
        raise ExpressionError(
            f"{what} keeps the index {kept[0].name}, which runs to {ranges(made)[kept[0].name]}; "
            f"the batch has {size} examples: reduce it, ph.mean[{kept[0].name}](...)"
        )
    return made


def refuse_hidden_sum(made: Tensor, size: int, what: str) -> None:
    """A weighted loss, `w[b] * l[b]`, is a sum by the rule of products: not silently, not here."""
    stack: list[Expr] = [made.definition.equations[-1].value]
    while stack:
        node = stack.pop()
        if isinstance(node, Call) and node.function in ARITHMETIC:
            stack.extend(node.args)
        if not (isinstance(node, Reduced) and node.implicit):
            continue
        for index in node.indices:
            if ranges(made)[index.name] == size:
                raise ExpressionError(
                    f"{what} multiplies two factors that have {index.name}, which sums them over "
                    f"the batch: say what is meant, ph.mean[{index.name}](...) or "
                    f"ph.sum[{index.name}](...)"
                )


def as_expression(returned: Any) -> Expr:
    """A tensor with axes as the expression of its elements; everything else as it is."""
    if isinstance(returned, Tensor) and returned.rank:
        return Element(returned, axes_of(returned))
    return lift(returned)


def axes_of(tensor: Tensor) -> tuple[Index, ...]:
    """An index for each axis, named as the equations named it."""
    names: list[str] = []
    for n, name in enumerate(tensor.definition.index_names):
        names.append(name if name and name not in names else f"i{n + 1}")
    return tuple(Index(name) for name in names)


def ranges(tensor: Tensor) -> dict[str, int]:
    """How far each index of a tensor's last equation runs."""
    return {i.name: n for i, n in tensor.definition.equations[-1].sizes.items()}
