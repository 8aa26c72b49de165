"""One step of each recurrence, as equations over "now" and "before".

In a layer now is (b, t) and before is (b, t - 1), or (b, t + 1) for the way back; in a cell both
are (b). s holds W x + c of each gate, the recurrent product included where it may be.

rnn     h = f(s)
lstm    c = σ(s_f) c' + σ(s_i) tanh(s_g),  h = σ(s_o) tanh(c)
gru     h = (1 - z) n + z h',  r = σ(s_r + u_r),  z = σ(s_z + u_z),  n = tanh(s_n + r u_n)
ugrnn   h = g h' + (1 - g) f(s_c),  g = σ(s_g)

Primes mark the step before. Rows of weights lie gate after gate, as in PyTorch.

zoneout            h = m[b, t, j] h' + (1 - m[b, t, j]) h,  m = 1 with probability p
recurrent dropout  the product sees h'[b, k] m[b, k] / (1 - p), one mask for all times
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import phistar as ph
from phistar import sigmoid, tanh
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor

States = tuple[Tensor, ...]
Activation = Callable[[Any], Any]


@dataclass(frozen=True)
class Moment:
    """Where the equations of a step stand.

    now, before: subscripts of batch and time; unit: indices of a hidden unit; real: the condition
    that the step is no padding, None if every step is real. zoneout: for each state the probability
    that a unit stays as it was (Krueger et al. 2017), which is a mean when nothing is trained.
    mask: which units the recurrent product sees, with probability 1 - dropout each (Gal and
    Ghahramani 2016).
    """

    now: tuple[Any, ...]
    before: tuple[Any, ...]
    unit: tuple[Index, ...]
    real: Any = None
    zoneout: tuple[float, ...] = ()
    training: bool = False
    mask: Tensor | None = None
    dropout: float = 0.0

    def keep(self, new: Any, old: Tensor, state: int = 0) -> Any:
        """What a state becomes: what it was, in a padded step or by chance."""
        before = old[(*self.before, *self.unit)]
        p = self.zoneout[state] if self.zoneout else 0.0
        if p:
            at = (*self.now, *self.unit)
            mean = p * before + (1 - p) * new
            new = ph.where(ph.uniform[at] < p, before, new) if self.training else mean
        return new if self.real is None else ph.where(self.real, new, before)

    def seen(self, h: Tensor, k: Index) -> Any:
        """A unit of the step before, as the recurrent product sees it."""
        b = tuple(i for i in self.before if isinstance(i, Index))
        if self.mask is None:
            return h[(*self.before, k)]
        seen = Tensor("seen")
        grown = h[(*self.before, k)] / (1 - self.dropout)
        seen[(*self.now, k)] = ph.where(self.mask[(*b, k)], grown, 0.0)
        return seen[(*self.now, k)]

    def of(self, tensor: Tensor, *gate: int) -> Any:
        """A tensor's element now: of one gate, if it has several."""
        return tensor[(*self.now, *gate, *self.unit)]

    def past(self, tensor: Tensor) -> Any:
        """A state's element in the step before."""
        return tensor[(*self.before, *self.unit)]


@dataclass(frozen=True)
class Weights:
    """The parameters of one layer and direction; biases and peephole may be missing."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    peephole: tuple[Tensor, ...] = ()


# What enters a step -------------------------------------------------------------------------------


def rows(gates: int, hidden: int) -> tuple[tuple[Index, ...], Any]:
    """A gate's unit as subscripts of its own, (z, j), and as a row of the weights."""
    z, j = Index("z", gates), Index("j", hidden)
    return ((j,), j) if gates == 1 else ((z, j), (z, j))


def product(
    weight: Tensor,
    biases: tuple[Tensor | None, ...],
    x: Tensor,
    at: tuple[Any, ...],
    now: tuple[Any, ...],
    size: tuple[int, int],
) -> Tensor:
    """s[b, t, z, j] = W[(z, j), e] x[b, t, e] + c[(z, j)]; size: how many gates and units."""
    place, row = rows(*size)
    e, s = ph.index("e"), Tensor("s")
    value: Any = weight[row, e] * x[(*at, e)]
    for bias in biases:
        value = value if bias is None else value + bias[row,]
    s[(*now, *place)] = value
    return s


def with_past(w: Weights, s: Tensor, h: Tensor, m: Moment, size: tuple[int, int]) -> Tensor:
    """g[b, t, z, j] = s[b, t, z, j] + U[(z, j), k] h'[b, k]."""
    place, row = rows(*size)
    k, g = ph.index("k"), Tensor("g")
    g[(*m.now, *place)] = s[(*m.now, *place)] + w.hh[row, k] * m.seen(h, k)
    return g


# The steps ----------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Activation] = {"tanh": tanh, "relu": ph.relu}


def activation(layer: Any, name: str) -> Activation:
    """The function of that name in ACTIVATIONS; UsageError if there is none."""
    if name not in ACTIVATIONS:
        raise UsageError(
            f"nonlinearity of {type(layer).__name__} is 'tanh' or 'relu', not {name!r}"
        )
    return ACTIVATIONS[name]


def rnn(f: Activation, w: Weights, s: Tensor, past: States, now: States, m: Moment) -> None:
    """h = f(W x + U h' + c) (Elman 1990)."""
    (old,), (h,), (j,) = past, now, m.unit
    k = ph.index("k")
    h[(*m.now, j)] = m.keep(f(m.of(s) + w.hh[j, k] * m.seen(old, k)), old)


def lstm(coupled: bool, w: Weights, s: Tensor, past: States, now: States, m: Moment) -> None:
    """Gates from the input and from h', then the states: see `lstm_states`."""
    size = (3 if coupled else 4, m.unit[0].declared or 0)
    lstm_states(coupled, w.peephole, with_past(w, s, past[0], m, size), past, now, m)


def lstm_states(
    coupled: bool, peephole: tuple[Tensor, ...], g: Tensor, past: States, now: States, m: Moment
) -> None:
    """c = σ(g_f) c' + σ(g_i) tanh(g_c), h = σ(g_o) tanh(c) (Gers et al. 2000).

    The gates g lie in the order i, f, c, o. peephole (Gers and Schmidhuber 2000, as in Graves
    2013): p_i c' enters g_i, p_f c' enters g_f, p_o c enters g_o; empty: none does.
    coupled (Greff et al. 2017): the gates are i, c, o, and what is forgotten is 1 - σ(g_i).
    """
    (h_, c_), (h, c) = past, now

    def gate(n: int, peep: int, cell: Any) -> Any:
        return sigmoid(m.of(g, n) + peephole[peep][m.unit] * cell if peephole else m.of(g, n))

    i, last = gate(0, 0, m.past(c_)), 2 if coupled else 3
    f = 1 - i if coupled else gate(1, 1, m.past(c_))
    new = f * m.past(c_) + i * tanh(m.of(g, last - 1))
    if any(m.zoneout):  # h is made from the cell as it would have been
        fresh = Tensor("fresh")
        fresh[(*m.now, *m.unit)] = new
        new = m.of(fresh)
    c[(*m.now, *m.unit)] = m.keep(new, c_, 1)
    cell = new if any(m.zoneout) else m.of(c)
    o = gate(last, last - 1, cell)
    h[(*m.now, *m.unit)] = m.keep(o * tanh(cell), h_)


def gru(w: Weights, s: Tensor, past: States, now: States, m: Moment) -> None:
    """h = (1 - z) n + z h' (Cho et al. 2014; r stands after the product, as in PyTorch)."""
    (old,), (h,), (j,) = past, now, m.unit
    place, row = rows(3, j.declared or 0)
    k, u = ph.index("k"), Tensor("u")
    inner = w.hh[row, k] * m.seen(old, k)
    u[(*m.now, *place)] = inner if w.bias_hh is None else inner + w.bias_hh[row,]
    z, n = ph.tensors("z n")
    z[(*m.now, j)] = sigmoid(m.of(s, 1) + m.of(u, 1))
    n[(*m.now, j)] = tanh(m.of(s, 2) + sigmoid(m.of(s, 0) + m.of(u, 0)) * m.of(u, 2))
    h[(*m.now, j)] = m.keep((1 - m.of(z)) * m.of(n) + m.of(z) * m.past(old), old)


def ugrnn(f: Activation, w: Weights, s: Tensor, past: States, now: States, m: Moment) -> None:
    """h = g h' + (1 - g) f(s_c), g = σ(s_g) (Collins et al. 2017); the gates lie as c, g."""
    (old,), (h,), (j,) = past, now, m.unit
    p = with_past(w, s, old, m, (2, j.declared or 0))
    g = Tensor("g")
    g[(*m.now, j)] = sigmoid(m.of(p, 1))
    h[(*m.now, j)] = m.keep(m.of(g) * m.past(old) + (1 - m.of(g)) * f(m.of(p, 0)), old)
