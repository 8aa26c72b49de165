"""Update formulas from papers in NumPy, for optimizers that PyTorch does not have.

Each is made for one parameter: `step(w, g, t)` gives the new value, t = 1, 2, ...
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[Any, Any, int], Any]


def adabelief(
    rate: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-16, decay: float = 0
) -> Step:
    m: Any = 0.0
    s: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal m, s
        g = g + decay * w
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        return w - rate * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)

    return step


def lion(rate: float, beta1: float = 0.9, beta2: float = 0.99, decay: float = 0) -> Step:
    m: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal m
        u = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return w - rate * (u + decay * w)

    return step


def lamb(
    rate: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-6, decay: float = 0
) -> Step:
    m: Any = 0.0
    v: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal m, v
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        u = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + eps) + decay * w
        size, length = np.linalg.norm(w), np.linalg.norm(u)
        return w - rate * (size / length if size and length else 1) * u

    return step


def lars(
    rate: float, momentum: float = 0.9, decay: float = 0, trust: float = 1e-3, eps: float = 1e-8
) -> Step:
    v: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal v
        size, slope = np.linalg.norm(w), np.linalg.norm(g)
        local = trust * size / (slope + decay * size + eps) if size and slope else 1
        v = momentum * v + rate * local * (g + decay * w)
        return w - v

    return step


def ftrl(rate: float, beta: float = 1.0, l1: float = 0, l2: float = 0) -> Step:
    z: Any = None
    n: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal z, n
        if z is None:  # so that the paper's formula gives w as it is
            z = -w * (beta / rate + l2) - np.sign(w) * l1
        z = z + g - (np.sqrt(n + g**2) - np.sqrt(n)) / rate * w
        n = n + g**2
        moved = -(z - np.sign(z) * l1) / ((beta + np.sqrt(n)) / rate + l2)
        return np.where(np.abs(z) <= l1, 0, moved)

    return step


def smorms3(rate: float, eps: float = 1e-16) -> Step:
    memory: Any = 1.0
    m: Any = 0.0
    s: Any = 0.0

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal memory, m, s
        r = 1 / (memory + 1)
        m = (1 - r) * m + r * g
        s = (1 - r) * s + r * g**2
        x = m**2 / (s + eps)
        memory = 1 + memory * (1 - x)
        return w - g * np.minimum(rate, x) / (np.sqrt(s) + eps)

    return step


def exponentiated(rate: float, normalized: bool = True) -> Step:
    def step(w: Any, g: Any, t: int) -> Any:
        moved = w * np.exp(-rate * g)
        return moved / moved.sum(-1, keepdims=True) if normalized else moved

    return step


def muon(
    rate: float,
    decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    abc: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    steps: int = 5,
    match_rms: bool = False,
) -> Step:
    m: Any = 0.0
    a, b, c = abc

    def step(w: Any, g: Any, t: int) -> Any:
        nonlocal m
        m = momentum * m + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * m if nesterov else m
        x = u / np.linalg.norm(u)
        for _ in range(steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        s = 0.2 * np.sqrt(max(w.shape)) if match_rms else np.sqrt(max(1, w.shape[0] / w.shape[1]))
        return (1 - rate * decay) * w - rate * s * x

    return step
