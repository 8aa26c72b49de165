"""phistar: the whole algorithm compiled, many steps a call."""

import os
from typing import Any

import numpy as np

import phistar as ph
from benchmarks import optimizers
from benchmarks.workload import Array, Arrays, Training
from phistar.data.dataset import Dataset

BACKEND = os.environ.get("PHISTAR_BACKEND", "c")


class Trainer:
    def __init__(self, task: Training) -> None:
        model, loss = task.phistar()
        load(model, task.initial())
        self.columns = task.data()
        self.algorithm = ph.compile(
            loss,
            model,
            optimizer=optimizer(task.optimizer),
            batch=Dataset(**self.columns).spec(task.batch),
            backend=BACKEND,
        )
        self.initial = self.algorithm.initial_values(0)

    def start(self) -> Any:
        return {tensor: array.copy() for tensor, array in self.initial.items()}

    def steps(self, values: Any, rows: Array) -> tuple[Array, Any]:
        if hasattr(self.algorithm, "steps"):
            return self.algorithm.steps(values, self.columns, rows)
        losses = np.empty(len(rows), np.float32)
        for number, at in enumerate(rows):
            batch = {name: column[at] for name, column in self.columns.items()}
            losses[number], values = self.algorithm.run(values, batch, 0, number)
        return losses, values


def load(model: ph.Model, arrays: Arrays) -> None:
    """Give every parameter and state of the model its initial value."""
    tensors = model.named_tensors()
    if wrong := set(tensors) ^ set(arrays):
        raise ValueError(f"the model and the initial parameters differ in {sorted(wrong)}")
    for name, array in arrays.items():
        tensors[name].name = name
        tensors[name].value = array.reshape(tensors[name].shape)


def optimizer(wanted: optimizers.Optimizer) -> Any:
    match wanted:
        case optimizers.SGD(rate, 0.0, 0.0):
            return ph.SGD(rate)
        case optimizers.SGD(rate, momentum, 0.0):
            return ph.SGD(rate, momentum=momentum)
        case optimizers.SGD(rate, momentum, decay):
            return ph.SGD(rate, momentum=momentum, weight_decay=decay)
        case optimizers.AdamW(rate, weight_decay=decay):
            return ph.AdamW(rate, weight_decay=decay)
        case optimizers.Adam(rate):
            return ph.Adam(rate)


class Predictor:
    """One call for each row, with an array of NumPy's in and out."""

    def __init__(self, predict: Any, model: ph.Model, parameters: Arrays, x: Array) -> None:
        load(model, parameters)
        self.predict, self.model, self.x = ph.jit(predict, backend=BACKEND), model, x

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        return [self.predict(self.model, self.x[at]) for at in rows], None
