"""The command `phistar` with a recipe of its own: small data, Adam, dropout. Run as a process.

CARELESS=1: the data set draws noise from the system, which no resume can draw again.
"""

import os
import sys
import time
from typing import Any

import numpy as np

import phistar as ph
from phistar.cli import main, recipes
from phistar.cli.recipes.recipe import Recipe
from phistar.data import Dataset

b, i, j, y = ph.indices("b i j y")


class Small(ph.Model):
    def __init__(self) -> None:
        self.W0 = ph.param(6, 4)
        self.W1 = ph.param(3, 6)

    def __call__(self, x: Any) -> Any:
        h, P = ph.tensors("h P")
        keep = ph.bernoulli(0.8)[b, j] if self.training else 1
        h[b, j] = ph.tanh(self.W0[j, i] * x[b, i]) * keep
        P[b, y] = ph.softmax[y](self.W1[y, j] * h[b, j])
        return P


def loss(model: Small, x: Any, label: Any) -> Any:
    P = model(x)
    return -ph.log(P[b, label[b]])


class Careless(Dataset):
    def batch(self, rows: Any) -> Any:
        found = super().batch(rows)
        noise = np.frombuffer(os.urandom(4), np.uint32)[0] / 2**40
        return {**found, "x": found["x"] + np.float32(noise)}


class Slow(Dataset):
    def batch(self, rows: Any) -> Any:
        time.sleep(0.02)
        return super().batch(rows)


def data() -> tuple[Dataset, Dataset]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    kind = {"CARELESS": Careless, "SLOW": Slow}.get(os.environ.get("SMALL_DATA", ""), Dataset)
    return kind(x=x, label=rng.integers(0, 3, 100)), Dataset(x=x, label=rng.integers(0, 3, 100))


RECIPE = Recipe(
    name="small",
    summary="a recipe of the tests",
    model=Small,
    loss=loss,
    data=data,
    columns={"x": ((4,), "f32"), "label": ((), "i64")},
    small=lambda rng: (Small(), {"x": rng.random((3, 4)), "label": rng.integers(0, 3, 3)}),
    optimizer=ph.Adam,
    rate=0.01,
    epochs=3,
    batch_size=16,
    metrics=("accuracy",),
)


def install() -> None:
    recipes.RECIPES["small"] = RECIPE


if __name__ == "__main__":
    install()
    sys.exit(main(sys.argv[1:]))
