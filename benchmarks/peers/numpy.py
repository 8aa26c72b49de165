"""NumPy: forward and backward by hand, updates in place."""

from typing import Any

import numpy as np

from benchmarks.optimizers import SGD, Adam, Optimizer
from benchmarks.workload import Array, Arrays, Training


class Trainer:
    def __init__(self, task: Training) -> None:
        assert task.numpy is not None
        self.task, self.gradients = task, task.numpy()
        self.initial, self.columns = task.initial(), task.data()

    def start(self) -> Any:
        return {n: a.copy() for n, a in self.initial.items()}, Update(self.task.optimizer)

    def steps(self, state: Any, rows: Array) -> tuple[Array, Any]:
        p, update = state
        losses = np.empty(len(rows), np.float32)
        for number, at in enumerate(rows):
            batch = {name: column[at] for name, column in self.columns.items()}
            losses[number], gradients = self.gradients(p, **batch)
            update(p, gradients)
        return losses, state


class Update:
    """An optimizer and its states."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[str, tuple[Array, ...]] = {}
        self.step = 0

    def __call__(self, p: Arrays, gradients: Arrays) -> None:
        self.step += 1
        for name, g in gradients.items():
            match self.optimizer:
                case SGD(rate, 0.0, 0.0):
                    p[name] -= rate * g
                case Adam():
                    self.adam(self.optimizer, name, p[name], g)
                case other:
                    raise NotImplementedError(f"{other} in NumPy")

    def adam(self, o: Adam, name: str, p: Array, g: Array) -> None:
        if name not in self.states:
            self.states[name] = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
        m, v, work = self.states[name]
        m *= o.beta1
        m += np.multiply(g, 1 - o.beta1, out=work)
        v *= o.beta2
        np.multiply(g, g, out=work)
        work *= 1 - o.beta2
        v += work
        np.sqrt(v, out=work)
        work *= (1 - o.beta2**self.step) ** -0.5
        work += o.eps
        np.divide(m, work, out=work)
        work *= o.rate / (1 - o.beta1**self.step)
        p -= work
