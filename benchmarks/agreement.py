"""Do all peers compute the same? A peer that does not is not timed."""

from collections.abc import Mapping, Sequence

import numpy as np

STEPS = 10
RTOL = 1e-3

Results = Sequence[Sequence[float]]  # a vector for each step


def differences(results: Mapping[str, Results]) -> dict[str, str]:
    """Which peers differ from the first peer that is not phistar, and where."""
    order = sorted(results, key=lambda peer: (peer == "phistar", peer != "torch-eager"))
    if not order:
        return {}
    reference = order[0]
    found = {}
    for peer in order[1:]:
        if why := difference(results[peer], results[reference], reference):
            found[peer] = why
    return found


def difference(ours: Results, theirs: Results, reference: str) -> str:
    """The first step whose results differ, relative to the largest of its results."""
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        x, y = np.asarray(a), np.asarray(b)
        if x.shape != y.shape:
            return f"it gives {x.size} results at step {step}, {reference} {y.size}"
        error = np.abs(x - y) / np.abs(y).max()
        if not error.max() <= RTOL:  # also if it is NaN
            at = int(error.argmax())
            return f"at step {step} it gives {x[at]:.6g}, {reference} {y[at]:.6g}"
    return ""
