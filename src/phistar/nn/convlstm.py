"""An LSTM whose states are images and whose products are convolutions (Shi et al. 2015, eq. 3).

i = σ(W_xi * x + W_hi * h' + p_i c' + b_i)      f likewise
c = f c' + i tanh(W_xc * x + W_hc * h' + b_c)
o = σ(W_xo * x + W_ho * h' + p_o c + b_o)
h = o tanh(c)
"""

from typing import Any

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn import steps
from phistar.nn.lengths import batch, real_steps, without_padding
from phistar.nn.recurrence import ended, expect_state
from phistar.nn.shapes import each, expect, expect_size, whole
from phistar.nn.steps import Moment

Axes = tuple[Index, ...]


class ConvLSTM2d(ph.Model):
    """x[b, t, channel, p, q] -> outputs[b, t, hidden, p, q], final (h, c), each [b, hidden, p, q].

    Images keep their size: kernel_size, a number or two, is odd, and zeros stand around them.
    weight_ih (4 hidden, channels, *kernel), weight_hh (4 hidden, hidden, *kernel), bias (4 hidden),
    gates in the order i, f, c, o. peephole: the gates see the cells through weight_ci,
    weight_cf, weight_co (hidden, p, q); they start at 0 and take their size from the first images.
    states: a pair (h, c), None: zeros. lengths: one whole number a row, steps from there on are
    padding as in `Recurrence`. Raises UsageError for arguments that do not fit together, ShapeError
    for tensors that do not.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: int | tuple[int, int],
        bias: bool = True,
        peephole: bool = True,
        init: Any = None,
        dtype: Any = "f32",
    ) -> None:
        self.in_channels = whole(self, "in_channels", in_channels)
        self.hidden_channels = whole(self, "hidden_channels", hidden_channels)
        self.kernel = each(self, "kernel_size", kernel_size, 2)
        if any(n % 2 == 0 for n in self.kernel):
            raise UsageError(f"kernel_size of ConvLSTM2d must be odd, not {kernel_size}")
        rows = 4 * hidden_channels
        self.weight_ih = ph.param(rows, in_channels, *self.kernel, init=init, dtype=dtype)
        self.weight_hh = ph.param(rows, hidden_channels, *self.kernel, init=init, dtype=dtype)
        self.bias = ph.param(rows, init=0, dtype=dtype) if bias else None
        self.peephole = peephole
        if peephole:
            self.weight_ci = ph.param(init=0, dtype=dtype)
            self.weight_cf = ph.param(init=0, dtype=dtype)
            self.weight_co = ph.param(init=0, dtype=dtype)

    def __call__(self, x: Any, states: Any = None, lengths: Any = None) -> Any:
        shape = expect(x, self, least=4)
        expect_size(self, "input channels", self.in_channels, shape, -3)
        rows, size = shape[:-4], shape[-2:]
        b, t = batch(rows), ph.index("t")
        o, p, q = Index("o", self.hidden_channels), Index("p", size[0]), Index("q", size[1])
        n = None if lengths is None else real_steps(self, lengths, rows, shape[-4])
        if n is not None:
            x = without_padding(x, n, b, (Index("c", shape[-3]), p, q))
        s = convolved(self.weight_ih, x, (*b, t), (*b, t), (o, p, q), self.kernel)
        if self.bias is not None:
            s = shifted(self.bias, s, (*b, t), (o, p, q))
        now = (Tensor("h"), Tensor("c"))
        for state, start in zip(now, self.before(states, rows, size), strict=True):
            state[(*b, ph.first - 1, o, p, q)] = 0 if start is None else start[(*b, o, p, q)]
        m = Moment((*b, t), (*b, t - 1), (o, p, q), None if n is None else t < n[b])
        peephole = (self.weight_ci, self.weight_cf, self.weight_co) if self.peephole else ()
        with ph.scan(t):
            u = convolved(self.weight_hh, now[0], (*b, t - 1), (*b, t), (o, p, q), self.kernel)
            steps.lstm_states(False, peephole, added(s, u, m), now, now, m)
        ends = tuple(ended(state, False, b, (o, p, q)) for state in now)
        h = now[0]
        return (h if n is None else without_padding(h, n, b, (o, p, q))), ends

    def before(
        self, states: Any, rows: tuple[int, ...], size: tuple[int, ...]
    ) -> tuple[Tensor | None, ...]:
        """The states before the first step."""
        if states is None:
            return None, None
        if not isinstance(states, tuple | list) or len(states) != 2:
            raise UsageError("states of ConvLSTM2d is a pair (h, c)")
        for state in states:
            expect_state(self, state, (*rows, self.hidden_channels, *size))
        return tuple(states)


def convolved(
    weight: Tensor, x: Tensor, at: Any, now: Any, unit: Axes, kernel: tuple[int, ...]
) -> Tensor:
    """s[b, t, z, o, p, q] = W[(z, o), c, u, v] x[b, t, c, p + u, q + v], with zeros around x."""
    (o, p, q), z, s = unit, Index("z", 4), Tensor("s")
    c, u, v = Index("c"), Index("u", kernel[0]), Index("v", kernel[1])
    around = ph.pad(p + u, kernel[0] // 2), ph.pad(q + v, kernel[1] // 2)
    s[(*now, z, *unit)] = weight[(z, o), c, u, v] * x[(*at, c, *around)]
    return s


def shifted(bias: Tensor, s: Tensor, now: Any, unit: Axes) -> Tensor:
    """s + b[(z, o)]."""
    z, r = Index("z", 4), Tensor("r")
    r[(*now, z, *unit)] = s[(*now, z, *unit)] + bias[(z, unit[0]),]
    return r


def added(s: Tensor, u: Tensor, m: Moment) -> Tensor:
    """The gates: what comes from the input and what comes from the step before."""
    z, g = Index("z", 4), Tensor("g")
    at = (*m.now, z, *m.unit)
    g[at] = s[at] + u[at]
    return g
