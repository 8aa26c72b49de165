"""REINFORCE with a baseline, on a pole that stands on a cart: world, policy and learning in one.

    k[b, t, j] = tanh(W[j, i] o[b, t, i] + a[j]),   l[b, t] = w[j] k[b, t, j] + c
    push[b, t] = uniform[b, t] < σ(l[b, t])                    π(push) = σ(l), π(pull) = σ(-l)
    R[b, t] = (1 - γ) alive[b, t] + γ R[b, t + 1]              the return, from 0 to 1
    loss = E Σ_t alive[b, t - 1] (-ln π[b, t] (R - B)[b, t] + (R - B)[b, t]² / 2)

B is a baseline with a hidden layer of its own; -ln π sees R - B as a number. Sources: R. Williams,
Simple statistical gradient-following algorithms for connectionist reinforcement learning, 1992; the
world: A. Barto, R. Sutton, C. Anderson, Neuronlike adaptive elements that can solve difficult
learning control problems, 1983, with the constants of OpenAI's Gym (CartPole).
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar import cos, sin, tanh
from phistar.data import Dataset
from phistar.errors import UsageError

b, t, j = ph.indices("b t j")  # episode, time, hidden unit
i = ph.index("i", 4)  # position, speed, angle, turn

GRAVITY, CART, POLE, HALF, FORCE, TIME = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # kg, m, N, s
TRACK, FALLEN = 2.4, 12 * np.pi / 180  # where an episode ends: beyond this position or angle


class Layer(ph.Model):
    """o[b, t, i] -> y[b, t], through hidden units."""

    def __init__(self, hidden: int) -> None:
        self.W = ph.param(hidden, 4, init=ph.init.normal(0.0, 0.5))
        self.a = ph.param(hidden, init=0)
        self.w, self.c = ph.param(hidden, init=0), ph.param((), init=0)

    def __call__(self, o: Any, t: Any = t) -> Any:
        k, y = ph.tensors("k y")
        k[b, t, j] = tanh(self.W[j, i] * o[b, t, i] + self.a[j])
        y[b, t] = self.w[j] * k[b, t, j] + self.c[()]
        return y


class Policy(ph.Model):
    """Episodes of `steps` steps from the states start[b, i] -> alive[b, t], 1 or 0.

    hidden: units of the policy and of the baseline, each. decay: γ.
    """

    def __init__(self, hidden: int = 16, steps: int = 200, decay: float = 0.98) -> None:
        if not 0 < decay < 1:
            raise UsageError(f"decay of a Policy lies between 0 and 1, not {decay!r}")
        self.actor, self.baseline = Layer(hidden), Layer(hidden)
        self.steps, self.decay = steps, decay

    def __call__(self, start: Any) -> Any:
        return self.play(start)[2]

    def play(self, start: Any) -> tuple[Any, Any, Any]:
        """What is seen, o[b, t, i], before each step; what is done, push[b, t]; alive[b, t]."""
        b, t = ph.index("b", start.shape[0]), ph.index("t", self.steps)
        o, push, alive, r, s = ph.tensors("o push alive r s")
        r[b, t] = ph.uniform[b, t]
        s[b, ph.first - 1, i] = start[b, i]
        alive[b, ph.first - 1] = 1.0
        with ph.scan(t):
            o[b, t, i] = ph.stop_gradient(s[b, t - 1, i])
            l = self.actor(o, t)
            push[b, t] = ph.where(r[b, t] < ph.sigmoid(l[b, t]), 1.0, -1.0)
            moved(s, push, b, t)
            stands = (ph.abs(s[b, t, 0]) < TRACK) & (ph.abs(s[b, t, 2]) < FALLEN)
            alive[b, t] = ph.where(stands, alive[b, t - 1], 0.0)
        return o, push, alive


def moved(s: Any, push: Any, b: Any, t: Any) -> None:
    """The state after a step: Newton's equations, by Euler's method."""
    q, turning, driving = ph.tensors("q turning driving")
    mass = CART + POLE
    x, v, angle, turn = (s[b, t - 1, n] for n in range(4))
    q[b, t] = (FORCE * push[b, t] + POLE * HALF * turn**2 * sin(angle)) / mass
    turning[b, t] = (GRAVITY * sin(angle) - cos(angle) * q[b, t]) / (
        HALF * (4 / 3 - POLE * cos(angle) ** 2 / mass)
    )
    driving[b, t] = q[b, t] - POLE * HALF * turning[b, t] * cos(angle) / mass
    s[b, t, 0] = x + TIME * v
    s[b, t, 1] = v + TIME * driving[b, t]
    s[b, t, 2] = angle + TIME * turn
    s[b, t, 3] = turn + TIME * turning[b, t]


def loss(model: Policy, start: Any) -> Any:
    """What REINFORCE lowers: its gradient is that of the expected return, and the baseline's."""
    t = ph.index("t", model.steps)
    o, push, alive = model.play(start)
    l, B = model.actor(o), model.baseline(o)
    R, A, lnp, before = ph.tensors("R A lnp before")
    R[b, ph.last + 1] = 0.0
    with ph.scan(t, backwards=True):
        R[b, t] = (1 - model.decay) * alive[b, t] + model.decay * R[b, t + 1]
    before[b, t] = ph.stop_gradient(alive[b, t - 1])
    A[b, t] = R[b, t] - B[b, t]
    lnp[b, t] = ph.log_sigmoid(push[b, t] * l[b, t])
    return ph.mean[b](
        ph.sum[t](before[b, t] * (A[b, t] ** 2 / 2 - lnp[b, t] * ph.stop_gradient(A[b, t])))
    )


def balanced(model: Policy, start: Any) -> Any:
    """How many steps the pole stood: a metric."""
    alive = model(start)
    return ph.sum[t](alive[b, t])


def starts(episodes: int, seed: int = 0) -> Dataset:
    """States near the upright pole at rest."""
    rng = np.random.default_rng(seed)
    return Dataset(start=rng.uniform(-0.05, 0.05, (episodes, 4)).astype(np.float32))
