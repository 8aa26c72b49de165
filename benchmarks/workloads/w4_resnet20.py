"""W4: ResNet-20 for CIFAR: 3x3 convolutions, batch norm, stride 2, 1x1 convolutions as shortcuts.

SGD 0.01 with momentum 0.9 and weight decay 1e-4, B = 64.
"""

from functools import partial
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.optimizers import SGD
from benchmarks.workload import Arrays, Rng, Training, Workload, uniform
from benchmarks.workloads.w3_lenet import columns
from phistar import log, relu, softmax, sqrt, stop_gradient

MOMENTUM, EPS = 0.1, 1e-5  # of batch norm

# phistar ------------------------------------------------------------------------------------------

b, c, k, y, p, q, i, j = ph.indices("b c k y p q i j")


class BatchNorm(ph.Model):
    """Each channel with mean 0 and variance 1 in the minibatch; running means for later."""

    def __init__(self, channels: int) -> None:
        self.gain, self.bias = ph.param(channels), ph.param(channels)
        self.mean, self.variance = ph.state(channels), ph.state(channels)

    def __call__(self, x: Any) -> Any:
        m, v, n = ph.tensors("m v n")
        m[c] = ph.mean[b, p, q](x[b, c, p, q])
        v[c] = ph.mean[b, p, q]((x[b, c, p, q] - m[c]) ** 2)
        n[b, c, p, q] = (x[b, c, p, q] - m[c]) / sqrt(v[c] + EPS) * self.gain[c] + self.bias[c]
        self.mean[c] += MOMENTUM * (stop_gradient(m[c]) - self.mean[c])
        self.variance[c] += MOMENTUM * (stop_gradient(v[c]) - self.variance[c])
        return n


class Conv(ph.Model):
    """3x3 with padding, or 1x1; with a stride; then batch norm."""

    def __init__(self, channels: int, filters: int, size: int, stride: int) -> None:
        self.K = ph.param(filters, channels, size, size)
        self.norm = BatchNorm(filters)
        self.stride, self.padding = stride, size // 2

    def __call__(self, x: Any) -> Any:
        a = ph.tensors("a")
        P, Q = (ph.pad(self.stride * n + m, self.padding) for n, m in ((p, i), (q, j)))
        a[b, k, p, q] = self.K[k, c, i, j] * x[b, c, P, Q]
        return self.norm(a)


class Block(ph.Model):
    """Two convolutions, and what comes in added to what comes out."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        self.first = Conv(channels, filters, 3, stride)
        self.second = Conv(filters, filters, 3, 1)
        if channels != filters:
            self.shortcut = Conv(channels, filters, 1, stride)

    def __call__(self, x: Any) -> Any:
        h, z = ph.tensors("h z")
        a = self.first(x)
        h[b, c, p, q] = relu(a[b, c, p, q])
        f = self.second(h)
        s = self.shortcut(x) if hasattr(self, "shortcut") else x
        z[b, c, p, q] = relu(f[b, c, p, q] + s[b, c, p, q])
        return z


class ResNet(ph.Model):
    """P_Φ(y|x) of He et al. (2016), section 4.2: x[b, c, p, q] -> P[b, y]."""

    def __init__(self, width: int, depth: int, labels: int = 10) -> None:
        self.stem = Conv(3, width, 3, 1)
        self.blocks = [Block(*layer) for layer in layers(width, depth)]
        self.W, self.bias = ph.param(labels, 4 * width), ph.param(labels)

    def __call__(self, x: Any) -> Any:
        h, m, P = ph.tensors("h m P")
        a = self.stem(x)
        h[b, c, p, q] = relu(a[b, c, p, q])
        for block in self.blocks:
            h = block(h)
        m[b, c] = ph.mean[p, q](h[b, c, p, q])
        P[b, y] = softmax[y](self.W[y, c] * m[b, c] + self.bias[y])
        return P


def loss(model: ph.Model, x: Any, label: Any) -> Any:
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))


def layers(width: int, depth: int) -> list[tuple[int, int, int]]:
    """Channels in, channels out and stride of each block: three stages of `depth` blocks."""
    found = []
    channels = width
    for stage in range(3):
        for n in range(depth):
            found.append((channels, width << stage, 2 if stage and not n else 1))
            channels = width << stage
    return found


# The peers ----------------------------------------------------------------------------------------


def network(conv: Any, relu: Any, blocks: list[tuple[int, int, int]], x: Any) -> Any:
    """The same for the peers: conv(x, name, stride) includes the batch norm."""
    h = relu(conv(x, "stem", 1))
    for n, (channels, filters, stride) in enumerate(blocks):
        a = relu(conv(h, f"blocks.{n}.first", stride))
        a = conv(a, f"blocks.{n}.second", 1)
        s = h if channels == filters else conv(h, f"blocks.{n}.shortcut", stride)
        h = relu(a + s)
    return h


def torch_loss(blocks: list[tuple[int, int, int]], p: Any) -> Any:
    from torch.nn.functional import batch_norm, conv2d, cross_entropy, linear, relu

    def conv(x: Any, name: str, stride: int) -> Any:
        K, norm = p[f"{name}.K"], f"{name}.norm"
        return batch_norm(
            conv2d(x, K, None, stride, K.shape[-1] // 2),
            p[f"{norm}.mean"],
            p[f"{norm}.variance"],
            p[f"{norm}.gain"],
            p[f"{norm}.bias"],
            training=True,
            momentum=MOMENTUM,
            eps=EPS,
        )

    def value(x: Any, label: Any) -> Any:
        h = network(conv, relu, blocks, x)
        return cross_entropy(linear(h.mean((2, 3)), p["W"], p["bias"]), label)

    return value


def jax_loss(blocks: list[tuple[int, int, int]]) -> Any:
    """Channels last, which XLA's convolutions on a CPU prefer."""
    import jax
    import jax.numpy as jnp

    from benchmarks.peers.jax import cross_entropy

    def value(p: Any, x: Any, label: Any, **running: Any) -> Any:
        new = {}

        def conv(x: Any, name: str, stride: int) -> Any:
            K, norm = p[f"{name}.K"], f"{name}.norm"
            pad = K.shape[-1] // 2
            a = jax.lax.conv_general_dilated(
                x,
                K,
                (stride, stride),
                ((pad, pad), (pad, pad)),
                dimension_numbers=("NHWC", "OIHW", "NHWC"),
            )
            mean, variance = a.mean((0, 1, 2)), a.var((0, 1, 2))
            for key, now in (("mean", mean), ("variance", variance)):
                old = running[f"{norm}.{key}"]
                new[f"{norm}.{key}"] = old + MOMENTUM * (jax.lax.stop_gradient(now) - old)
            scale = p[f"{norm}.gain"] / jnp.sqrt(variance + EPS)
            return (a - mean) * scale + p[f"{norm}.bias"]

        h = network(conv, jax.nn.relu, blocks, x.transpose(0, 2, 3, 1))
        return cross_entropy(h.mean((1, 2)) @ p["W"].T + p["bias"], label), new

    return value


def tensorflow_loss(blocks: list[tuple[int, int, int]]) -> Any:
    import tensorflow as tf

    from benchmarks.peers.tensorflow import cross_entropy

    def value(p: Any, x: Any, label: Any, **running: Any) -> Any:
        def conv(x: Any, name: str, stride: int) -> Any:
            K, norm = p[f"{name}.K"], f"{name}.norm"
            pad = K.shape[-1] // 2
            sides = ((0, 0), (pad, pad), (pad, pad), (0, 0))
            a = tf.nn.conv2d(x, tf.transpose(K, (2, 3, 1, 0)), stride, sides)
            mean, variance = tf.nn.moments(a, (0, 1, 2))
            for key, now in (("mean", mean), ("variance", variance)):
                old = running[f"{norm}.{key}"]
                old.assign_add(MOMENTUM * (now - old))
            scale = p[f"{norm}.gain"] / tf.sqrt(variance + EPS)
            return (a - mean) * scale + p[f"{norm}.bias"]

        h = network(conv, tf.nn.relu, blocks, tf.transpose(x, (0, 2, 3, 1)))
        scores = tf.matmul(tf.reduce_mean(h, (1, 2)), p["W"], transpose_b=True) + p["bias"]
        return cross_entropy(scores, label)

    return value


# The sizes ----------------------------------------------------------------------------------------


def convolutions(width: int, depth: int) -> dict[str, tuple[int, int, int, int]]:
    """Channels in, channels out, size and stride of each convolution, by name."""
    found = {"stem": (3, width, 3, 1)}
    for n, (channels, filters, stride) in enumerate(layers(width, depth)):
        found[f"blocks.{n}.first"] = (channels, filters, 3, stride)
        found[f"blocks.{n}.second"] = (filters, filters, 3, 1)
        if channels != filters:
            found[f"blocks.{n}.shortcut"] = (channels, filters, 1, stride)
    return found


def parameters(width: int, depth: int, rng: Rng) -> Arrays:
    made = {}
    for name, (channels, filters, size, _) in convolutions(width, depth).items():
        fan_in = channels * size**2
        K = rng.normal(size=(filters, channels, size, size)) * (2 / fan_in) ** 0.5
        made[f"{name}.K"] = K.astype(np.float32)
        made[f"{name}.norm.gain"] = np.ones(filters, np.float32)
        made[f"{name}.norm.bias"] = np.zeros(filters, np.float32)
        made[f"{name}.norm.mean"] = np.zeros(filters, np.float32)
        made[f"{name}.norm.variance"] = np.ones(filters, np.float32)
    made["W"] = uniform(rng, 10, 4 * width, fan_in=4 * width)
    made["bias"] = np.zeros(10, np.float32)
    return made


def products(width: int, depth: int, image: int) -> int:
    """Multiplications for an image, forward and backward; none for the image's own gradient."""
    total, side = 0, image
    for name, (channels, filters, size, stride) in convolutions(width, depth).items():
        if stride == 2 and name.endswith("first"):
            side //= 2
        total += (2 if name == "stem" else 3) * channels * filters * size**2 * side**2
    return total + 3 * 10 * 4 * width


def workload(batch: int, image: int, width: int, depth: int, examples: int) -> Workload:
    blocks = layers(width, depth)
    states = [n for n in parameters(width, depth, np.random.default_rng()) if "norm" in n]
    task = Training(
        optimizer=SGD(0.01, momentum=0.9, weight_decay=1e-4),
        batch=batch,
        parameters=partial(parameters, width, depth),
        columns=partial(columns, examples, 3, image),
        states=tuple(n for n in states if n.endswith((".mean", ".variance"))),
        phistar=lambda: (ResNet(width, depth), loss),
        torch=partial(torch_loss, blocks),
        jax=partial(jax_loss, blocks),
        tensorflow=partial(tensorflow_loss, blocks),
        images=True,
        without=("jax-scan",),  # in a loop XLA's convolutions have one thread: 5 s a step
    )
    return Workload(
        name="W4",
        title=f"ResNet-{6 * depth + 2}, SGD with momentum and weight decay, B = {batch}",
        flops=2 * batch * products(width, depth, image),
        batch=batch,
        examples=examples,
        adapters=task.adapters(),
    )


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [workload(4, 8, 4, 1, 50)]
    return [workload(64, 32, 16, 3, 10_000)]
