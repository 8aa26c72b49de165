"""What an optimizer may do beyond one parameter: see all, choose some, keep states of its own."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from regression import COLUMNS, Linear, gradients, loss, steps

import phistar as ph
from phistar import optim
from phistar.data.dataset import Dataset
from phistar.errors import UsageError
from phistar.language import scope
from phistar.language.tensors import Parameter, Tensor
from phistar.optim.writing import once, shared_state, training_loss

j, i = ph.indices("j i")


class Steepest:
    """A step of fixed length along the gradient of all parameters together."""

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        return {}

    def update_all(self, states: Mapping[Parameter, Any], step: Tensor) -> None:
        W, c = states
        norm = ph.tensors("norm")
        norm[()] = ph.sqrt(ph.sum[j, i](W.grad[j, i] ** 2) + ph.sum[j](c.grad[j] ** 2))
        W[...] += -0.1 * W.grad[...] / norm
        c[...] += -0.1 * c.grad[...] / norm


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_an_optimizer_may_see_all_parameters(backend: str) -> None:
    model = Linear()
    W, c = np.array(model.W.value), np.array(model.c.value)
    _, values, _ = steps(model, Steepest(), 3, backend)
    for _ in range(3):
        dW, dc = gradients(W, c)
        norm = np.sqrt((dW**2).sum() + (dc**2).sum())
        W, c = W - 0.1 * dW / norm, c - 0.1 * dc / norm
    assert_allclose(values[model.W], W, rtol=1e-12)
    assert_allclose(values[model.c], c, rtol=1e-12)


class OnlyMatrices:
    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        return {"seen": ph.state(parameter.shape, dtype=parameter.dtype)}

    def chosen(self, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
        assert [p.name for p in parameters] == ["W", "c"]
        return [p for p in parameters if len(p.shape) == 2]

    def update(self, W: Parameter, states: Mapping[str, Parameter], step: Tensor) -> None:
        states["seen"][...] = W.grad[...]
        W[...] += -0.1 * W.grad[...]


def test_an_optimizer_may_leave_parameters_out() -> None:
    model = Linear()
    before = np.array(model.c.value)
    _, values, algorithm = steps(model, OnlyMatrices(), 2)
    assert_array_equal(values[model.c], before)
    assert list(algorithm.states) == [model.W]
    assert "c.grad" not in str(algorithm)
    assert "12 trained parameters" in str(algorithm)


class Nothing(OnlyMatrices):
    def chosen(self, parameters: Sequence[Parameter]) -> Sequence[Parameter]:
        return []

    def __repr__(self) -> str:
        return "Nothing()"


def test_nothing_to_train() -> None:
    with pytest.raises(UsageError, match=r"nothing to train: Nothing\(\) leaves out every param"):
        steps(Linear(), Nothing(), 1)


class Counting:
    """Keeps the sum of all losses, and how many updates there were, for two owners."""

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        return {}

    def update_all(self, states: Mapping[Parameter, Any], step: Tensor) -> None:
        total = shared_state(self, "counting", "total")
        updates = shared_state(self, "counting", "updates", (), 10, "i64")
        other = shared_state(states, "counting", "updates", dtype="i64")
        assert shared_state(self, "counting", "total") is total
        total[()] += training_loss()
        updates[()] += 1
        other[()] += 2
        for W in states:
            half = once("half", W.dtype, lambda: ph.cast(0.5, "f64"))
            W[...] += -0.1 * half * W.grad[...]


def test_states_beside_no_parameter() -> None:
    model = Linear()
    losses, values, algorithm = steps(model, Counting(), 3)
    assert list(algorithm.shared) == ["counting.total", "counting.updates", "counting2.updates"]
    kept = {name: values[state] for name, state in algorithm.shared.items()}
    assert_allclose(kept["counting.total"], losses.sum(), rtol=1e-12)
    assert (kept["counting.updates"], kept["counting2.updates"]) == (13, 6)
    assert str(algorithm).count("half = ") == 1
    few = {name: array[:5] for name, array in COLUMNS.items()}
    _, values = algorithm.run(values, few, 0, 3)
    assert values[algorithm.shared["counting.updates"]] == 14


def test_what_is_known_only_while_writing() -> None:
    with pytest.raises(UsageError, match="only while an optimizer's equations are written"):
        training_loss()


class Every:
    """Updates written under a condition, with another gradient."""

    def states(self, parameter: Parameter) -> Mapping[str, Parameter]:
        return {"sum": ph.state(parameter.shape, dtype=parameter.dtype)}

    def update_all(self, states: Mapping[Parameter, Any], step: Tensor) -> None:
        W, c = states
        twice = ph.tensors("twice")
        twice[j, i] = 2 * W.grad[j, i]
        with scope.gradients_being({W: twice}):
            with scope.updates_only_if(step % 3 == 0), scope.updates_only_if(step > 0):
                W[...] += -0.1 * W.grad[...]
                c[...] = c[...] - 0.1 * c.grad[...]
                states[W]["sum"][...] *= 2.0
            states[c]["sum"][...] += 1.0


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_updates_under_a_condition_with_another_gradient(backend: str) -> None:
    model = Linear()
    W, c = np.array(model.W.value), np.array(model.c.value)
    _, values, algorithm = steps(model, Every(), 5, backend)
    dW, dc = gradients(W, c)
    assert_allclose(values[model.W], W - 0.2 * dW, rtol=1e-12)
    assert_allclose(values[model.c], c - 0.1 * dc, rtol=1e-12)
    assert_array_equal(values[algorithm.states[model.c]["sum"]], np.full(3, 5.0))


def test_what_the_documentation_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    optimizer, averages = (block for block in blocks if "ph.sign(" in block or "ema" in block)
    train = Dataset(**COLUMNS)
    known = {"ph": ph, "optim": optim, "loss": loss, "train": train, "test": train}
    known["model"] = model = Linear()
    exec(optimizer, known)
    W = np.array(model.W.value)
    _, values, _ = steps(model, known["Signs"](), 1)
    assert_allclose(values[model.W], W - 0.01 * np.sign(gradients(W, model.c.value)[0]))
    exec(averages, known)
    assert known["result"]["loss"] > 0
    assert (tmp_path / "averaged.safetensors").is_file()
