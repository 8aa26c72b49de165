"""Two layers over one sequence, one of them from its end: outputs side by side.

z[b, t] = x[b, n[b] - 1 - t]    for the real steps t < n[b]; without lengths, n[b] = T
y[b, t, j] = f[b, t, j],  y[b, t, J + k] = g[b, n[b] - 1 - t, k]    f reads x, g reads z
"""

from typing import Any

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.lengths import batch, real_steps
from phistar.nn.shapes import expect


class Bidirectional(ph.Model):
    """A layer `forward` over x[b, t, ...], and a layer `backward` over the same from its end.

    Both take (x) or (x, states=..., lengths=...) and give (outputs[b, t, units], final states), as
    RNN, LSTM, GRU and UGRNN do; they may differ. Gives the outputs side by side, forward first, and
    the pair of their final states. states: a pair, or None. lengths: one whole number a row; each
    row's way back starts at its last real step. Raises UsageError if the layers are the same object
    or states is no pair (Schuster and Paliwal 1997).
    """

    def __init__(self, forward: Any, backward: Any) -> None:
        if forward is backward:
            raise UsageError(
                "Bidirectional takes two layers with parameters of their own, not one twice"
            )
        self.forward, self.backward = forward, backward

    def __call__(self, x: Any, states: Any = None, lengths: Any = None) -> Any:
        shape = expect(x, self, least=2)
        if states is not None and (not isinstance(states, tuple | list) or len(states) != 2):
            raise UsageError("states of Bidirectional is a pair: of forward and of backward")
        rows = shape[:1] if len(shape) > 2 else ()
        n = None if lengths is None else real_steps(self, lengths, rows, shape[len(rows)])
        first, last = (None, None) if states is None else states
        f, forward_end = ran(self.forward, x, first, lengths)
        g, backward_end = ran(self.backward, turned(x, rows, n), last, lengths)
        y = beside(f, turned(g, rows, n), len(rows))
        return y, (forward_end, backward_end)


def ran(layer: Any, x: Tensor, states: Any, lengths: Any) -> Any:
    """A layer's outputs and final states, given what there is."""
    given = {"states": states, "lengths": lengths}
    return layer(x, **{name: value for name, value in given.items() if value is not None})


def turned(x: Tensor, rows: tuple[int, ...], n: Tensor | None) -> Tensor:
    """Each row's real steps from last to first, then zeros."""
    b, T = batch(rows), x.shape[len(rows)]
    t, z = Index("t", T), Tensor("z")
    rest = tuple(Index(f"e{m}", size) for m, size in enumerate(x.shape[len(rows) + 1 :]))
    if n is None:
        z[(*b, t, *rest)] = x[(*b, T - 1 - t, *rest)]
    else:
        place = ph.maximum(n[b] - 1 - t, 0)
        z[(*b, t, *rest)] = ph.where(t < n[b], x[(*b, place, *rest)], 0.0)
    return z


def beside(f: Tensor, g: Tensor, rows: int) -> Tensor:
    """Two tensors beside each other in the axis after time."""
    b = tuple(Index(f"b{m}", size) for m, size in enumerate(f.shape[: rows + 1]))
    rest = tuple(Index(f"e{m}", size) for m, size in enumerate(f.shape[rows + 2 :]))
    j, k, y = Index("j", f.shape[rows + 1]), Index("k", g.shape[rows + 1]), Tensor("y")
    y[(*b, j, *rest)] = f[(*b, j, *rest)]
    y[(*b, f.shape[rows + 1] + k, *rest)] = g[(*b, k, *rest)]
    return y
