"""Recurrent layers over x[b, t, e], in one or both directions, one above the other.

    s[b, t, z, j] = W[(z, j), e] x[b, t, e] + c[(z, j)]         before the scan: all steps at once
    scan t:  h[b, t, j] = step(s[b, t, ...], h[b, t - 1, ...])  see `phistar.nn.steps`

With lengths n[b], a padded step keeps the state, gives 0, and is read as 0:
    h[b, t, j] = where(t < n[b], step(...), h[b, t - 1, j])
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import ShapeError, UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn import steps
from phistar.nn.lengths import batch, real_steps, without_padding
from phistar.nn.noise import Dropout, kept, probability
from phistar.nn.shapes import expect, expect_size, whole
from phistar.nn.steps import Moment, States, Weights

Step = Callable[[Weights, Tensor, States, States, Moment], None]
BACKWARDS = "_reverse"


class Recurrence(ph.Model):
    """What RNN, LSTM, GRU and UGRNN share: layers, directions, lengths, initial states.

    x[b, t, input_size] -> outputs[b, t, units], final states. Any number of batch axes may stand
    before t, also none. units: hidden_size, twice that if bidirectional (forward first). A state:
    [num_layers * directions, b, hidden_size], as in PyTorch. dropout: between layers, in training.
    recurrent_dropout: of the state that enters the recurrent product, the same units at all times
    (Gal and Ghahramani 2016). zoneout: the probability that a unit of a state stays as it was, a
    number, or one for each of h and c (Krueger et al. 2017); in evaluation its mean.

    Parameters have PyTorch's names, shapes and order of gates, so that its values load as they are:
    weight_ih_l0 (gates * hidden_size, input_size), weight_hh_l0 (gates * hidden_size, hidden_size),
    bias_ih_l0, bias_hh_l0 (gates * hidden_size); l1, l2, ... for the layers above, with `_reverse`
    for the way back. They start uniform within ±1 / sqrt(hidden_size); init= chooses another.

    Called with `states` (None: zeros) and `lengths`, a tensor [b] of whole numbers: steps from
    there on are padding, influence nothing and give 0; the final state is that of the last real
    step, the way back starts there. Raises UsageError for arguments that do not fit together,
    ShapeError for tensors that do not; a length beyond x is an IndexRangeError when it is read.
    """

    gates: int
    inner_bias: ClassVar[bool] = False  # whether bias_hh belongs inside the scan
    peepholes: tuple[str, ...] = ()
    carried: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        init: Any = None,
        dtype: Any = "f32",
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        self.input_size = whole(self, "input_size", input_size)
        self.hidden_size = whole(self, "hidden_size", hidden_size)
        self.num_layers = whole(self, "num_layers", num_layers)
        self.bidirectional, self.bias = bidirectional, bias
        self.between = Dropout(dropout)
        self.recurrent_dropout = probability(self, "recurrent_dropout", recurrent_dropout)
        self.zoneout = zoneouts(self, zoneout)
        for suffix, inputs in self.suffixes():
            shapes = self.shapes(inputs)
            for name, shape in shapes.items():
                start = within(hidden_size) if init is None else init
                setattr(self, f"{name}_{suffix}", ph.param(*shape, init=start, dtype=dtype))

    def suffixes(self) -> list[tuple[str, int]]:
        """Each layer's and direction's suffix, with the size of its input."""
        ways = ("", BACKWARDS) if self.bidirectional else ("",)
        above = self.hidden_size * len(ways)
        return [
            (f"l{n}{way}", above if n else self.input_size)
            for n in range(self.num_layers)
            for way in ways
        ]

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """The parameters of one layer and direction."""
        return weight_shapes(self.gates, inputs, self.hidden_size, self.bias)

    @property
    def step(self) -> Step:
        """The equations of a step."""
        raise NotImplementedError

    def weights(self, suffix: str) -> Weights:
        def of(name: str) -> Any:
            return getattr(self, f"{name}_{suffix}", None)

        seen = tuple(of(name) for name in self.peepholes)
        return Weights(
            of("weight_ih"), of("weight_hh"), of("bias_ih"), of("bias_hh"), peephole=seen
        )

    def __call__(self, x: Any, states: Any = None, lengths: Any = None) -> Any:
        shape = expect(x, self, least=2)
        expect_size(self, "inputs", self.input_size, shape, -1)
        b = batch(shape[:-2])
        n = None if lengths is None else real_steps(self, lengths, shape[:-2], shape[-2])
        before = initial(self, states, shape[:-2])
        ends: list[States] = []
        y = x if n is None else without_padding(x, n, b, (Index("e", shape[-1]),))
        for layer in range(self.num_layers):
            y, end = self.layer(layer, self.between(y) if layer else y, before, b, n)
            ends += end
        final = tuple(stacked(part, b) for part in zip(*ends, strict=True))
        return y, final if len(self.carried) > 1 else final[0]

    def layer(
        self, layer: int, x: Tensor, before: States | None, b: Any, n: Tensor | None
    ) -> tuple[Tensor, list[States]]:
        """One layer: its outputs, and the final states of its directions."""
        ways = (False, True) if self.bidirectional else (False,)
        ran = [self.way(layer, back, x, before, b, n) for back in ways]
        outputs = joined([h for h, _ in ran], b, self.hidden_size, n)
        return outputs, [end for _, end in ran]

    def way(
        self, layer: int, back: bool, x: Tensor, before: States | None, b: Any, n: Tensor | None
    ) -> tuple[Tensor, States]:
        """One layer in one direction: its units at all steps, and its final states."""
        w = self.weights(f"l{layer}{BACKWARDS if back else ''}")
        t, j = ph.index("t"), Index("j", self.hidden_size)
        size = (self.gates, self.hidden_size)
        biases = (w.bias_ih,) if self.inner_bias else (w.bias_ih, w.bias_hh)
        s = steps.product(w.ih, biases, x, (*b, t), (*b, t), size)
        now = tuple(Tensor(name) for name in self.carried)
        start = ph.last + 1 if back else ph.first - 1
        number = layer * (1 + self.bidirectional) + back
        for position, state in enumerate(now):
            zero = ph.cast(0.0, w.hh.dtype.value)
            state[(*b, start, j)] = zero if before is None else before[position][(number, *b, j)]
        past = (*b, t + 1) if back else (*b, t - 1)
        real = None if n is None else t < n[b]
        mask = self.dropped(b)
        noise = self.zoneout, self.training, mask, self.recurrent_dropout
        m = Moment((*b, t), past, (j,), real, *noise)
        with ph.scan(t, backwards=back):
            self.step(w, s, now, now, m)
        return now[0], tuple(ended(state, back, b, (j,)) for state in now)

    def dropped(self, b: Any) -> Tensor | None:
        """Which units the recurrent product sees, at all times."""
        p = self.recurrent_dropout
        if p == 0 or not self.training:
            return None
        j, mask = Index("j", self.hidden_size), Tensor("mask")
        mask[(*b, j)] = kept(p, (*b, j))
        return mask


# Layers -------------------------------------------------------------------------------------------


class RNN(Recurrence):
    """h = f(W x + c + U h' + c'), f = tanh or relu (Elman 1990): see `Recurrence`.

    x[b, t, e] -> outputs[b, t, j], final h[l, b, j].
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        nonlinearity: str = "tanh",
        bias: bool = True,
        init: Any = None,
        dtype: Any = "f32",
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        self.f = steps.activation(self, nonlinearity)
        super().__init__(
            *(input_size, hidden_size, num_layers, bidirectional, dropout, bias, init, dtype),
            *(recurrent_dropout, zoneout),
        )

    @property
    def step(self) -> Step:
        return partial(steps.rnn, self.f)


class LSTM(Recurrence):
    """c = σ(f) c' + σ(i) tanh(g), h = σ(o) tanh(c): see `Recurrence` and `steps.lstm_states`.

    x[b, t, e] -> outputs[b, t, j], (final h[l, b, j], final c[l, b, j]); states: a pair (h, c).
    Gates lie in the order i, f, g, o. peephole: the gates see the cells through
    weight_ci_l0, weight_cf_l0, weight_co_l0 (hidden_size). coupled: f = 1 - i, the gates lie in
    the order i, g, o, and nothing belongs to f.
    Hochreiter and Schmidhuber (1997), Gers et al. (2000), Greff et al. (2017).
    """

    gates = 4
    carried = ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        peephole: bool = False,
        coupled: bool = False,
        bias: bool = True,
        init: Any = None,
        dtype: Any = "f32",
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        self.coupled = coupled
        self.gates = 3 if coupled else 4
        if peephole:
            names = ("weight_ci", "weight_cf", "weight_co")
            self.peepholes = names[::2] if coupled else names
        super().__init__(
            *(input_size, hidden_size, num_layers, bidirectional, dropout, bias, init, dtype),
            *(recurrent_dropout, zoneout),
        )

    def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        return super().shapes(inputs) | dict.fromkeys(self.peepholes, (self.hidden_size,))

    @property
    def step(self) -> Step:
        return partial(steps.lstm, self.coupled)


class GRU(Recurrence):
    """h = (1 - z) n + z h', n = tanh(W x + c + r (U h' + c')) (Cho et al. 2014): see `Recurrence`.

    x[b, t, e] -> outputs[b, t, j], final h[l, b, j]. Gates lie in the order r, z, n.
    """

    gates = 3
    inner_bias = True

    @property
    def step(self) -> Step:
        return steps.gru


class UGRNN(Recurrence):
    """h = g h' + (1 - g) f(W x + U h' + c), g = σ(...) (Collins et al. 2017): see `Recurrence`.

    x[b, t, e] -> outputs[b, t, j], final h[l, b, j]. The weights of f lie before those of the gate
    g. nonlinearity: f, tanh or relu.
    """

    gates = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        nonlinearity: str = "tanh",
        bias: bool = True,
        init: Any = None,
        dtype: Any = "f32",
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        self.f = steps.activation(self, nonlinearity)
        super().__init__(
            *(input_size, hidden_size, num_layers, bidirectional, dropout, bias, init, dtype),
            *(recurrent_dropout, zoneout),
        )

    @property
    def step(self) -> Step:
        return partial(steps.ugrnn, self.f)


# Noise --------------------------------------------------------------------------------------------


def zoneouts(layer: Any, p: Any) -> tuple[float, ...]:
    """A probability for each state, empty where all are 0; UsageError for what is none."""
    given = p if isinstance(p, tuple | list) else (p,) * len(layer.carried)
    if len(given) != len(layer.carried):
        raise UsageError(
            f"zoneout of {type(layer).__name__} is a number or {len(layer.carried)} of them, "
            f"not {len(given)}"
        )
    found = tuple(probability(layer, "zoneout", one) for one in given)
    return found if any(found) else ()


# Parameters ---------------------------------------------------------------------------------------


def weight_shapes(gates: int, inputs: int, hidden: int, bias: bool) -> dict[str, tuple[int, ...]]:
    """The parameters of a step, by PyTorch's names."""
    rows = gates * hidden
    shapes: dict[str, tuple[int, ...]]
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden)}
    return shapes | ({"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {})


def within(hidden: int) -> Any:
    """PyTorch's initialiser: uniform within ±1 / sqrt(hidden)."""
    return ph.init.uniform(-(hidden**-0.5), hidden**-0.5)


# States -------------------------------------------------------------------------------------------


def initial(layer: Any, states: Any, rows: tuple[int, ...]) -> States | None:
    """The states before the first step, each [layers * directions, b, hidden], or None."""
    if states is None:
        return None
    names = layer.carried
    given = states if isinstance(states, tuple | list) else (states,)
    if len(given) != len(names):
        raise UsageError(
            f"states of {type(layer).__name__} is {of_names(names)}, not {len(given)} tensors"
        )
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    for state in given:
        expect_state(layer, state, (count, *rows, layer.hidden_size))
    return tuple(given)


def expect_state(layer: Any, state: Any, wanted: tuple[int, ...]) -> None:
    """ShapeError if a state has not the shape it must have."""
    if expect(state, layer) != wanted:
        raise ShapeError(
            f"a state of {type(layer).__name__} has shape {wanted} here, not {state.shape}"
        )


def of_names(names: tuple[str, ...]) -> str:
    return "one tensor" if len(names) == 1 else f"a pair ({', '.join(names)})"


def ended(state: Tensor, back: bool, b: Any, unit: tuple[Index, ...]) -> Tensor:
    """A state after the last step that ran."""
    final = Tensor(f"{state.name}_end")
    final[(*b, *unit)] = state[(*b, ph.first if back else ph.last, *unit)]
    return final


def stacked(parts: tuple[Tensor, ...], b: Any) -> Tensor:
    """The final states of all layers and directions: [l, b, j]."""
    j, final = ph.index("j"), Tensor("final")
    for n, part in enumerate(parts):
        final[(n, *b, j)] = part[(*b, j)]
    return final


def joined(ways: list[Tensor], b: Any, hidden: int, n: Tensor | None) -> Tensor:
    """The outputs of both directions, one after the other; 0 where a step is padding."""
    if n is None and len(ways) == 1:
        return ways[0]
    t, j, y = ph.index("t"), Index("j", hidden), Tensor("y")
    for m, h in enumerate(ways):
        now = h[(*b, t, j)]
        y[(*b, t, m * hidden + j)] = now if n is None else ph.where(t < n[b], now, 0.0)
    return y
