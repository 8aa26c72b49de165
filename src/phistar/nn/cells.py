"""One step of a recurrence by itself: x[b, e] and the states before -> the states after.

The equations are those of `phistar.nn.steps`, with b for now and for before.
"""

from functools import partial
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import UsageError
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn import steps
from phistar.nn.lengths import batch
from phistar.nn.recurrence import Step, expect_state, of_names, weight_shapes, within, zoneouts
from phistar.nn.shapes import expect, expect_size, whole
from phistar.nn.steps import Moment, States, Weights


class Cell(ph.Model):
    """What RNNCell, LSTMCell, GRUCell and UGRNNCell share.

    x[b, input_size] with states [b, hidden_size] (None: zeros) -> states [b, hidden_size]. Any
    number of batch axes, also none. Parameters have PyTorch's names, shapes and order of gates:
    weight_ih, weight_hh, bias_ih, bias_hh; they start uniform within ±1 / sqrt(hidden_size).
    zoneout: as in `Recurrence`.
    Raises UsageError for arguments that are none, ShapeError for tensors that do not fit.
    """

    gates: ClassVar[int]
    inner_bias: ClassVar[bool] = False
    carried: ClassVar[tuple[str, ...]] = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        init: Any = None,
        dtype: Any = "f32",
        zoneout: float | tuple[float, float] = 0.0,
    ) -> None:
        self.zoneout = zoneouts(self, zoneout)
        self.input_size = whole(self, "input_size", input_size)
        self.hidden_size = whole(self, "hidden_size", hidden_size)
        start = within(hidden_size) if init is None else init
        for name, shape in weight_shapes(self.gates, input_size, hidden_size, bias).items():
            setattr(self, name, ph.param(*shape, init=start, dtype=dtype))

    @property
    def step(self) -> Step:
        """The equations of a step."""
        raise NotImplementedError

    def __call__(self, x: Any, states: Any = None) -> Any:
        shape = expect(x, self, least=1)
        expect_size(self, "inputs", self.input_size, shape, -1)
        b, j = batch(shape[:-1]), Index("j", self.hidden_size)
        past = self.before(states, shape[:-1], (*b, j))
        now = tuple(Tensor(name) for name in self.carried)
        w = self.weights()
        biases = (w.bias_ih,) if self.inner_bias else (w.bias_ih, w.bias_hh)
        s = steps.product(w.ih, biases, x, b, b, (self.gates, self.hidden_size))
        m = Moment(b, b, (j,), None, self.zoneout, self.training)
        self.step(w, s, past, now, m)
        return now if len(now) > 1 else now[0]

    def weights(self) -> Weights:
        def of(name: str) -> Any:
            return getattr(self, name, None)

        return Weights(*map(of, ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))

    def before(self, states: Any, rows: tuple[int, ...], at: tuple[Index, ...]) -> States:
        """The states before, zeros where none are given."""
        if states is None:
            zeros = tuple(Tensor(f"{name}0") for name in self.carried)
            for state in zeros:
                state[at] = 0
            return zeros
        given = states if isinstance(states, tuple | list) else (states,)
        if len(given) != len(self.carried):
            raise UsageError(
                f"states of {type(self).__name__} is {of_names(self.carried)}, "
                f"not {len(given)} tensors"
            )
        for state in given:
            expect_state(self, state, (*rows, self.hidden_size))
        return tuple(given)


class RNNCell(Cell):
    """h = f(W x + c + U h' + c'), f = tanh or relu: x[b, e], h[b, j] -> h[b, j]. See `Cell`."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        init: Any = None,
        dtype: Any = "f32",
        zoneout: float = 0.0,
    ) -> None:
        self.f = steps.activation(self, nonlinearity)
        super().__init__(input_size, hidden_size, bias, init, dtype, zoneout)

    @property
    def step(self) -> Step:
        return partial(steps.rnn, self.f)


class LSTMCell(Cell):
    """c = σ(f) c' + σ(i) tanh(g), h = σ(o) tanh(c): x[b, e], (h, c) -> (h, c). See `Cell`."""

    gates = 4
    carried = ("h", "c")

    @property
    def step(self) -> Step:
        return partial(steps.lstm, False)


class GRUCell(Cell):
    """h = (1 - z) n + z h': x[b, e], h[b, j] -> h[b, j]. See `Cell`."""

    gates = 3
    inner_bias = True

    @property
    def step(self) -> Step:
        return steps.gru


class UGRNNCell(Cell):
    """h = g h' + (1 - g) tanh(s): x[b, e], h[b, j] -> h[b, j] (Collins et al. 2017). See `Cell`."""

    gates = 2

    @property
    def step(self) -> Step:
        return partial(steps.ugrnn, steps.ACTIVATIONS["tanh"])
