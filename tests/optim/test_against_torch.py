"""Every optimizer against PyTorch or its paper's formula, over 20 steps; what none may be given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import formulas
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar import optim
from phistar.data.dataset import Dataset
from phistar.errors import UsageError

b, i, j, k, h = ph.indices("b i j k h")
rng = np.random.default_rng(5)
X, T = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
STARTS = {  # of the models below
    "matrix": (rng.normal(size=(3, 4)),),
    "tall": (rng.normal(size=(3, 4)),),
    "affine": (rng.normal(size=(3, 4)), rng.normal(size=3), np.float64(0.7)),
    "pages": (rng.normal(size=(2, 3, 4)),),
    "shares": (rng.dirichlet(np.ones(4), 3),),
    "positive": (rng.uniform(0.5, 1.5, (3, 4)), rng.uniform(0.5, 1.5, 3), np.float64(0.7)),
}
STARTS["tall"] = (np.ascontiguousarray(STARTS["matrix"][0].T),)
STEPS = 20


@dataclass
class Row:
    """phistar's optimizer, and PyTorch's name and arguments or a formula."""

    optimizer: Any
    peer: str | Callable[..., formulas.Step]
    arguments: dict[str, Any] = field(default_factory=dict)
    model: str = "affine"


def adam(**arguments: Any) -> dict[str, Any]:
    """PyTorch's arguments, betas together."""
    betas = arguments.pop("beta1", 0.9), arguments.pop("beta2", 0.999)
    return {"betas": betas, **arguments}


LR = {"lr": 0.1}
MOMENTUM = {"lr": 0.1, "momentum": 0.9}
SEVERAL = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1}
DECOUPLED = {**SEVERAL, "decoupled_weight_decay": True}
ROWS = {
    "SGD": Row(ph.SGD(0.1), "SGD", LR),
    "SGD momentum": Row(ph.SGD(0.1, momentum=0.9), "SGD", MOMENTUM),
    "SGD nesterov": Row(
        ph.SGD(0.1, momentum=0.9, nesterov=True), "SGD", {**MOMENTUM, "nesterov": True}
    ),
    "SGD decay": Row(
        ph.SGD(0.1, momentum=0.9, weight_decay=0.1), "SGD", {**MOMENTUM, "weight_decay": 0.1}
    ),
    "Adam": Row(ph.Adam(0.1), "Adam", LR),
    "Adam several": Row(ph.Adam(0.05, **SEVERAL), "Adam", adam(lr=0.05, **SEVERAL)),
    "Adam amsgrad": Row(
        ph.Adam(0.1, beta2=0.5, amsgrad=True), "Adam", adam(lr=0.1, beta2=0.5, amsgrad=True)
    ),
    "AMSGrad": Row(optim.AMSGrad(0.1, beta2=0.5), "Adam", adam(lr=0.1, beta2=0.5, amsgrad=True)),
    "AdamW": Row(ph.AdamW(0.1), "AdamW", LR),
    "AdamW several": Row(
        ph.AdamW(0.1, **SEVERAL, amsgrad=True), "AdamW", adam(lr=0.1, **SEVERAL, amsgrad=True)
    ),
    "AdaGrad": Row(optim.AdaGrad(), "Adagrad"),
    "AdaGrad several": Row(
        optim.AdaGrad(0.1, 0.05, 0.1, 0.2, 1e-6),
        "Adagrad",
        {
            "lr": 0.1,
            "lr_decay": 0.05,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.2,
            "eps": 1e-6,
        },
    ),
    "AdaDelta": Row(optim.AdaDelta(), "Adadelta"),
    "AdaDelta several": Row(
        optim.AdaDelta(0.5, 0.8, 1e-4, 0.1),
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1},
    ),
    "RMSProp": Row(optim.RMSProp(), "RMSprop"),
    "RMSProp momentum": Row(
        optim.RMSProp(0.01, momentum=0.9), "RMSprop", {"lr": 0.01, "momentum": 0.9}
    ),
    "RMSProp several": Row(
        optim.RMSProp(0.02, 0.9, 1e-4, 0.1, 0.5, True),
        "RMSprop",
        {
            "lr": 0.02,
            "alpha": 0.9,
            "eps": 1e-4,
            "weight_decay": 0.1,
            "momentum": 0.5,
            "centered": True,
        },
    ),
    "AdaMax": Row(optim.AdaMax(), "Adamax"),
    "AdaMax several": Row(optim.AdaMax(0.1, **SEVERAL), "Adamax", adam(lr=0.1, **SEVERAL)),
    "NAdam": Row(optim.NAdam(), "NAdam"),
    "NAdam several": Row(
        optim.NAdam(0.1, **SEVERAL, momentum_decay=0.1),
        "NAdam",
        adam(lr=0.1, **SEVERAL, momentum_decay=0.1),
    ),
    "NAdam decoupled": Row(optim.NAdam(0.1, **DECOUPLED), "NAdam", adam(lr=0.1, **DECOUPLED)),
    "RAdam": Row(optim.RAdam(0.1), "RAdam", LR),
    "RAdam several": Row(optim.RAdam(0.1, **SEVERAL), "RAdam", adam(lr=0.1, **SEVERAL)),
    "RAdam decoupled": Row(optim.RAdam(0.1, **DECOUPLED), "RAdam", adam(lr=0.1, **DECOUPLED)),
    "AdaBelief": Row(optim.AdaBelief(0.1), formulas.adabelief, {"rate": 0.1}),
    "AdaBelief several": Row(
        optim.AdaBelief(0.05, **SEVERAL),
        formulas.adabelief,
        {"rate": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "decay": 0.1},
    ),
    "Adafactor": Row(optim.Adafactor(), "Adafactor"),
    "Adafactor several": Row(
        optim.Adafactor(0.5, -0.5, 1e-3, 0.1, 1.5, 0.1),
        "Adafactor",
        {"lr": 0.5, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 1.5, "weight_decay": 0.1},
    ),
    "Adafactor pages": Row(optim.Adafactor(0.1), "Adafactor", LR, "pages"),
    "Lion": Row(optim.Lion(0.01), formulas.lion, {"rate": 0.01}),
    "Lion several": Row(
        optim.Lion(0.01, 0.8, 0.95, 0.1),
        formulas.lion,
        {"rate": 0.01, "beta1": 0.8, "beta2": 0.95, "decay": 0.1},
    ),
    "LAMB": Row(optim.LAMB(0.1), formulas.lamb, {"rate": 0.1}),
    "LAMB several": Row(
        optim.LAMB(0.1, **SEVERAL),
        formulas.lamb,
        {"rate": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "decay": 0.1},
    ),
    "LARS": Row(optim.LARS(1.0), formulas.lars, {"rate": 1.0}),
    "LARS several": Row(
        optim.LARS(1.0, 0.5, 0.1, 0.02, 1e-3),
        formulas.lars,
        {"rate": 1.0, "momentum": 0.5, "decay": 0.1, "trust": 0.02, "eps": 1e-3},
    ),
    "Rprop": Row(optim.Rprop(), "Rprop"),
    "Rprop several": Row(
        optim.Rprop(0.1, 0.4, 1.5, 1e-3, 0.3),
        "Rprop",
        {"lr": 0.1, "etas": (0.4, 1.5), "step_sizes": (1e-3, 0.3)},
    ),
    "Ftrl": Row(optim.Ftrl(0.5), formulas.ftrl, {"rate": 0.5}),
    "Ftrl several": Row(
        optim.Ftrl(0.5, 0.2, 0.5, 0.1),
        formulas.ftrl,
        {"rate": 0.5, "beta": 0.2, "l1": 0.5, "l2": 0.1},
    ),
    "SMORMS3": Row(optim.SMORMS3(0.1), formulas.smorms3, {"rate": 0.1}),
    "ExponentiatedGradient": Row(
        optim.ExponentiatedGradient(0.1), formulas.exponentiated, {"rate": 0.1}, "shares"
    ),
    "ExponentiatedGradient free": Row(
        optim.ExponentiatedGradient(0.05, normalized=False),
        formulas.exponentiated,
        {"rate": 0.05, "normalized": False},
        "positive",
    ),
    "Muon": Row(optim.Muon(0.1), formulas.muon, {"rate": 0.1}, "matrix"),
    "Muon tall": Row(optim.Muon(0.1, 0.0), formulas.muon, {"rate": 0.1, "decay": 0.0}, "tall"),
    "Muon several": Row(
        optim.Muon(0.1, 0.2, 0.8, False, (2.0, -1.5, 0.5), 1e-7, 3, "match_rms_adamw"),
        formulas.muon,
        {
            "rate": 0.1,
            "decay": 0.2,
            "momentum": 0.8,
            "nesterov": False,
            "abc": (2.0, -1.5, 0.5),
            "steps": 3,
            "match_rms": True,
        },
        "matrix",
    ),
    "LBFGS": Row(optim.LBFGS(0.5), "LBFGS", {"lr": 0.5}),
    "LBFGS short": Row(optim.LBFGS(0.1, 3), "LBFGS", {"lr": 0.1, "history_size": 3}),
}


class Model(ph.Model):
    """A linear model whose parameters are of the kind that an optimizer takes."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.p = [ph.param(np.shape(s), dtype="f64", init=np.array(s)) for s in STARTS[kind]]

    def __call__(self, x: Any) -> Any:
        out, p = ph.tensors("out"), self.p
        if self.kind == "tall":
            out[b, j] = p[0][i, j] * x[b, i]
        elif self.kind == "pages":
            out[b, j] = ph.sum[k, i](p[0][k, j, i] * x[b, i])
        elif len(p) == 3:
            out[b, j] = p[0][j, i] * x[b, i] + p[1][j] + p[2]
        else:
            out[b, j] = p[0][j, i] * x[b, i]
        return out


def output(kind: str, p: list[Any], x: Any) -> Any:
    """The same in PyTorch."""
    if kind == "tall":
        return x @ p[0]
    if kind == "pages":
        return x @ p[0].sum(0).T
    return x @ p[0].T + (p[1] + p[2] if len(p) == 3 else 0)


def loss(model: Model, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[j]((out[b, j] - t[b, j]) ** 2)


def trained(optimizer: Any, kind: str, backend: str) -> list[np.ndarray]:
    model = Model(kind)
    spec = Dataset(x=X, t=T).spec(len(X))
    algorithm = ph.compile(loss, model, optimizer=optimizer, batch=spec, backend=backend)
    rows = np.tile(np.arange(len(X)), (STEPS, 1))
    losses, values = algorithm.steps(algorithm.initial_values(0), {"x": X, "t": T}, rows)
    assert losses.shape == (STEPS,)
    return [values[p] for p in model.p]


class Formulas:
    """A formula for each parameter, with the interface of PyTorch's optimizers."""

    def __init__(self, parameters: list[Any], make: Any, arguments: dict[str, Any]) -> None:
        self.parameters = [(p, make(**arguments)) for p in parameters]
        self.t = 0

    def step(self, closure: Any) -> None:
        closure()
        self.t += 1
        for p, step in self.parameters:
            p.data = p.data.new_tensor(step(p.detach().numpy(), p.grad.numpy(), self.t))


_peers: dict[str, list[Any]] = {}


def of_the_peer(name: str) -> list[Any]:
    """The parameters after 20 steps of PyTorch's optimizer, or of the formula."""
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    if name in _peers:
        return _peers[name]
    row = ROWS[name]
    parameters = [torch.tensor(np.array(s), requires_grad=True) for s in STARTS[row.model]]
    arguments = dict(row.arguments)
    if row.peer == "LBFGS":  # one step a call, however small
        arguments |= {"max_iter": 1, "tolerance_grad": 0.0, "tolerance_change": -1e9}
    torch.set_default_dtype(torch.float64)
    if isinstance(row.peer, str):
        peer = getattr(torch.optim, row.peer)(parameters, **arguments)
    else:
        peer = Formulas(parameters, row.peer, arguments)

    def closure() -> Any:
        for p in parameters:
            p.grad = None
        error = output(row.model, parameters, torch.tensor(X)) - torch.tensor(T)
        value = (error**2).sum(1).mean()
        value.backward()
        return value

    try:
        for _ in range(STEPS):
            peer.step(closure)
    finally:
        torch.set_default_dtype(torch.float32)
    _peers[name] = [p.detach().numpy() for p in parameters]
    return _peers[name]


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
@pytest.mark.parametrize("name", ROWS)
def test_against_peers(name: str, backend: str) -> None:
    expected = of_the_peer(name)
    row = ROWS[name]
    for ours, theirs in zip(trained(row.optimizer, row.model, backend), expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.xla
@pytest.mark.parametrize("name", [name for name in ROWS if " " not in name])
def test_against_peers_on_xla(name: str) -> None:
    pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    row = ROWS[name]
    expected = of_the_peer(name)
    for ours, theirs in zip(trained(row.optimizer, row.model, "xla"), expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


class Still(Model):
    """A model whose parameters are all zero, and so are their gradients."""

    def __init__(self) -> None:
        super().__init__("matrix")
        self.p[0].init = 0.0


# A row for each optimizer again: those that divide by something that is 0 here
STILL = [name for name in ROWS if " " not in name and ROWS[name].model != "shares"]


@pytest.mark.parametrize("name", STILL)
def test_nothing_to_do_is_done(name: str) -> None:
    """Where the gradients are 0 no optimizer makes a NaN, and the parameters stay."""
    model, columns = Still(), {"x": X, "t": np.zeros((12, 3))}
    spec = Dataset(**columns).spec(12)
    algorithm = ph.compile(loss, model, optimizer=ROWS[name].optimizer, batch=spec)
    rows = np.tile(np.arange(12), (3, 1))
    _, values = algorithm.steps(algorithm.initial_values(0), columns, rows)
    assert_array_equal(values[model.p[0]], np.zeros((3, 4)))


def test_every_optimizer_has_a_row() -> None:
    there = {n for n in optim.__all__ if isinstance(getattr(optim, n), type)} - NOT_IN_ROWS
    assert {name.split()[0] for name in ROWS} == there


NOT_IN_ROWS = {"Optimizer", "Groups", "EMA", "SWA", "SGLD"}  # in test_wrappers.py


def test_muon_is_near_that_of_pytorch() -> None:
    """PyTorch iterates in bfloat16, so one step agrees in its first two digits only."""
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    G = rng.normal(size=(3, 4))
    W = torch.zeros(3, 4, requires_grad=True)
    W.grad = torch.tensor(G, dtype=torch.float32)
    torch.optim.Muon([W], lr=1.0).step()
    ours = formulas.muon(1.0)(np.zeros((3, 4)), G, 1)
    assert_allclose(ours, W.detach().numpy(), atol=0.05)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: ph.SGD(0.1, momentum=1.0),
            "the momentum of SGD must be from 0 to below 1, not 1.0",
        ),
        (
            lambda: ph.SGD(0.1, momentum=-1),
            "the momentum of SGD must be a number from 0 on, not -1",
        ),
        (
            lambda: ph.SGD(0.1, weight_decay="a"),
            "the weight decay of SGD must be a number from 0 on",
        ),
        (lambda: ph.SGD(0.1, nesterov=True), "nesterov=True wants a momentum"),
        (lambda: ph.Adam(0), "the rate of Adam must be a positive number, not 0"),
        (lambda: ph.AdamW(0.1, beta1=1.5), "beta1 of AdamW must be from 0 to below 1, not 1.5"),
        (lambda: ph.Adam(eps=float("nan")), "eps of Adam must be a number from 0 on, not nan"),
        (lambda: optim.Rprop(eta_plus=1), "the eta plus of Rprop must be greater than 1, not 1"),
        (lambda: optim.Rprop(step_min=9, step_max=1), "run from 9.0 to 1.0: step_min must not"),
        (lambda: optim.Adafactor(beta2_decay=1), "minus beta2 decay of Adafactor must be a number"),
        (
            lambda: optim.LBFGS(history_size=0),
            "history size of LBFGS must be a whole number from 1",
        ),
        (lambda: optim.Muon(ns_coefficients=(1, 2)), "of Muon must be three numbers a, b, c, not"),
        (lambda: optim.Muon(adjust_rate="x"), "must be one of 'original', 'match_rms_adamw', not"),
        (lambda: trained(optim.Muon(), "affine", "numpy"), r"but p.1 has shape \(3,\)"),
        (
            lambda: trained(optim.ExponentiatedGradient(0.1), "positive", "numpy"),
            "p.2 is one number and cannot sum to 1 with others",
        ),
    ],
)
def test_numbers_out_of_range(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


class Single(Model):
    """The affine model in another type."""

    def __init__(self, dtype: str) -> None:
        super().__init__("affine")
        self.p = [ph.param(np.shape(s), dtype=dtype, init=np.array(s)) for s in STARTS["affine"]]

    def __call__(self, x: Any) -> Any:
        out, (W, c, d) = ph.tensors("out"), self.p
        at = lambda e: ph.cast(e, "f64")
        out[b, j] = at(W[j, i]) * x[b, i] + at(c[j]) + at(d)
        return out


AFFINE = [name for name, row in ROWS.items() if " " not in name and row.model == "affine"]


@pytest.mark.parametrize(("dtype", "most"), [("f32", 1e-4), ("bf16", 0.2)])
@pytest.mark.parametrize("name", AFFINE)
def test_other_types(name: str, dtype: str, most: float) -> None:
    """Numbers computed once, such as 1 - 0.999^t, keep their digits in smaller types."""
    if dtype == "bf16":
        pytest.importorskip("ml_dtypes", reason="NumPy has no bf16 of its own")
        if name == "Rprop":
            pytest.skip("a sign that differs makes it go another way")
    model, columns = Single(dtype), {"x": X, "t": T}
    spec = Dataset(**columns).spec(12)
    algorithm = ph.compile(loss, model, optimizer=ROWS[name].optimizer, batch=spec)
    rows = np.tile(np.arange(12), (STEPS, 1))
    _, values = algorithm.steps(algorithm.initial_values(0), columns, rows)
    for p, expected in zip(model.p, of_the_peer(name), strict=True):
        assert_allclose(values[p].astype(float), expected, rtol=most, atol=most)
