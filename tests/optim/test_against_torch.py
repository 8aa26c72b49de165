"""Every optimizer against PyTorch over 20 steps with the same gradients; what none may be given."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import phistar as ph
from phistar import optim
from phistar.data.dataset import Dataset
from phistar.errors import UsageError

b, i, j = ph.indices("b i j")
rng = np.random.default_rng(5)
X, T, START = rng.normal(size=(12, 4)), rng.normal(size=(12, 3)), rng.normal(size=(3, 4))
STEPS = 20

MOMENTUM = {"lr": 0.1, "momentum": 0.9}
ROWS = {  # phistar's, and PyTorch's name and arguments
    "SGD": (ph.SGD(0.1), "SGD", {"lr": 0.1}),
    "SGD momentum": (ph.SGD(0.1, momentum=0.9), "SGD", MOMENTUM),
    "SGD nesterov": (
        ph.SGD(0.1, momentum=0.9, nesterov=True),
        "SGD",
        {**MOMENTUM, "nesterov": True},
    ),
    "SGD decay": (
        ph.SGD(0.1, momentum=0.9, weight_decay=0.1),
        "SGD",
        {**MOMENTUM, "weight_decay": 0.1},
    ),
    "Adam": (ph.Adam(0.1), "Adam", {"lr": 0.1}),
    "Adam betas": (
        ph.Adam(0.05, 0.8, 0.95, 1e-6),
        "Adam",
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6},
    ),
    "Adam decay": (
        ph.Adam(0.1, weight_decay=0.1),
        "Adam",
        {"lr": 0.1, "weight_decay": 0.1},
    ),
    "AdamW": (ph.AdamW(0.1), "AdamW", {"lr": 0.1}),
    "AdamW decay": (
        ph.AdamW(0.1, weight_decay=0.3),
        "AdamW",
        {"lr": 0.1, "weight_decay": 0.3},
    ),
}


class Linear(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 4, dtype="f64", init=START.copy())

    def __call__(self, x: Any) -> Any:
        out = ph.tensors("out")
        out[b, j] = self.W[j, i] * x[b, i]
        return out


def loss(model: Linear, x: Any, t: Any) -> Any:
    out = model(x)
    return ph.sum[j]((out[b, j] - t[b, j]) ** 2)


def trained(optimizer: Any, backend: str) -> np.ndarray:
    model = Linear()
    spec = Dataset(x=X, t=T).spec(len(X))
    algorithm = ph.compile(loss, model, optimizer=optimizer, batch=spec, backend=backend)
    rows = np.tile(np.arange(len(X)), (STEPS, 1))
    losses, values = algorithm.steps(algorithm.initial_values(0), {"x": X, "t": T}, rows)
    assert losses.shape == (STEPS,)
    return values[model.W]


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
@pytest.mark.parametrize("row", ROWS)
def test_against_torch(row: str, backend: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the peer")
    optimizer, name, arguments = ROWS[row]
    W = torch.tensor(START, requires_grad=True)
    peer = getattr(torch.optim, name)([W], **arguments)
    for _ in range(STEPS):
        peer.zero_grad()
        ((torch.tensor(X) @ W.T - torch.tensor(T)) ** 2).sum(1).mean().backward()
        peer.step()
    assert_allclose(trained(optimizer, backend), W.detach().numpy(), rtol=1e-9)


def test_every_optimizer_has_a_row() -> None:
    there = set(optim.__all__) - {"Optimizer"}
    assert {name.split()[0] for name in ROWS} == there


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
    ],
)
def test_numbers_out_of_range(make: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
