"""What a workload is: the same arrays and the same arithmetic for every peer.

An adapter is what a peer makes of a workload:

    start()            the state before the first step: the initial parameters, new optimizer states
    steps(state, rows) -> (results, state)     one step for each row of `rows`, int64 [steps, batch]

results has an array (a loss, an output) for each step; the runner compares them between peers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.optimizers import Optimizer

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Rng = np.random.Generator

SEED = 2026

PEERS = (
    "phistar",
    "numpy",
    "torch-eager",
    "torch-compile",
    "torch-channels-last",
    "jax-jit",
    "jax-scan",
    "tensorflow",
)


class Adapter(Protocol):
    """A workload as one peer runs it."""

    def start(self) -> Any: ...

    def steps(self, state: Any, rows: Array) -> tuple[Any, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is computed, how much of it there is, and who computes it.

    flops: of the products of one step, a multiplication and an addition each counting one.
    bytes: that a step cannot avoid to move (0: the products are what takes time); in_cache: they
    stay in the cache from step to step. adapters: by peer, each called in that peer's process.
    """

    name: str
    title: str
    flops: float
    bytes: float = 0
    in_cache: bool = False
    batch: int
    examples: int
    adapters: Mapping[str, Callable[[], Adapter]]

    def rows(self, steps: int) -> Array:
        """The rows of each step's minibatch: permutations of the data, one after the other."""
        rng = np.random.default_rng(SEED + 1)
        whole = self.examples // self.batch
        epochs = [
            rng.permutation(self.examples)[: whole * self.batch].reshape(whole, self.batch)
            for _ in range(-(-steps // whole))
        ]
        return np.concatenate(epochs)[:steps].astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A model to train, in the words of each library; what the libraries share is NumPy arrays.

    parameters, columns: made from a seed, so that each process has its own and all are equal.
    states: those of `parameters` that are kept, not trained (running means). images: a column may
    have its channels last. without: peers so slow here that nobody would wait for them.
    phistar() -> (model, loss)          its parameters have the names of `parameters`
    torch(p) -> loss(**columns)         p: the parameters, by name
    jax() -> loss(p, **columns), or, if there are states, -> (loss, {name: new state})
    numpy() -> gradients(p, **columns) -> (loss, {name: gradient})
    tensorflow() -> loss(p, **columns, **states)   which assigns the new states
    """

    optimizer: Optimizer
    parameters: Callable[[Rng], Arrays]
    columns: Callable[[Rng], Arrays]
    states: tuple[str, ...] = ()
    batch: int
    phistar: Callable[[], Any]
    torch: Callable[[Any], Any] | None = None
    jax: Callable[[], Any] | None = None
    numpy: Callable[[], Any] | None = None
    tensorflow: Callable[[], Any] | None = None
    images: bool = False
    without: tuple[str, ...] = ()

    def initial(self) -> Arrays:
        """The parameters before the first step."""
        return self.parameters(np.random.default_rng(SEED))

    def data(self) -> Arrays:
        """All examples, by column."""
        return self.columns(np.random.default_rng(SEED + 2))

    def adapters(self) -> dict[str, Callable[[], Adapter]]:
        """An adapter for each peer that can train this."""
        # fmt: off
        rows = [
            ("phistar",             self.phistar,    "phistar",    {}),
            ("numpy",               self.numpy,      "numpy",      {}),
            ("torch-eager",         self.torch,      "torch",      {}),
            ("torch-compile",       self.torch,      "torch",      {"compiled": True}),
            ("torch-channels-last", self.torch if self.images else None,
                                                     "torch",      {"channels_last": True}),
            ("jax-jit",             self.jax,        "jax",        {}),
            ("jax-scan",            self.jax,        "jax",        {"scan": True}),
            ("tensorflow",          self.tensorflow, "tensorflow", {}),
        ]
        # fmt: on
        return {
            peer: trainer(self, library, options)
            for peer, model, library, options in rows
            if model is not None and peer not in self.without
        }


def trainer(task: Training, library: str, options: Mapping[str, bool]) -> Callable[[], Adapter]:
    """What makes a library's adapter for a training task; imports the library when called."""

    def make() -> Adapter:
        from importlib import import_module

        adapter: Adapter = import_module(f"benchmarks.peers.{library}").Trainer(task, **options)
        return adapter

    return make


def uniform(rng: Rng, *shape: int, fan_in: int) -> Array:
    """Initial weights: uniform, of PyTorch's default size."""
    bound = fan_in**-0.5
    return rng.uniform(-bound, bound, shape).astype(np.float32)
