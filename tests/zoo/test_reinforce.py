"""REINFORCE: the world is the paper's, loss and gradients are PyTorch's, the return rises."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sequences import assert_as_torch, f64, parameters_of

import phistar as ph
from phistar.errors import UsageError
from phistar.zoo import reinforce
from phistar.zoo.reinforce import Policy, balanced, loss, starts

START = 0.04 * np.random.default_rng(0).normal(size=(3, 4))


def world(start: Any, push: Any) -> tuple[Any, Any]:
    """Each state, and whether the pole stands after each step: Gym's CartPole."""
    s, seen, alive = np.array(start, np.float64), [], [np.ones(len(start), bool)]
    for now in push.T:
        seen.append(s)
        _, v, angle, turn = s.T
        q = (10 * now + 0.05 * turn**2 * np.sin(angle)) / 1.1
        turning = (9.8 * np.sin(angle) - np.cos(angle) * q) / (
            0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
        )
        driving = q - 0.05 * turning * np.cos(angle) / 1.1
        s = s + 0.02 * np.stack([v, driving, turn, turning], 1)
        stands = (np.abs(s[:, 0]) < 2.4) & (np.abs(s[:, 2]) < 12 * np.pi / 180)
        alive.append(alive[-1] & stands)
    return np.stack(seen, 1), np.stack(alive[1:], 1)


@pytest.mark.parametrize("backend", ["numpy", "reference", "c"])
def test_the_world(backend: str) -> None:
    model = Policy(hidden=3, steps=40)
    model.initialize(0)
    play = ph.jit(lambda model, start: model.play(start), backend=backend)
    o, push, alive = play(model, START.astype(np.float32))
    states, stands = world(START, push)
    assert set(np.unique(push)) == {-1, 1} and not alive.all() and alive[:, 0].all()
    upright = np.cumprod(stands, axis=1, dtype=bool)
    assert_allclose(o[:, 1:][upright[:, :-1]], states[:, 1:][upright[:, :-1]], atol=1e-4)
    assert_allclose(alive, stands)


def torch_loss(torch: Any, p: Any, start: Any) -> Any:
    """What was seen and done is read off the model's own."""

    def through(name: str, o: Any) -> Any:
        W, a, w, c = (p[f"{name}.{m}"] for m in "Wawc")
        return torch.tanh(o @ W.T + a) @ w + c

    o, push, alive = p["o"], p["push"], p["alive"][:, -6:]
    R, after = [], torch.zeros(len(start))
    for now in alive.flip(1).unbind(1):
        after = 0.1 * now + 0.9 * after
        R.insert(0, after)
    A = torch.stack(R, 1) - through("baseline", o)
    lnp = torch.nn.functional.logsigmoid(push * through("actor", o))
    before = torch.cat([torch.ones(len(start), 1), alive[:, :-1]], 1)
    return (before * (A**2 / 2 - lnp * A.detach())).sum(1).mean()


@pytest.mark.parametrize("backend", ["numpy", "reference", "c", "xla"])
def test_against_torch(backend: str) -> None:
    model = f64(Policy(hidden=3, steps=6, decay=0.9))
    fallen = START + np.array([[0, 0, 0, 0], [0, 0, 0.15, 1.5], [0, 0, 0, 0]])  # one falls at once
    fields = ("o", "push", "alive")
    assert_as_torch(model, loss, torch_loss, {"start": fallen}, backend, fields)


def test_counts_of_parameters() -> None:
    assert parameters_of(Policy()) == 2 * (16 * 4 + 16 + 16 + 1)


def test_the_return_rises() -> None:
    model = Policy(steps=60)
    history = ph.fit(
        model,
        loss,
        starts(512),
        optimizer=ph.optim.Adam(1e-2),
        epochs=4,
        batch_size=32,
        validation=starts(50, seed=1),
        metrics=[balanced],
        progress=False,
    )
    stood = history.metrics["validation.balanced"]
    assert stood[-1] > 50 and stood[-1] > 1.2 * stood[0]


def test_decay_is_between_0_and_1() -> None:
    with pytest.raises(UsageError, match="decay of a Policy lies between 0 and 1, not 1"):
        Policy(decay=1)


def test_starts_are_near_the_upright() -> None:
    start = starts(20)["start"]
    assert start.shape == (20, 4) and np.abs(start).max() <= 0.05
    assert reinforce.starts(3, seed=1)["start"].tolist() != start[:3].tolist()
