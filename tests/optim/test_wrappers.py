"""Optimizers around optimizers: groups, clipping, penalties, noise, averages, accumulation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from regression import COLUMNS, START, Linear, T, X, compiled, gradients, loss, steps, value

import phistar as ph
from phistar import optim
from phistar.data.dataset import Dataset
from phistar.errors import UsageError
from phistar.language.tensors import Parameter, Tensor
from phistar.optim import schedules

b, i, j = ph.indices("b i j")
STEPS = 8


def torch_of() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is the peer")


def peers(make: Any, before: Any = None, after: Any = None, steps: int = STEPS) -> list[Any]:
    """W and c after steps of PyTorch; before, after: what happens to them around each update."""
    torch = torch_of()
    W, c = (torch.tensor(s, requires_grad=True) for s in START)
    optimizer = make(torch, W, c)
    for n in range(steps):
        optimizer.zero_grad()
        ((torch.tensor(X) @ W.T + c - torch.tensor(T)) ** 2).sum(1).mean().backward()
        if before:
            before(torch, [W, c], n)
        optimizer.step()
        if after:
            after(torch, [W, c], n)
    return [W.detach().numpy(), c.detach().numpy()]


def adam(torch: Any, *parameters: Any) -> Any:
    return torch.optim.Adam(parameters, lr=0.1)


def sgd(torch: Any, *parameters: Any) -> Any:
    return torch.optim.SGD(parameters, lr=0.1)


def penalty(word: str) -> Any:
    def before(torch: Any, parameters: Any, n: int) -> None:
        for p in parameters:
            p.grad += 0.3 * (p.detach() if word == "l2" else p.detach().sign())

    return before


def shorten(torch: Any, parameters: Any, n: int) -> None:
    W = parameters[0]
    W.data *= torch.clamp(1.1 / W.data.norm(dim=1, keepdim=True), max=1)


CLIP: dict[str, tuple[Any, Any, Any, Any]] = {  # ours; PyTorch's, before, after
    "clip_norm": (
        optim.clip_norm(ph.SGD(0.1), 1.0),
        sgd,
        lambda t, p, n: t.nn.utils.clip_grad_norm_(p, 1.0),
        None,
    ),
    "clip_norm Adam": (
        optim.clip_norm(ph.Adam(0.1), 0.5),
        adam,
        lambda t, p, n: t.nn.utils.clip_grad_norm_(p, 0.5),
        None,
    ),
    "clip_value": (
        optim.clip_value(ph.SGD(0.1), 0.3),
        sgd,
        lambda t, p, n: t.nn.utils.clip_grad_value_(p, 0.3),
        None,
    ),
    "weight_decay": (
        optim.weight_decay(ph.Adam(0.1), 0.3),
        lambda t, *p: t.optim.AdamW(p, lr=0.1, weight_decay=0.3),
        None,
        None,
    ),
    "weight_decay outside": (
        optim.weight_decay(optim.clip_value(ph.Adam(0.1), 1e9), 0.3),
        lambda t, *p: t.optim.AdamW(p, lr=0.1, weight_decay=0.3),
        None,
        None,
    ),
    "l2": (optim.l2(ph.Adam(0.1), 0.3), adam, penalty("l2"), None),
    "l1": (optim.l1(ph.Adam(0.1), 0.3), adam, penalty("l1"), None),
    "max_norm": (optim.max_norm(ph.SGD(0.1), 1.1), sgd, None, shorten),
    "Groups": (
        optim.Groups({"c": ph.SGD(0.05), "*": ph.AdamW(0.1)}),
        lambda t, W, c: Both(t.optim.AdamW([W], lr=0.1), t.optim.SGD([c], lr=0.05)),
        None,
        None,
    ),
    "Groups inside": (
        optim.clip_norm(optim.Groups({"W": ph.Adam(0.1), "c": ph.Adam(0.1)}), 0.5),
        adam,
        lambda t, p, n: t.nn.utils.clip_grad_norm_(p, 0.5),
        None,
    ),
    "clip_norm l2": (  # the outer one looks first: clip, then the penalty
        optim.clip_norm(optim.l2(ph.SGD(0.1), 0.3), 1.0),
        sgd,
        lambda t, p, n: (t.nn.utils.clip_grad_norm_(p, 1.0), penalty("l2")(t, p, n)),
        None,
    ),
    "l2 clip_norm": (
        optim.l2(optim.clip_norm(ph.SGD(0.1), 1.0), 0.3),
        sgd,
        lambda t, p, n: (penalty("l2")(t, p, n), t.nn.utils.clip_grad_norm_(p, 1.0)),
        None,
    ),
}


class Both:
    """Two of PyTorch's optimizers as one."""

    def __init__(self, *optimizers: Any) -> None:
        self.optimizers = optimizers

    def zero_grad(self) -> None:
        for o in self.optimizers:
            o.zero_grad()

    def step(self) -> None:
        for o in self.optimizers:
            o.step()


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
@pytest.mark.parametrize("name", CLIP)
def test_against_torch(name: str, backend: str) -> None:
    ours, make, before, after = CLIP[name]
    model = Linear()
    _, values, _ = steps(model, ours, STEPS, backend)
    W, c = peers(make, before, after)
    assert_allclose(values[model.W], W, rtol=1e-9)
    assert_allclose(values[model.c], c, rtol=1e-9)


def test_every_wrapper_is_tested() -> None:
    functions = {n for n in optim.__all__ if n[0].islower()} - {"schedules"}
    tested = {"accumulate", "noise"}  # further down
    assert {name.split()[0] for name in CLIP} - {"Groups"} == functions - tested


# Groups -------------------------------------------------------------------------------------------


def test_frozen_parameters_stay_and_have_no_gradient() -> None:
    model = Linear()
    _, values, algorithm = steps(model, optim.Groups({"c": None, "*": ph.Adam(0.1)}), 3)
    assert_array_equal(values[model.c], START[1])
    assert list(algorithm.states) == [model.W]
    assert "c.grad" not in str(algorithm)


class Layers(ph.Model):
    def __init__(self) -> None:
        self.layers = [Linear(), Linear()]

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        first, second = (layer(x) for layer in self.layers)
        out[b, j] = first[b, j] + second[b, j]
        return out


def test_groups_go_by_dotted_names() -> None:
    model = Layers()
    groups = optim.Groups({"layers.0.*": None, "*.c": ph.SGD(1e-9), "*": ph.Adam(0.1)})
    algorithm = compiled(model, groups)
    first, second = model.layers
    assert {p.name: list(kept) for p, kept in algorithm.states.items()} == {
        "layers.1.W": ["m", "v"],
        "layers.1.c": [],
    }
    assert first.W.name == "layers.0.W" and second.W.name == "layers.1.W"


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ({"*.bias": ph.SGD(0.1), "*": None}, r"pattern '\*.bias' matches none of W, c"),
        ({"W": ph.SGD(0.1)}, r"no pattern of 'W' matches parameter c: add \"\*\" for all others"),
        ({"?": ph.SGD(0.1), "c": None}, "that pattern 'c' matches is matched by one before it"),
        ({"*": None}, r"nothing to train: Groups\({'\*': None}\) leaves out every parameter"),
        ({"*": 0.1}, r"'\*' wants None or an optimizer, such as ph.SGD\(0.1\), not 0.1"),
        ({}, "Groups wants optimizers by patterns"),
    ],
)
def test_groups_that_are_none(patterns: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        steps(Linear(), optim.Groups(patterns), 1)


def test_a_last_star_may_be_left_over() -> None:
    steps(Linear(), optim.Groups({"W": ph.SGD(0.1), "c": ph.SGD(0.1), "*": ph.Adam()}), 1)


# Averages -----------------------------------------------------------------------------------------


def torch_averages(make: Any, at: Any) -> list[Any]:
    """The averages of PyTorch's AveragedModel, updated after the steps that `at` says."""
    torch = torch_of()
    holder = torch.nn.Module()
    averaged: list[Any] = []

    def after(torch: Any, parameters: Any, n: int) -> None:
        if not averaged:
            holder.W, holder.c = (torch.nn.Parameter(p.detach().clone()) for p in parameters)
            averaged.append(torch.optim.swa_utils.AveragedModel(holder, **make(torch)))
        holder.W.data, holder.c.data = (p.detach().clone() for p in parameters)
        if at(n):
            averaged[0].update_parameters(holder)

    peers(adam, after=after)
    module = averaged[0].module
    return [module.W.detach().numpy(), module.c.detach().numpy()]


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
@pytest.mark.parametrize(
    ("optimizer", "make", "at"),
    [
        (
            optim.EMA(ph.Adam(0.1), 0.8),
            lambda t: {"multi_avg_fn": t.optim.swa_utils.get_ema_multi_avg_fn(0.8)},
            lambda n: True,
        ),
        (optim.SWA(ph.Adam(0.1)), lambda t: {}, lambda n: True),
        (optim.SWA(ph.Adam(0.1), start=2, every=3), lambda t: {}, lambda n: n in (4, 7)),
    ],
)
def test_averages_against_torch(optimizer: Any, make: Any, at: Any, backend: str) -> None:
    model = Linear()
    _, values, algorithm = steps(model, optimizer, STEPS, backend)
    W, c = torch_averages(make, at)
    assert_allclose(values[algorithm.states[model.W]["average"]], W, rtol=1e-9)
    assert_allclose(values[algorithm.states[model.c]["average"]], c, rtol=1e-9)
    assert_allclose(values[model.W], peers(adam)[0], rtol=1e-9)


def fitted(model: Any, optimizer: Any, epochs: int = 3, **options: Any) -> Any:
    return ph.fit(
        model, loss, Dataset(**COLUMNS), optimizer=optimizer, epochs=epochs, batch_size=5,
        progress=False, **options,
    )  # fmt: skip


def test_evaluation_with_averages() -> None:
    model, ema = Linear(), optim.EMA(ph.SGD(0.05), 0.7)
    fitted(model, ema)
    now = np.array(model.W.value)
    compiled(model, ema)  # another algorithm, not trained: the averages are still the last made
    with ema.averaged(model) as same:
        assert same is model
        A, a = np.array(model.W.value), np.array(model.c.value)
        found = ph.evaluate(model, loss, Dataset(**COLUMNS))["loss"]
        P = ph.predict(model, {"x": X})
    assert_allclose(found, value(A, a), rtol=1e-9)
    assert_allclose(P, X @ A.T + a, rtol=1e-9)
    assert_array_equal(model.W.value, now)
    assert np.abs(A - now).max() > 0
    assert_allclose(ph.predict(model, {"x": X}), X @ now.T + model.c.value, rtol=1e-9)


def test_averages_during_training() -> None:
    model, ema = Linear(), optim.EMA(ph.SGD(0.05), 0.7)
    seen = []

    def callback(history: Any) -> None:
        with ema.averaged(model):
            seen.append(ph.evaluate(model, loss, Dataset(**COLUMNS))["loss"])

    fitted(model, ema, callbacks=[callback])
    other = Linear()
    fitted(other, ph.SGD(0.05))
    assert len(seen) == 3
    assert_array_equal(model.W.value, other.W.value)


def test_no_averages_yet() -> None:
    model, swa = Linear(), optim.SWA(ph.SGD(0.05), start=100)
    words = r"SWA\(SGD\(rate=0.05\), start=100\) has no averages for Linear: train it first"
    for _ in range(2):
        with pytest.raises(UsageError, match=words), swa.averaged(model):
            pass
        fitted(model, swa)  # but not for 100 updates


def test_two_averages_beside_each_other() -> None:
    model = Linear()
    fast, slow = optim.EMA(ph.SGD(0.1), 0.1), None
    slow = optim.EMA(fast, 0.9)
    _, values, algorithm = steps(model, slow, STEPS)
    assert list(algorithm.states[model.W]) == ["average", "average2"]
    assert list(algorithm.shared) == ["ema.count", "ema2.count"]
    for state, decay in (("average", 0.1), ("average2", 0.9)):
        one = Linear()
        _, alone, other = steps(one, optim.EMA(ph.SGD(0.1), decay), STEPS)
        assert_array_equal(
            values[algorithm.states[model.W][state]], alone[other.states[one.W]["average"]]
        )


# Accumulation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
@pytest.mark.parametrize(
    "inside",
    [
        ph.SGD(0.1),
        ph.AdamW(0.1),
        optim.clip_norm(ph.Adam(schedules.exponential(0.1, 0.5)), 0.5),
        optim.EMA(ph.RMSProp(0.01, momentum=0.9, centered=True)),
        optim.NAdam(0.1),
        optim.LBFGS(0.3, 4),
    ],
)
def test_accumulation_is_a_larger_minibatch(inside: Any, backend: str) -> None:
    """Four micro-batches of 3 examples make the steps of minibatches of 12."""
    whole, parts = Linear(), Linear()
    _, expected, _ = steps(whole, inside, 4, backend)
    algorithm = ph.compile(
        loss,
        parts,
        optimizer=optim.accumulate(inside, 4),
        batch=Dataset(**COLUMNS).spec(3),
        backend=backend,
    )
    rows = np.tile(np.arange(12).reshape(4, 3), (4, 1))
    values = algorithm.initial_values(0)
    _, found = algorithm.steps(values, COLUMNS, rows)
    assert_allclose(found[parts.W], expected[whole.W], rtol=1e-9)
    _, most = algorithm.steps(values, COLUMNS, rows[:15])
    _, before = algorithm.steps(values, COLUMNS, rows[:12])
    assert_array_equal(most[parts.W], before[parts.W])
    assert np.abs(found[parts.W] - most[parts.W]).max() > 0


# Noise --------------------------------------------------------------------------------------------


class Wide(ph.Model):
    """Many parameters whose loss is half their square: each falls by rate times itself."""

    def __init__(self, init: float = 1.0) -> None:
        self.w = ph.param(4000, dtype="f64", init=init)

    def __call__(self, x: Any) -> Any:
        return ph.sum[i](self.w[i] ** 2) / 2 * ph.sum[b](x[b])


def half_square(model: Wide, x: Any) -> Any:
    return model(x)


def noisy_steps(optimizer: Any, number: int, backend: str, init: float = 1.0) -> np.ndarray:
    model, columns = Wide(init), {"x": np.ones(1)}
    spec = Dataset(**columns).spec(1)
    algorithm = ph.compile(half_square, model, optimizer=optimizer, batch=spec, backend=backend)
    rows = np.zeros((number, 1), np.int64)
    _, values = algorithm.steps(algorithm.initial_values(0), columns, rows, 3)
    return values[model.w]


def test_noise() -> None:
    w = noisy_steps(optim.noise(ph.SGD(0.5), 0.2), 1, "numpy")
    noise = (0.5 - w) / 0.5
    assert abs(noise.mean()) < 4 * 0.2 / np.sqrt(4000)
    assert_allclose(noise.std(), 0.2, rtol=0.05)
    assert_allclose(w, noisy_steps(optim.noise(ph.SGD(0.5), 0.2), 1, "c"), rtol=1e-12)
    falling = optim.noise(ph.SGD(0.5), lambda step: 0.2 / (1 + step))
    twice = noisy_steps(falling, 2, "numpy")
    assert_allclose(((0.5 * w - twice) / 0.5).std(), 0.1, rtol=0.05)


def test_langevin_dynamics_samples() -> None:
    """From e^(-w² / 2T): normal with variance T, and a little more for steps of this size."""
    rate, temperature = 0.1, 0.5
    w = noisy_steps(optim.SGLD(rate, temperature), 100, "c", 0.0)
    assert_allclose(w.var(), 2 * rate * temperature / (1 - (1 - rate) ** 2), rtol=0.1)
    assert abs(w.mean()) < 5 * np.sqrt(temperature / 4000)
    few = [noisy_steps(optim.SGLD(rate, temperature), 3, backend) for backend in ("numpy", "c")]
    assert_allclose(few[0], few[1], rtol=1e-9)


def test_noise_of_the_optimizer_is_not_the_models() -> None:
    class Dropped(Wide):
        def __call__(self, x: Any) -> Any:
            return ph.sum[i]((self.w[i] + ph.normal[i]) ** 2) / 2 * ph.sum[b](x[b])

    model, columns = Dropped(), {"x": np.ones(1)}
    spec = Dataset(**columns).spec(1)
    optimizer = optim.noise(ph.SGD(1.0), 1.0)
    algorithm = ph.compile(half_square, model, optimizer=optimizer, batch=spec)
    _, values = algorithm.run(algorithm.initial_values(0), columns)
    assert_allclose(values[model.w].std(), np.sqrt(2), rtol=0.1)  # 2 or 0 if they were the same


# As a user sees them ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Signs:
    """A user's own optimizer, five lines of it."""

    rate: float

    def states(self, W: Parameter) -> Mapping[str, Parameter]:
        return {"m": ph.state(W.shape, dtype=W.dtype)}

    def update(self, W: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        m = states["m"]
        m[...] = 0.9 * m[...] + 0.1 * W.grad[...]
        W[...] += -self.rate * ph.sign(m[...])


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_wrappers_around_an_optimizer_of_the_user(backend: str) -> None:
    model = Linear()
    optimizer = optim.EMA(optim.weight_decay(optim.clip_norm(Signs(0.1), 1.0), 0.1))
    _, values, _ = steps(model, optimizer, 3, backend)
    W, c, m, n = *START, 0.0, 0.0
    for _ in range(3):
        dW, dc = gradients(W, c)
        scale = min(1, 1 / (np.sqrt((dW**2).sum() + (dc**2).sum()) + 1e-6))
        m, n = 0.9 * m + 0.1 * scale * dW, 0.9 * n + 0.1 * scale * dc
        W, c = 0.99 * W - 0.1 * np.sign(m), 0.99 * c - 0.1 * np.sign(n)
    assert_allclose(values[model.W], W, rtol=1e-9)
    assert_allclose(values[model.c], c, rtol=1e-9)


def test_wrappers_of_one_parameter_alone() -> None:
    """`update` of a wrapper is `update_all` of that parameter."""
    model = Linear()

    @dataclass(frozen=True)
    class Each:
        inside: Any

        def states(self, W: Parameter) -> Mapping[str, Parameter]:
            return self.inside.states(W)

        def update(self, W: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
            self.inside.update(W, states, step)

    _, values, _ = steps(model, Each(optim.clip_norm(ph.SGD(0.1), 1.0)), 1)
    dW, _ = gradients(*START)
    assert_allclose(values[model.W], START[0] - 0.1 * dW / max(1, np.linalg.norm(dW)), rtol=1e-5)


def test_wrappers_print_as_they_were_written() -> None:
    inside = optim.clip_norm(ph.AdamW(schedules.cosine(0.1, 50)), 1.0)
    assert repr(inside) == "clip_norm(AdamW(rate=cosine(0.1, 50)), 1.0)"
    assert repr(optim.EMA(inside)) == f"EMA({inside!r})"
    assert repr(optim.SWA(inside, every=5)) == f"SWA({inside!r}, every=5)"
    decayed = optim.weight_decay(optim.Groups({"*": ph.SGD(0.1)}), 0.01, rate=0.1)
    assert repr(decayed) == "weight_decay(Groups({'*': SGD(rate=0.1)}), 0.01, rate=0.1)"
    text = str(compiled(Linear(), inside))
    assert "norm = sqrt(Σ_{j, i} W.grad[j, i] ** 2 + Σ_j c.grad[j] ** 2)" in text
    assert "W.clipped[j, i] = scale * W.grad[j, i]" in text
    assert "W.m[j, i] = 0.9 * W.m[j, i] + 0.1 * W.clipped[j, i]" in text


class Mixed(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 4, init=1.0)
        self.c = ph.param(3, dtype="f64", init=1.0)

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b, j] = ph.cast(self.W[j, i], "f64") * x[b, i] + self.c[j]
        return out


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_types_may_be_mixed(backend: str) -> None:
    model = Mixed()
    rate = schedules.cosine(0.1, 40)
    for inside in (ph.AdamW(rate), optim.LBFGS(0.1, 3)):
        _, values, _ = steps(model, optim.clip_norm(inside, 0.5), 5, backend)
        assert values[model.W].dtype == np.float32
        assert np.abs(values[model.c] - 1).max() > 0


def test_resume_is_exact() -> None:
    """All that matters is in the values and in the number of the step."""
    inside = optim.Groups(
        {
            "c": optim.noise(ph.RMSProp(schedules.plateau(0.01, patience=0)), 0.1),
            "*": optim.EMA(optim.clip_norm(ph.Adam(schedules.warmup(3, 0.1)), 1.0)),
        }
    )
    model = Linear()
    algorithm = compiled(model, optim.accumulate(inside, 2), "c")
    rows = np.tile(np.arange(12), (9, 1))
    _, whole = algorithm.steps(algorithm.initial_values(0), COLUMNS, rows, 7)
    _, half = algorithm.steps(algorithm.initial_values(0), COLUMNS, rows[:5], 7)
    again = compiled(model, optim.accumulate(inside, 2), "c")
    named = {t.name: array for t, array in half.items()}
    start = {t: named[t.name] for t in again.initial_values(0)}
    _, rest = again.steps(start, COLUMNS, rows[5:], 7, 5)
    for t, array in rest.items():
        assert_array_equal(array, next(a for u, a in whole.items() if u.name == t.name))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.clip_norm(0.1, 1.0), r"clip_norm wants an optimizer first, such as ph.SGD"),
        (lambda: optim.clip_norm(ph.Adam(), 0), "the norm of clip_norm must be a positive number"),
        (lambda: optim.clip_value(ph.Adam(), -1), "the value of clip_value must be a positive"),
        (lambda: optim.weight_decay(ph.Adam(), -1), "the decay of weight_decay must be a number"),
        (lambda: optim.weight_decay(ph.Adam(), 0.1, 0), "the rate of weight_decay must be a pos"),
        (
            lambda: optim.weight_decay(optim.Groups({"*": ph.Adam()}), 0.1),
            "has no rate of its own: say rate=",
        ),
        (lambda: optim.l2(ph.Adam(), -1), "the penalty of l2 must be a number from 0 on, not -1"),
        (lambda: optim.l1(ph.Adam(), -1), "the penalty of l1 must be a number from 0 on, not -1"),
        (lambda: optim.max_norm(ph.Adam(), 0), "the norm of max_norm must be a positive number"),
        (lambda: optim.noise(ph.Adam(), 0), "the deviation of noise must be a positive number"),
        (lambda: optim.accumulate(ph.Adam(), 0), "the steps of accumulate must be a whole number"),
        (lambda: optim.EMA(ph.Adam(), 1), "the decay of EMA must be from 0 to below 1, not 1"),
        (lambda: optim.SWA(ph.Adam(), -1), "the start of SWA must be a whole number from 0 on"),
        (lambda: optim.SWA(ph.Adam(), 0, 0), "the every of SWA must be a whole number from 1 on"),
        (lambda: optim.SGLD(0.1, 0), "the temperature of SGLD must be a positive number, not 0"),
    ],
)
def test_what_no_wrapper_takes(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
