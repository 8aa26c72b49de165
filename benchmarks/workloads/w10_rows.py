"""W10: layer norm, GELU and softmax over the last axis of 4096 x 1024, forward and backward.

Nothing is trained: the same x, γ, β and cotangent at each step; computed are the output y and the
gradients of Σ cotangent y by x, γ and β. All of it waits for memory, or for exp and erf.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.workload import SEED, Array, Workload
from phistar import gelu, softmax, sqrt

# phistar ------------------------------------------------------------------------------------------

r, k = ph.indices("r k")


def chain(x: Any, gain: Any, bias: Any) -> Any:
    """x[r, k] -> y[r, k], row by row."""
    mean, variance, n, y = ph.tensors("mean variance n y")
    mean[r] = ph.mean[k](x[r, k])
    variance[r] = ph.mean[k]((x[r, k] - mean[r]) ** 2)
    n[r, k] = gain[k] * (x[r, k] - mean[r]) / sqrt(variance[r] + 1e-5) + bias[k]
    y[r, k] = softmax[k](gelu(n[r, k]))
    return y


def weighted(x: Any, gain: Any, bias: Any, cotangent: Any) -> Any:
    y = chain(x, gain, bias)
    return ph.sum[r, k](cotangent[r, k] * y[r, k])


def output_and_gradients(x: Any, gain: Any, bias: Any, cotangent: Any) -> Any:
    gradients = ph.grad(weighted)(x, gain, bias, cotangent)
    return chain(x, gain, bias), *gradients[:3]


def in_phistar() -> Any:
    from benchmarks.peers.phistar import BACKEND

    return ph.jit(output_and_gradients, backend=BACKEND), np.asarray


# The peers ----------------------------------------------------------------------------------------


def in_torch(compiled: bool = False) -> Any:
    import torch
    from torch.nn.functional import gelu, layer_norm

    def chain(x: Any, gain: Any, bias: Any) -> Any:
        return gelu(layer_norm(x, gain.shape, gain, bias)).softmax(-1)

    forward = torch.compile(chain) if compiled else chain

    def step(x: Any, gain: Any, bias: Any, cotangent: Any) -> Any:
        y = forward(x, gain, bias)
        return y.detach(), *torch.autograd.grad(y, (x, gain, bias), cotangent)

    return step, lambda array: torch.from_numpy(array).requires_grad_()


def in_jax() -> Any:
    import jax
    import jax.numpy as jnp

    def chain(x: Any, gain: Any, bias: Any) -> Any:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        n = gain * centred / jnp.sqrt(variance + 1e-5) + bias
        return jax.nn.softmax(jax.nn.gelu(n, approximate=False))

    def step(x: Any, gain: Any, bias: Any, cotangent: Any) -> Any:
        y, backward = jax.vjp(chain, x, gain, bias)
        return y, *backward(cotangent)

    compiled = jax.jit(step)
    return lambda *arrays: jax.block_until_ready(compiled(*arrays)), jnp.asarray


def in_tensorflow() -> Any:
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def step(x: Any, gain: Any, bias: Any, cotangent: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch((x, gain, bias))
            mean, variance = tf.nn.moments(x, -1, keepdims=True)
            n = gain * (x - mean) / tf.sqrt(variance + 1e-5) + bias
            y = tf.nn.softmax(tf.nn.gelu(n))
        return y, *tape.gradient(y, (x, gain, bias), cotangent)

    return step, tf.constant


class Rows:
    """The adapter of every peer: `step` on four arrays, made by `take` from NumPy's."""

    def __init__(self, make: Callable[[], Any], shape: tuple[int, int]) -> None:
        step, take = make()
        rng = np.random.default_rng(SEED)
        x, cotangent = rng.normal(size=(2, *shape)).astype(np.float32)
        gain = rng.uniform(0.5, 1.5, shape[1]).astype(np.float32)
        bias = rng.uniform(-0.5, 0.5, shape[1]).astype(np.float32)
        self.step, self.arrays = step, [take(a) for a in (x, gain, bias, cotangent)]
        self.some = tuple(slice(None, None, -(-n // 8)) for n in shape)

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        """A few elements of the output and of each gradient, scaled to one size."""
        return [self.probe(*self.step(*self.arrays)) for _ in rows], None

    def probe(self, *arrays: Any) -> Array:
        some = [np.asarray(a)[self.some[-np.ndim(a) :]].ravel() for a in arrays]
        return np.concatenate([a / np.abs(a).max() for a in some])


def workload(shape: tuple[int, int]) -> Workload:
    peers = {
        "phistar": in_phistar,
        "torch-eager": in_torch,
        "torch-compile": partial(in_torch, compiled=True),
        "jax-jit": in_jax,
        "tensorflow": in_tensorflow,
    }
    return Workload(
        name="W10",
        title=f"layer norm, GELU, softmax on {shape[0]} x {shape[1]}, forward and backward",
        flops=0,
        bytes=4 * 4 * shape[0] * shape[1],  # x and the cotangent read, y and x.grad written
        batch=1,
        examples=1,
        adapters={peer: partial(Rows, make, shape) for peer, make in peers.items()},
    )


def workloads(tiny: bool) -> list[Workload]:
    return [workload((16, 8) if tiny else (4096, 1024))]
