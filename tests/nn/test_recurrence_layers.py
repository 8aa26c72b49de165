"""Recurrent layers against PyTorch's, or the papers' equations written in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from layer_table import Row, assert_every_name_has_a_row, cases, check, normal
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import nn
from phistar.errors import DTypeError, IndexRangeError, ShapeError, UsageError
from phistar.nn import bidirectional, cells, convlstm, recurrence

Array = np.ndarray[Any, Any]

# Peers --------------------------------------------------------------------------------------------


def layer_row(name: str, *sizes: int, inputs: Any, **kwargs: Any) -> Row:
    """A layer that PyTorch has too, on whole sequences: (x, states)."""
    return Row(
        lambda: getattr(nn, name)(*sizes, **kwargs, dtype="f64"),
        lambda torch: getattr(torch.nn, name)(*sizes, **kwargs, batch_first=True),
        inputs,
    )


def padded_row(name: str, *sizes: int, x: Array, lengths: list[int], **kwargs: Any) -> Row:
    """The same over packed sequences; with states as third input."""

    def peer(torch: Any) -> Any:
        rnn = torch.nn.utils.rnn
        layer = getattr(torch.nn, name)(*sizes, **kwargs, batch_first=True).double()

        def run(x: Any, n: Any, **parameters: Any) -> Any:
            packed = rnn.pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
            y, end = torch.func.functional_call(layer, parameters, (packed,))
            y, _ = rnn.pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])
            return y, end

        return run

    def made() -> Any:
        return WithLengths(getattr(nn, name)(*sizes, **kwargs, dtype="f64"))

    return Row(made, peer, (x, np.array(lengths)), without_prefix)


class WithLengths(ph.Model):
    """A layer that takes its lengths as second argument."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, x: Any, lengths: Any, states: Any = None) -> Any:
        return self.layer(x, states=states, lengths=lengths)


def without_prefix(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name.partition(".")[2]: t for name, t in tensors.items()}


Step = Callable[..., Any]


def recurrence_peer(step: Step, states: int, reverse: bool = False) -> Callable[[Any], Any]:
    """A loop over the paper's equations: step(torch, p, x, states) -> states."""

    def peer(torch: Any) -> Any:
        def run(x: Any, lengths: Any = None, **p: Any) -> Any:
            p = {name.removesuffix("_l0").removeprefix("layer_"): t for name, t in p.items()}
            hidden = p["weight_hh"].shape[1]
            zero = x.new_zeros(x.shape[0], hidden)
            now, ys = (zero,) * states, []
            for t in range(x.shape[1]):
                new = step(torch, p, x[:, t], now)
                if lengths is None:
                    now = new
                    ys.append(now[0])
                    continue
                real = (t < lengths)[:, None]
                now = tuple(torch.where(real, a, b) for a, b in zip(new, now, strict=True))
                ys.append(torch.where(real, now[0], 0.0))
            ends = tuple(s[None] for s in now)
            return torch.stack(ys, 1), ends if states > 1 else ends[0]

        return run

    return peer


def ugrnn_step(f: str = "tanh") -> Step:
    def step(torch: Any, p: Any, x: Any, now: Any) -> Any:
        s = x @ p["weight_ih"].T + p["bias_ih"] + now[0] @ p["weight_hh"].T + p["bias_hh"]
        c, g = s.chunk(2, -1)
        g = torch.sigmoid(g)
        return (g * now[0] + (1 - g) * getattr(torch, f)(c),)

    return step


def lstm_step(peephole: bool, coupled: bool) -> Step:
    def step(torch: Any, p: Any, x: Any, now: Any) -> Any:
        h, c = now
        s = x @ p["weight_ih"].T + p["bias_ih"] + h @ p["weight_hh"].T + p["bias_hh"]
        parts = s.chunk(3 if coupled else 4, -1)
        none = torch.zeros(h.shape[1])
        pi, pf, po = (p.get(f"weight_c{gate}", none) for gate in "ifo")
        i = torch.sigmoid(parts[0] + pi * c)
        f = 1 - i if coupled else torch.sigmoid(parts[1] + pf * c)
        c = f * c + i * torch.tanh(parts[-2])
        o = torch.sigmoid(parts[-1] + po * c)
        return o * torch.tanh(c), c

    return step


def lstm_variant(peephole: bool, coupled: bool, *inputs: Array) -> Row:
    def made() -> Any:
        return nn.LSTM(3, 4, peephole=peephole, coupled=coupled, dtype="f64")

    return Row(
        made if len(inputs) == 1 else lambda: WithLengths(made()),
        recurrence_peer(lstm_step(peephole, coupled), 2),
        inputs,
    )


def conv_lstm(torch: Any) -> Any:
    """Shi et al. (2015), equation 3."""

    def run(x: Any, lengths: Any = None, states: Any = None, **p: Any) -> Any:
        p = {name.removeprefix("layer_"): t for name, t in p.items()}
        conv, side = torch.nn.functional.conv2d, [n // 2 for n in p["weight_hh"].shape[2:]]
        shape = (x.shape[0], p["weight_hh"].shape[1], *x.shape[3:])
        h, c = (x.new_zeros(shape),) * 2 if states is None else states
        pi, pf, po = (p.get(f"weight_c{gate}", torch.zeros(1)) for gate in "ifo")
        bias, ys = p.get("bias"), []
        for t in range(x.shape[1]):
            s = conv(x[:, t], p["weight_ih"], bias, padding=side)
            i, f, g, o = (s + conv(h, p["weight_hh"], padding=side)).chunk(4, 1)
            new = torch.sigmoid(f + pf * c) * c
            new = new + torch.sigmoid(i + pi * c) * torch.tanh(g)
            out = torch.sigmoid(o + po * new) * torch.tanh(new)
            real = torch.tensor(True) if lengths is None else (t < lengths)[:, None, None, None]
            h, c = torch.where(real, out, h), torch.where(real, new, c)
            ys.append(torch.where(real, h, 0.0))
        return torch.stack(ys, 1), (h, c)

    return run


def conv_row(*inputs: Any, **kwargs: Any) -> Row:
    def made() -> Any:
        return nn.ConvLSTM2d(2, 3, kwargs.get("kernel", 3), **others, dtype="f64")

    others = {name: v for name, v in kwargs.items() if name != "kernel"}
    plain = len(inputs) == 1
    return Row(made if plain else lambda: WithLengths(made()), conv_lstm, inputs)


def both_ways(torch: Any) -> Any:
    """A GRU forwards and an LSTM on each row's steps from the last to the first."""
    layers = torch.nn.GRU(3, 4, batch_first=True), torch.nn.LSTM(3, 2, batch_first=True)

    def run(x: Any, lengths: Any = None, **p: Any) -> Any:
        n = [x.shape[1]] * len(x) if lengths is None else lengths.tolist()
        rows = [one(x[b : b + 1, : n[b]], p) for b in range(len(x))]
        ys = [torch.nn.functional.pad(y, (0, 0, 0, x.shape[1] - y.shape[1])) for y, _, _ in rows]
        ends = [torch.cat([row[1] for row in rows], 1)]
        ends += [torch.cat([row[2][m] for row in rows], 1) for m in range(2)]
        return torch.cat(ys), ends

    def one(x: Any, p: Any) -> Any:
        ways = []
        for layer, name in zip(layers, ("forward_", "backward_"), strict=True):
            mine = {
                m.removeprefix("layer_").removeprefix(name): t for m, t in p.items() if name in m
            }
            z = x if name == "forward_" else x.flip(1)
            ways.append(torch.func.functional_call(layer.double(), mine, (z,)))
        (f, f_end), (g, g_end) = ways
        return torch.cat([f, g.flip(1)], -1), f_end, g_end

    return run


def two_layers() -> Any:
    return nn.Bidirectional(nn.GRU(3, 4, dtype="f64"), nn.LSTM(3, 2, dtype="f64"))


def ugrnn_cell(torch: Any) -> Any:
    return lambda x, h, **p: ugrnn_step()(torch, p, x, (h,))[0]


def cell_row(name: str, states: Any = (), **kwargs: Any) -> Row:
    return Row(
        lambda: getattr(nn, name)(3, 4, **kwargs, dtype="f64"),
        lambda torch: getattr(torch.nn, name)(3, 4, **kwargs),
        (normal(2, 3), *states),
    )


# Rows ---------------------------------------------------------------------------------------------

x, short, images = normal(3, 5, 3), normal(1, 1, 3), normal(2, 3, 2, 4, 5)
lengths, ones = [3, 5, 1], [1, 1, 1]
n = np.array(lengths)


def states(layers: int, rows: int = 3, units: int = 4) -> tuple[Array, Array]:
    return normal(layers, rows, units, seed=5), normal(layers, rows, units, seed=6)


def of_torch(name: str) -> dict[str, Row]:
    """The rows of a layer that PyTorch has."""
    h, h4 = states(1), states(4)
    first, all4 = (h, h4) if name == "LSTM" else (h[0], h4[0])
    two = {"num_layers": 2, "bidirectional": True}
    return {
        name: layer_row(name, 3, 4, inputs=(x, first)),
        f"{name}: no states": layer_row(name, 3, 4, inputs=(x,)),
        f"{name}: one step of one row": layer_row(name, 3, 4, inputs=(short,)),
        f"{name}: no batch": layer_row(name, 3, 4, inputs=(x[0],)),
        f"{name}: no bias": layer_row(name, 3, 4, inputs=(x,), bias=False),
        f"{name}: one unit": layer_row(name, 3, 1, inputs=(x,)),
        f"{name}: both directions": layer_row(name, 3, 4, inputs=(x,), bidirectional=True),
        f"{name}: two layers, both directions": layer_row(name, 3, 4, inputs=(x, all4), **two),
        f"{name}: lengths": padded_row(name, 3, 4, x=x, lengths=lengths),
        f"{name}: lengths 1": padded_row(name, 3, 4, x=x, lengths=ones, bidirectional=True),
        f"{name}: lengths, two layers, both directions": padded_row(
            name, 3, 4, x=x, lengths=lengths, **two
        ),
    }


ROWS = {
    **of_torch("RNN"),
    "RNN: relu": layer_row("RNN", 3, 4, inputs=(x,), nonlinearity="relu"),
    **of_torch("LSTM"),
    "LSTM: peephole": lstm_variant(True, False, x),
    "LSTM: peephole, lengths": lstm_variant(True, False, x, n),
    "LSTM: coupled": lstm_variant(False, True, x),
    "LSTM: coupled, lengths": lstm_variant(False, True, x, n),
    "LSTM: peephole, coupled": lstm_variant(True, True, x),
    **of_torch("GRU"),
    "UGRNN": Row(lambda: nn.UGRNN(3, 4, dtype="f64"), recurrence_peer(ugrnn_step(), 1), (x,)),
    "UGRNN: relu": Row(
        lambda: nn.UGRNN(3, 4, nonlinearity="relu", dtype="f64"),
        recurrence_peer(ugrnn_step("relu"), 1),
        (short,),
    ),
    "UGRNN: lengths": Row(
        lambda: WithLengths(nn.UGRNN(3, 4, dtype="f64")), recurrence_peer(ugrnn_step(), 1), (x, n)
    ),
    "RNNCell": cell_row("RNNCell", (normal(2, 4),)),
    "RNNCell: no state, relu": cell_row("RNNCell", nonlinearity="relu"),
    "RNNCell: no bias": cell_row("RNNCell", bias=False),
    "LSTMCell": cell_row("LSTMCell", ((normal(2, 4), normal(2, 4, seed=8)),)),
    "LSTMCell: no states": cell_row("LSTMCell"),
    "GRUCell": cell_row("GRUCell", (normal(2, 4),)),
    "GRUCell: no state, no bias": cell_row("GRUCell", bias=False),
    "UGRNNCell": Row(
        lambda: nn.UGRNNCell(3, 4, dtype="f64"), ugrnn_cell, (normal(2, 3), normal(2, 4))
    ),
    "ConvLSTM2d": conv_row(images),
    "ConvLSTM2d: no peephole, no bias": conv_row(images, peephole=False, bias=False),
    "ConvLSTM2d: kernel of 1 by 3, lengths": conv_row(images, np.array([2, 1]), kernel=(1, 3)),
    "ConvLSTM2d: states": conv_row(
        images, np.array([3, 0]), (normal(2, 3, 4, 5, seed=4), normal(2, 3, 4, 5, seed=5))
    ),
    "ConvLSTM2d: one pixel": conv_row(normal(1, 1, 2, 1, 1)),
    "Bidirectional": Row(two_layers, both_ways, (x,)),
    "Bidirectional: lengths": Row(lambda: WithLengths(two_layers()), both_ways, (x, n)),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS))
def test_against_torch(name: str, backend: str) -> None:
    check(ROWS[name], backend)


def test_every_name_has_a_row() -> None:
    assert_every_name_has_a_row((recurrence, cells, convlstm, bidirectional), ROWS)


# Padding, dropout, start, names -------------------------------------------------------------------


def gradients(layer: Any, x: Array, lengths: Any, backend: str = "numpy") -> dict[str, Array]:
    """The gradient of x and of the parameters."""

    def loss(layer: Any, x: Any, lengths: Any) -> Any:
        y, end = layer(x, lengths=lengths)
        h = end if isinstance(end, ph.Tensor) else end[0]
        b, t, j, n = ph.indices("b t j n")
        return ph.sum[b, t, j](ph.sin(y[b, t, j])) + ph.sum[n, b, j](ph.cos(h[n, b, j]))

    return ph.grad(loss, backend=backend)(layer, x, np.array(lengths))


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_padding_influences_nothing_even_if_it_is_nan(backend: str) -> None:
    layer = nn.LSTM(3, 4, bidirectional=True, dtype="f64")
    layer.initialize(1)
    spoilt = x.copy()
    for row, length in enumerate(lengths):
        spoilt[row, length:] = np.nan
    y, (h, c) = ph.jit(lambda m, x, n: m(x, lengths=n), backend=backend)(layer, spoilt, n)
    for row, length in enumerate(lengths):
        assert_array_equal(y[row, length:], 0)
    assert np.isfinite(y).all() and np.isfinite(h).all() and np.isfinite(c).all()
    found, clean = gradients(layer, spoilt, lengths, backend), gradients(layer, x, lengths, backend)
    for name, gradient in found.items():
        assert_array_equal(gradient, clean[name])
    of_x = input_gradient(layer, spoilt, backend)
    for row, length in enumerate(lengths):
        assert_array_equal(of_x[row, length:], 0)
        assert (of_x[row, :length] != 0).all()


def input_gradient(layer: Any, values: Array, backend: str) -> Array:
    def loss(x: Any, n: Any) -> Any:
        y, _ = layer(x, lengths=n)
        b, t, j = ph.indices("b t j")
        return ph.sum[b, t, j](ph.sin(y[b, t, j]))

    return ph.grad(loss, backend=backend)(values, n)


def test_a_row_without_steps_keeps_its_state() -> None:
    layer = nn.GRU(3, 4, dtype="f64")
    layer.initialize()
    start = normal(1, 3, 4)
    y, h = ph.jit(lambda m, x, s, n: m(x, s, n))(layer, x, start, np.array([0, 5, 2]))
    assert_array_equal(y[0], 0)
    assert_array_equal(h[0, 0], start[0, 0])


def test_dropout_is_between_layers_and_only_in_training() -> None:
    layer = nn.RNN(3, 40, num_layers=2, dropout=0.4, dtype="f64")
    plain = nn.RNN(3, 40, num_layers=2, dtype="f64")
    layer.initialize(2)
    plain.initialize(2)
    run = ph.jit(lambda m, x: m(x)[1], backend="numpy")
    trained, want = run(layer, x), run(plain, x)
    assert_array_equal(trained[0], want[0])
    assert (np.abs(trained[1] - want[1]) > 1e-3).any()
    layer.training = False
    assert_array_equal(run(layer, x), want)


def test_values_at_the_start_lie_within_pytorchs_bounds() -> None:
    layer = nn.GRU(20, 25)
    layer.initialize(1)
    for tensor in layer.parameters.values():
        assert np.abs(tensor.value).max() <= 0.2
        assert_allclose(tensor.value.std(), 0.2 / np.sqrt(3), rtol=0.25)
    assert_array_equal(
        initialized(nn.LSTM(2, 3, init=0.5)).weight_hh_l0.value, np.full((12, 3), 0.5)
    )


def initialized(layer: Any) -> Any:
    layer.initialize()
    return layer


def test_parameters_have_pytorchs_names_and_shapes() -> None:
    torch = pytest.importorskip("torch")
    for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
        more = {} if name.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
        ours, theirs = getattr(nn, name)(3, 4, **more), getattr(torch.nn, name)(3, 4, **more)
        want = {n: tuple(t.shape) for n, t in theirs.named_parameters()}
        assert {n: t.shape for n, t in ours.parameters.items()} == want


def test_the_input_product_stands_before_the_scan() -> None:
    program = str(ph.trace(lambda m, x: m(x), nn.LSTM(3, 4, dtype="f64"), x))
    before, _, inside = program.partition("scan t")
    assert "Σ_e weight_ih_l0[(z, j), e] * x[b, t, e]" in before
    assert "Σ_k weight_hh_l0[(z, j), k] * h[b, t - 1, k]" in inside


# What is refused ----------------------------------------------------------------------------------

X, N = ph.tensor(x, "x"), ph.tensor(n, "n")
H = ph.tensor(normal(1, 3, 4), "h")


def gru(*args: Any, **kwargs: Any) -> Any:
    return nn.GRU(3, 4, dtype="f64")(*args, **kwargs)


def images_layer(*args: Any, **kwargs: Any) -> Any:
    return nn.ConvLSTM2d(2, 3, 3, dtype="f64")(ph.tensor(images), *args, **kwargs)


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "sizes": (
        lambda: nn.RNN(3, 0),
        UsageError,
        "hidden_size of RNN must be a whole number from 1 on, not 0",
    ),
    "nonlinearity": (
        lambda: nn.RNN(3, 4, nonlinearity="gelu"),
        UsageError,
        "nonlinearity of RNN is 'tanh' or 'relu', not 'gelu'",
    ),
    "dropout": (
        lambda: nn.LSTM(3, 4, dropout=1.0),
        UsageError,
        "probability from 0 to below 1, not 1.0",
    ),
    "inputs": (
        lambda: gru(ph.tensor(normal(2, 5, 4))),
        ShapeError,
        r"GRU has 3 inputs, but axis -1 of shape \(2, 5, 4\) has 4",
    ),
    "states of one": (
        lambda: nn.LSTM(3, 4, dtype="f64")(X, H),
        UsageError,
        r"states of LSTM is a pair \(h, c\), not 1 tensors",
    ),
    "states of several": (
        lambda: gru(X, (H, H)),
        UsageError,
        "states of GRU is one tensor, not 2 tensors",
    ),
    "a state's shape": (
        lambda: gru(X, ph.tensor(normal(2, 3, 4))),
        ShapeError,
        r"a state of GRU has shape \(1, 3, 4\) here, not \(2, 3, 4\)",
    ),
    "states of a cell": (
        lambda: nn.LSTMCell(3, 4, dtype="f64")(ph.tensor(normal(2, 3)), H),
        UsageError,
        r"states of LSTMCell is a pair \(h, c\), not 1 tensors",
    ),
    "lengths, not a tensor": (
        lambda: gru(X, lengths=[1, 2, 3]),
        UsageError,
        r"lengths of GRU is a tensor of whole numbers, not list: ph\.tensor\(lengths\) makes one",
    ),
    "lengths, floating": (
        lambda: gru(X, lengths=ph.tensor(np.ones(3))),
        DTypeError,
        "lengths of GRU are whole numbers, not f64",
    ),
    "lengths, too few": (
        lambda: gru(X, lengths=ph.tensor(np.ones(2, int))),
        ShapeError,
        r"lengths of GRU has shape \(2,\), but the rows have shape \(3,\): one whole number a row",
    ),
    "a length too long": (
        lambda: gru(X, lengths=ph.tensor(np.array([5, 6, 1]), "n"))[0].value,
        IndexRangeError,
        "6 at b = 1",
    ),
    "one layer twice": (
        lambda: nn.Bidirectional(layer := nn.GRU(3, 4), layer),
        UsageError,
        "two layers with parameters of their own",
    ),
    "states of both": (
        lambda: two_layers()(X, states=H),
        UsageError,
        "states of Bidirectional is a pair: of forward and of backward",
    ),
    "kernels": (
        lambda: nn.ConvLSTM2d(2, 3, (3, 2)),
        UsageError,
        r"kernel_size of ConvLSTM2d must be odd, not \(3, 2\)",
    ),
    "states of images": (
        lambda: images_layer(H),
        UsageError,
        r"states of ConvLSTM2d is a pair \(h, c\)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    mistake, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        mistake()
