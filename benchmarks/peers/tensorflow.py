"""TensorFlow: a step compiled by XLA, called from Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.optimizers import SGD, Adam, AdamW, Optimizer
from benchmarks.workload import Array, Training


class Trainer:
    def __init__(self, task: Training) -> None:
        assert task.tensorflow is not None
        self.optimizer, self.loss = task.optimizer, task.tensorflow()
        self.initial = task.initial()
        self.columns = {n: tf.constant(a) for n, a in task.data().items()}
        self.all = {n: tf.Variable(a) for n, a in self.initial.items()}
        self.p = {n: a for n, a in self.all.items() if n not in task.states}
        self.kept = {n: a for n, a in self.all.items() if n in task.states}
        self.states = [
            {n: tf.Variable(tf.zeros_like(a)) for n, a in self.p.items()}
            for _ in range(number_of_states(task.optimizer))
        ]
        self.number = tf.Variable(0.0)
        self.step = tf.function(self.one, jit_compile=True)

    def start(self) -> None:
        self.number.assign(0.0)
        for name, array in self.initial.items():
            self.all[name].assign(array)
        for state in self.states:
            for array in state.values():
                array.assign(tf.zeros_like(array))

    def steps(self, state: None, rows: Array) -> tuple[Array, None]:
        return np.asarray([loss.numpy() for loss in map(self.step, tf.constant(rows))]), None

    def one(self, at: Any) -> Any:
        batch = {n: tf.gather(c, at) for n, c in self.columns.items()}
        with tf.GradientTape() as tape:
            loss = self.loss(self.p, **batch, **self.kept)
        gradients = tape.gradient(loss, self.p)
        self.number.assign_add(1.0)
        for name, p in self.p.items():
            update(self.optimizer, p, gradients[name], [s[name] for s in self.states], self.number)
        return loss


def number_of_states(optimizer: Optimizer) -> int:
    match optimizer:
        case SGD(momentum=0.0):
            return 0
        case SGD():
            return 1
        case Adam():
            return 2


def update(optimizer: Optimizer, p: Any, g: Any, states: list[Any], number: Any) -> None:
    g = tf.convert_to_tensor(g)  # a gather's gradient comes as rows
    match optimizer:
        case SGD(rate, momentum, decay):
            g = g + decay * p if decay else g
            if states:
                g = states[0].assign(momentum * states[0] + g)
            p.assign_sub(rate * g)
        case Adam(rate, beta1, beta2, eps):
            shrink = 1 - rate * optimizer.weight_decay if isinstance(optimizer, AdamW) else 1.0
            m = states[0].assign(beta1 * states[0] + (1 - beta1) * g)
            v = states[1].assign(beta2 * states[1] + (1 - beta2) * g**2)
            root = tf.sqrt(v / (1 - beta2**number)) + eps
            p.assign(shrink * p - rate * (m / (1 - beta1**number)) / root)


def cross_entropy(scores: Any, label: Any) -> Any:
    """The mean of -ln softmax(scores)[label]."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, scores))


class Predictor:
    """One call for each row, with an array of NumPy's in and out."""

    def __init__(self, model: Callable[[Any], Any], x: Array) -> None:
        self.model, self.x = tf.function(model, jit_compile=True), x

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        return [self.model(tf.constant(self.x[at])).numpy() for at in rows], None
