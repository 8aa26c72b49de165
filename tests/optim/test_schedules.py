"""Every schedule against PyTorch or its formula over 50 steps, as numbers and in compiled steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from regression import COLUMNS, Linear, compiled

import phistar as ph
from phistar import schedules
from phistar.data.dataset import Dataset
from phistar.errors import UsageError

b = ph.index("b")
STEPS = 50
s = schedules

torch_scheduler = Callable[[Any, Any], Any]
# What PyTorch has: its scheduler of an optimizer with rate 0.1.
TORCH: dict[str, tuple[Any, torch_scheduler]] = {
    "constant": (s.constant(0.1), lambda t, o: t.ConstantLR(o, 1.0)),
    "step": (s.step(0.1, 7), lambda t, o: t.StepLR(o, 7)),
    "step gamma": (s.step(0.1, 1, gamma=0.9), lambda t, o: t.StepLR(o, 1, 0.9)),
    "multistep": (s.multistep(0.1, [5, 17, 40]), lambda t, o: t.MultiStepLR(o, [5, 17, 40])),
    "multistep gamma": (s.multistep(0.1, [30], 0.5), lambda t, o: t.MultiStepLR(o, [30], 0.5)),
    "exponential": (s.exponential(0.1, 0.93), lambda t, o: t.ExponentialLR(o, 0.93)),
    "inverse": (s.inverse(0.1, 0.2), lambda t, o: t.LambdaLR(o, lambda n: 1 / (1 + 0.2 * n))),
    "inverse root": (s.inverse(0.1, 1, 0.5), lambda t, o: t.LambdaLR(o, lambda n: (1 + n) ** -0.5)),
    "polynomial": (s.polynomial(0.1, 40, power=2), lambda t, o: t.PolynomialLR(o, 40, 2.0)),
    "linear": (s.linear(0.1, 30, 0.02), lambda t, o: t.LinearLR(o, 1.0, 0.2, 30)),
    "linear up": (
        s.linear(0.1, 30, 1.0),
        lambda t, o: t.LambdaLR(o, lambda n: 1 + 9 * min(n, 30) / 30),
    ),
    "cosine": (s.cosine(0.1, 50), lambda t, o: t.CosineAnnealingLR(o, 50)),
    "cosine end": (s.cosine(0.1, 60, 0.01), lambda t, o: t.CosineAnnealingLR(o, 60, 0.01)),
    "cosine_restarts": (
        s.cosine_restarts(0.1, 9),
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 9),
    ),
    "cosine_restarts growth": (
        s.cosine_restarts(0.1, 5, 2, 0.01),
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 5, 2, 0.01),
    ),
    "cosine_restarts threefold": (
        s.cosine_restarts(0.1, 1, 3),
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 1, 3),
    ),
    "one_cycle": (
        s.one_cycle(0.3, 50),
        lambda t, o: t.OneCycleLR(o, 0.3, 50, cycle_momentum=False),
    ),
    "one_cycle linear": (
        s.one_cycle(0.3, 60, 0.4, 10, 100, "linear"),
        lambda t, o: t.OneCycleLR(
            o,
            0.3,
            60,
            pct_start=0.4,
            div_factor=10,
            final_div_factor=100,
            anneal_strategy="linear",
            cycle_momentum=False,
        ),
    ),
    "one_cycle three": (
        s.one_cycle(0.3, 50, three_phase=True),
        lambda t, o: t.OneCycleLR(o, 0.3, 50, three_phase=True, cycle_momentum=False),
    ),
    "cyclic": (
        s.cyclic(0.1, 0.5, 7),
        lambda t, o: t.CyclicLR(o, 0.1, 0.5, 7, cycle_momentum=False),
    ),
    "cyclic triangular2": (
        s.cyclic(0.1, 0.5, 4, 6, "triangular2"),
        lambda t, o: t.CyclicLR(o, 0.1, 0.5, 4, 6, "triangular2", cycle_momentum=False),
    ),
    "cyclic exp_range": (
        s.cyclic(0.1, 0.5, 5, mode="exp_range", gamma=0.97),
        lambda t, o: t.CyclicLR(o, 0.1, 0.5, 5, None, "exp_range", 0.97, cycle_momentum=False),
    ),
    "warmup": (
        s.warmup(10, s.cosine(0.1, 40), 0.25),
        lambda t, o: t.SequentialLR(
            o, [t.LinearLR(o, 0.25, 1.0, 10), t.CosineAnnealingLR(o, 40)], [10]
        ),
    ),
    "warmup rate": (s.warmup(20, 0.1), lambda t, o: t.LambdaLR(o, lambda n: min(n / 20, 1))),
    "chained": (
        s.chained([0.1, s.exponential(0.1, 0.9), lambda n: 0.1 / (1 + n)], [10, 30]),
        lambda t, o: t.SequentialLR(
            o,
            [t.ConstantLR(o, 1.0), t.ExponentialLR(o, 0.9), t.LambdaLR(o, lambda n: 1 / (1 + n))],
            [10, 30],
        ),
    ),
}
FORMULAS: dict[str, tuple[Any, Any]] = {
    "polynomial end": (
        s.polynomial(0.1, 20, 0.01, 3),
        lambda n: 0.01 + 0.09 * (1 - min(n, 20) / 20) ** 3,
    ),
    "sigmoid": (
        s.sigmoid(0.1, 20, 0.3, 0.01),
        lambda n: 0.01 + 0.09 / (1 + np.exp(0.3 * (n - 20))),
    ),
    "cosine after": (
        s.cosine(0.1, 10, 0.02),
        lambda n: 0.06 + 0.04 * np.cos(np.pi * min(n, 10) / 10),
    ),
    "function": (lambda n: 0.1 / (n + 1), lambda n: 0.1 / (n + 1)),
}
NAMES = [*TORCH, *FORMULAS]


def schedule(name: str) -> Any:
    return (TORCH.get(name) or FORMULAS[name])[0]


def rates(name: str) -> np.ndarray:
    """What PyTorch, or the formula, gives at the first 50 steps."""
    if name in FORMULAS:
        return np.array([FORMULAS[name][1](n) for n in range(STEPS)])
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = TORCH[name][1](torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(found)


class Falling(ph.Model):
    """A parameter that falls by its rate at each step: its gradient is 1."""

    def __init__(self) -> None:
        self.w = ph.param((), dtype="f64", init=0.0)

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b] = self.w * x[b]
        return out


def height(model: Falling, x: Any) -> Any:
    return model(x)[b]


def trained_rates(rate: Any, backend: str, steps: int = STEPS) -> np.ndarray:
    """The rate of each step, from the parameter's values: one call does all steps."""
    columns = {"x": np.ones(2)}
    algorithm = ph.compile(
        height, Falling(), optimizer=ph.SGD(rate), batch=Dataset(**columns).spec(2), backend=backend
    )
    rows = np.tile(np.arange(2), (steps + 1, 1))
    losses, _ = algorithm.steps(algorithm.initial_values(0), columns, rows)
    return -np.diff(losses)


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("name", NAMES)
def test_numbers(name: str) -> None:
    found = [schedule(name)(n) for n in range(STEPS)]
    assert all(isinstance(rate, float) for rate in found)
    assert_allclose(found, rates(name), rtol=1e-12, atol=1e-16)


@pytest.mark.filterwarnings("ignore:Detected call of:UserWarning")
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("name", NAMES)
def test_in_compiled_steps(name: str, backend: str) -> None:
    assert_allclose(trained_rates(schedule(name), backend), rates(name), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", ["cosine_restarts growth", "one_cycle three", "chained"])
def test_reference(name: str) -> None:
    found = trained_rates(schedule(name), "reference")
    assert_allclose(found, [schedule(name)(n) for n in range(STEPS)], rtol=1e-9, atol=1e-13)


def test_every_schedule_has_a_row() -> None:
    public = set(schedules.__all__) - {"Schedule", "plateau"}  # plateau: below
    assert {name.split()[0] for name in NAMES} == public | {"function"}


# Plateau ------------------------------------------------------------------------------------------

LOSSES = np.array(
    [5, 4, 3, 3, 3.1, 3, 3, 2.99999, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0.5]
)
PLATEAUS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plateau": ({"patience": 2}, {"patience": 2}),
    "plateau several": (
        {"factor": 0.5, "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 3},
        {"factor": 0.5, "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "cooldown": 3},
    ),
    "plateau least": (
        {"factor": 0.3, "patience": 0, "min_rate": 1e-3, "eps": 1e-4},
        {"factor": 0.3, "patience": 0, "min_lr": 1e-3, "eps": 1e-4},
    ),
}


class Given(ph.Model):
    """A loss as the data says it, and a parameter that falls by its rate."""

    def __init__(self) -> None:
        self.w = ph.param((), dtype="f64", init=0.0)

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b] = x[b] + self.w - ph.stop_gradient(self.w)
        return out


def rates_on(optimizer: Any, losses: np.ndarray, backend: str) -> Any:
    """The rate of each step when training sees these losses; and the algorithm."""
    columns = {"x": losses}
    algorithm = ph.compile(
        height, Given(), optimizer=optimizer, batch=Dataset(**columns).spec(1), backend=backend
    )
    values, found = algorithm.initial_values(0), []
    for n in range(len(losses)):
        before = values[algorithm.model.w]
        _, values = algorithm.run(values, {"x": losses[n : n + 1]}, 0, n)
        found.append(before - values[algorithm.model.w])
    return np.array(found), values, algorithm


def torch_plateau(losses: np.ndarray, arguments: dict[str, Any]) -> np.ndarray:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **arguments)
    found = []
    for value in losses:
        found.append(optimizer.param_groups[0]["lr"])
        scheduler.step(value)
    return np.array(found)


@pytest.mark.parametrize("backend", ["numpy", "c"])
@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau(name: str, backend: str) -> None:
    ours, theirs = PLATEAUS[name]
    losses = np.concatenate([LOSSES, LOSSES])
    found, _, _ = rates_on(ph.SGD(s.plateau(0.1, **ours)), losses, backend)
    assert_allclose(found, torch_plateau(losses, theirs), rtol=1e-9, atol=1e-15)
    assert len(set(found)) > 2


def test_plateau_looks_at_means_over_several_steps() -> None:
    losses = np.repeat(LOSSES, 4) + np.tile([0.3, -0.3, 0.1, -0.1], len(LOSSES))
    found, values, algorithm = rates_on(ph.SGD(s.plateau(0.1, patience=2, every=4)), losses, "c")
    assert_allclose(
        found, np.repeat(torch_plateau(LOSSES, {"patience": 2}), 4), rtol=1e-9, atol=1e-15
    )
    assert list(algorithm.shared) == [
        f"plateau.{name}" for name in ("rate", "total", "best", "bad", "wait")
    ]
    assert values[algorithm.shared["plateau.best"]] == pytest.approx(0.5)


def test_plateau_of_several_parameters_and_types_is_one() -> None:
    class Two(Given):
        def __init__(self) -> None:
            super().__init__()
            self.v = ph.param((), init=0.0)

        def __call__(self, x: Any) -> Any:
            out = ph.tensors("out")
            out[b] = x[b] + self.w - ph.stop_gradient(self.w) + ph.cast(self.v, "f64") * 0
            return out

    columns = {"x": LOSSES}
    algorithm = ph.compile(
        height,
        Two(),
        optimizer=ph.SGD(s.warmup(2, s.plateau(0.1))),
        batch=Dataset(**columns).spec(1),
    )
    assert str(algorithm).count("plateau.best = ") == 1
    rates = trained_rates(s.warmup(4, s.plateau(0.1)), "numpy", 8)
    assert_allclose(rates, [0, 0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1], atol=1e-15)


# As a user sees them ------------------------------------------------------------------------------


def test_a_schedule_is_compiled_once() -> None:
    model = Linear()
    algorithm = compiled(model, ph.SGD(s.cosine(0.1, 40)), "c")
    values = algorithm.initial_values(0)
    rows = np.tile(np.arange(12), (20, 1))
    _, first = algorithm.steps(values, COLUMNS, rows)
    _, halves = algorithm.steps(first, COLUMNS, rows, 0, 20)
    _, whole = algorithm.steps(values, COLUMNS, np.tile(rows, (2, 1)))
    assert_array_equal(halves[model.W], whole[model.W])
    assert len(algorithm._loops) == 1


def test_a_schedule_prints_as_it_was_written() -> None:
    made = s.warmup(10, s.cosine(0.1, 50, end=0.01))
    assert repr(ph.SGD(made)) == "SGD(rate=warmup(10, cosine(0.1, 50, end=0.01)))"
    assert repr(s.plateau(0.1, patience=3)) == "plateau(0.1, patience=3)"
    text = str(compiled(Linear(), ph.SGD(s.exponential(0.1, 0.5))))
    assert 'now = cast(step, "f64")' in text
    assert 'rate = cast(0.1 * 0.5 ** now, "f64")' in text
    assert "W[j, i] += -rate * W.grad[j, i]" in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: s.constant(0), "the rate of constant must be a positive number, not 0"),
        (lambda: s.step(0.1, 0), "the step size of step must be a whole number from 1 on, not 0"),
        (
            lambda: s.multistep(0.1, [5, 5]),
            r"must be step numbers that grow, as in \[30, 80\], not",
        ),
        (
            lambda: s.multistep(0.1, []),
            "the milestones of multistep must be step numbers that grow",
        ),
        (lambda: s.exponential(0.1, -1), "gamma of exponential must be a positive number, not -1"),
        (lambda: s.cosine(0.1, 2.5), "the steps of cosine must be a whole number from 1 on, not"),
        (lambda: s.linear(0.1, 9, -1), "the end of linear must be a number from 0 on, not -1"),
        (lambda: s.one_cycle(0.1, 9, anneal="x"), "must be one of 'cos', 'linear', not 'x'"),
        (lambda: s.one_cycle(0.1, 9, 0.05), "one_cycle must rise for at least one step"),
        (lambda: s.one_cycle(0.1, 9, 0.6, three_phase=True), "rises and falls in more than its"),
        (lambda: s.cyclic(0.2, 0.1), "max_rate 0.1 of cyclic must be greater than its rate, 0.2"),
        (lambda: s.warmup(10, "a"), "what comes after a warmup must be a positive number, not 'a'"),
        (lambda: s.chained([0.1, 0.2], [1, 2]), "chained has 2 schedules and 2 milestones"),
        (lambda: s.chained([0.1, 0], [1]), "a rate of chained must be a positive number, not 0"),
        (lambda: s.plateau(0.1, factor=1), "the factor of Plateau must be between 0 and 1, not 1"),
        (lambda: s.plateau(0.1, patience=-1), "patience of Plateau must be a whole number from 0"),
        (lambda: s.plateau(0.1)(3), "depends on the losses: it has none for step 3 alone"),
    ],
)
def test_what_no_schedule_is(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
