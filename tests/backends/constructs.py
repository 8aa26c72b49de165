"""One small program for each construct that the array lowering knows."""

from collections.abc import Iterator

import language_cases as language
import tensor_cases as tensor
from building import Case

GROUPS = (
    tensor.layers,
    tensor.contractions,
    tensor.attention,
    tensor.convolutions,
    tensor.windows,
    tensor.gathers,
    language.shapes,
    language.quotients,
    language.running_sums,
    language.recurrences,
    language.reductions,
    language.conditions,
    language.lengths,
    language.types,
    language.primitives,
    language.random_fields,
)


def cases() -> Iterator[Case]:
    """Every case."""
    for group in GROUPS:
        yield from group()
