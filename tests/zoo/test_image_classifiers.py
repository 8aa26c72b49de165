"""The zoo's classifiers of images: PyTorch's loss and gradients in f64, counts of parameters."""

from math import prod
from typing import Any

import pytest
from peers import Row, check

from phistar.cli.recipes import RECIPES

# Peers --------------------------------------------------------------------------------------------


def logistic_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def mlp_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    for n in range(2):
        x = F.linear(x, p[f"layers.{n}.W"], p[f"layers.{n}.c"]).relu()
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def dropout_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    """Which units stay is read off the model's own."""
    F = torch.nn.functional
    for n, kept in enumerate(("d", "d_2")):
        x = F.linear(x, p[f"layers.{n}.W"], p[f"layers.{n}.c"]).relu()
        x = torch.where(p[kept] != 0, x / 0.7, 0)
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def lenet_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    h = F.max_pool2d(F.conv2d(x[:, None], p["K1"][:, None], p["c1"], padding=2).relu(), 2)
    h = F.max_pool2d(F.conv2d(h, p["K2"], p["c2"]).relu(), 2).flatten(1)
    h = F.linear(h, p["W3"].flatten(1), p["c3"]).relu()
    h = F.linear(h, p["W4"], p["c4"]).relu()
    return F.cross_entropy(F.linear(h, p["W5"], p["c5"]), label)


ROWS = {
    "logistic": Row(logistic_loss),
    "mlp": Row(mlp_loss, training=False),
    "mlp: dropout": Row(dropout_loss, fields=("d", "d_2")),
    "lenet": Row(lenet_loss),
}
COUNTS = {
    "logistic": 7_850,
    "mlp": 669_706,
    "lenet": 61_706,
}


@pytest.mark.parametrize("backend", ["numpy", "c", "reference"])
@pytest.mark.parametrize("name", ROWS)
def test_against_torch(name: str, backend: str) -> None:
    check(name, ROWS[name], backend)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_parameters(name: str) -> None:
    parameters = RECIPES[name].model().parameters
    assert sum(prod(p.shape) for p in parameters.values()) == COUNTS[name]
