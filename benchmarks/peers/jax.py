"""JAX: a step compiled and called from Python, or the whole loop compiled by `lax.scan`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.optimizers import SGD, Adam, AdamW, Optimizer
from benchmarks.workload import Array, Arrays, Training

Tree = dict[str, jax.Array]


class Trainer:
    def __init__(self, task: Training, *, scan: bool = False) -> None:
        assert task.jax is not None
        self.task, self.scan = task, scan
        self.initial = task.initial()
        self.columns = {n: jnp.asarray(a) for n, a in task.data().items()}
        self.loss = task.jax()
        self.step = jax.jit(self.one, donate_argnums=0)
        self.loop = jax.jit(self.many, donate_argnums=0)

    def start(self) -> Any:
        arrays = {n: jnp.array(a) for n, a in self.initial.items()}
        p = {n: a for n, a in arrays.items() if n not in self.task.states}
        kept = {n: a for n, a in arrays.items() if n in self.task.states}
        return p, kept, states(self.task.optimizer, p)

    def steps(self, state: Any, rows: Array) -> tuple[Array, Any]:
        rows = rows.astype(np.int32)
        if self.scan:
            state, losses = self.loop(state, rows, self.columns)
            return np.asarray(losses), jax.block_until_ready(state)
        found = []
        for at in rows:
            state, loss = self.step(state, at, self.columns)
            found.append(loss)
        return np.asarray(jax.device_get(found)), jax.block_until_ready(state)

    def one(self, state: Any, at: jax.Array, columns: Tree) -> tuple[Any, jax.Array]:
        p, kept, optimizer_states = state
        batch = {n: jnp.take(c, at, axis=0) for n, c in columns.items()}
        loss = self.loss if kept else with_no_state(self.loss)
        (value, kept), g = jax.value_and_grad(loss, has_aux=True)({**p}, **batch, **kept)
        p, optimizer_states = update(self.task.optimizer, p, g, optimizer_states)
        return (p, kept, optimizer_states), value

    def many(self, state: Any, rows: jax.Array, columns: Tree) -> tuple[Any, jax.Array]:
        return jax.lax.scan(partial(self.one, columns=columns), state, rows)


def with_no_state(loss: Callable[..., Any]) -> Callable[..., Any]:
    return lambda p, **batch: (loss(p, **batch), {})


def states(optimizer: Optimizer, p: Tree) -> Any:
    def zeros() -> Tree:
        return {n: jnp.zeros_like(a) for n, a in p.items()}

    match optimizer:
        case SGD(momentum=0.0):
            return ()
        case SGD():
            return zeros()
        case Adam():
            return jnp.zeros((), jnp.int32), zeros(), zeros()


def update(optimizer: Optimizer, p: Tree, g: Tree, kept: Any) -> tuple[Tree, Any]:
    match optimizer:
        case SGD(rate, momentum, decay):
            if decay:
                g = {n: g[n] + decay * p[n] for n in p}
            if momentum:
                g = kept = {n: momentum * kept[n] + g[n] for n in p}
            return {n: p[n] - rate * g[n] for n in p}, kept
        case Adam(rate, beta1, beta2, eps):
            shrink = 1 - rate * optimizer.weight_decay if isinstance(optimizer, AdamW) else 1
            step, m, v = kept
            step = step + 1
            t = step.astype(jnp.float32)
            m = {n: beta1 * m[n] + (1 - beta1) * g[n] for n in p}
            v = {n: beta2 * v[n] + (1 - beta2) * g[n] ** 2 for n in p}
            size, root = rate / (1 - beta1**t), (1 - beta2**t) ** -0.5
            new = {n: shrink * p[n] - size * m[n] / (jnp.sqrt(v[n]) * root + eps) for n in p}
            return new, (step, m, v)


class Predictor:
    """One call for each row, with an array of NumPy's in and out."""

    def __init__(self, model: Callable[..., jax.Array], parameters: Arrays, x: Array) -> None:
        self.model = jax.jit(model)
        self.p = {n: jnp.asarray(a) for n, a in parameters.items()}
        self.x = x.astype(np.int32) if x.dtype == np.int64 else x

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        return [np.asarray(self.model(self.p, self.x[at])) for at in rows], None


def cross_entropy(scores: jax.Array, label: jax.Array) -> jax.Array:
    """The mean of -ln softmax(scores)[label] over all axes but the last."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(scores), label[..., None], axis=-1)
    return -chosen.mean()
