"""REINFORCE: the gradient of an expected reward, from samples (Williams 1992).

    a[b, t] ~ π(a | s[b, t]),   R[b, t] = r[b, t] + γ R[b, t + 1]
    loss = E Σ_t -ln π(a[b, t] | s[b, t]) (R[b, t] - mean R[t])

The world is a walk on five places; the reward is 1 at the right end. World, policy and learning
are one program: places are a scan over t, actions come from a random field.
"""

import numpy as np

import phistar as ph

b, t, n = ph.indices("b t n")
PLACES, TIME, GAMMA = 5, 12, 0.95


class Policy(ph.Model):
    def __init__(self):
        self.W = ph.param(PLACES, init=0)  # of going right, at each place


def play(model, start):
    """The probability of what was done, and the reward, at each step."""
    place, right, reward, chance = ph.tensors("place right reward chance")
    u = ph.index("t", TIME)
    place[b, ph.first - 1] = start[b]
    with ph.scan(u):
        here = place[b, u - 1]
        right[b, u] = ph.uniform[b, u] < ph.sigmoid(model.W[here])
        moved = ph.where(right[b, u], ph.minimum(here + 1, PLACES - 1), ph.maximum(here - 1, 0))
        place[b, u] = moved
    reward[b, t] = ph.where(ph.equal(place[b, t], PLACES - 1), 1.0, 0.0)
    chance[b, t] = model.W[place[b, t - 1]] * ph.where(right[b, t], 1.0, -1.0)
    return chance, reward


def loss(model, start):
    chance, reward = play(model, start)
    R, mean = ph.tensors("R mean")
    R[b, ph.last + 1] = 0.0
    with ph.scan(t, backwards=True):
        R[b, t] = reward[b, t] + GAMMA * R[b, t + 1]
    mean[t] = ph.mean[b](R[b, t])
    return ph.mean[b](ph.sum[t](-ph.log_sigmoid(chance[b, t]) * (R[b, t] - mean[t])))


def total(model, start):
    _, reward = play(model, start)
    return ph.mean[b](ph.sum[t](reward[b, t]))


start = np.zeros(200, int)
policy = Policy()
print(ph.trace(loss, policy, start[:4]).backward())
measure = ph.jit(total)
before = measure(policy, start)
ph.fit(
    policy, loss, {"start": start}, optimizer=ph.Adam(0.1), epochs=15, batch_size=50, progress=False
)
after = measure(policy, start)
print(f"reward {before:.3f} -> {after:.3f} of {TIME - PLACES + 2}")
