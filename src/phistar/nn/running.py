"""Normalisation of each channel over the minibatch, or over each example, with running statistics.

    batch     y[b, c, p] = (x[b, c, p] - mean[c]) / √(variance[c] + ε) w[c] + a[c]
    instance  y[b, c, p] = (x[b, c, p] - mean[b, c]) / √(variance[b, c] + ε) w[c] + a[c]
    running   running_mean[c] += m (mean[c] - running_mean[c])
              running_var[c] += m (n / (n - 1) variance[c] - running_var[c])

Means and variances are over the other indices, of n elements; evaluation takes the running ones.
"""

from math import prod
from typing import Any, ClassVar

import phistar as ph
from phistar.errors import ShapeError
from phistar.ir.dtypes import as_dtype
from phistar.language.expression import Index
from phistar.language.tensors import Tensor
from phistar.nn.moments import HALF, Indices, affine, expect_floats, moments, narrow, normal, number
from phistar.nn.shapes import expect_size, whole

c = ph.index("c")


class RunningNorm(ph.Model):
    """What layers with a mean and a variance for each channel share.

    num_features: the channels. momentum: how much of the new one a running number takes. affine:
    whether there are weight and bias, (num_features), 1 and 0 at the start. track_running_stats:
    whether there are running_mean and running_var, (num_features), 0 and 1 at the start, the
    variance unbiased, and num_batches_tracked; without them evaluation is as training. Raises
    UsageError for arguments that do not fit together, ShapeError for tensors that do not, and for
    a variance of one element.
    """

    sizes: ClassVar[tuple[int, int]]  # how many axes there are after the channels, from, to

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: Any = "f32",
    ) -> None:
        self.num_features = whole(self, "num_features", num_features)
        self.eps = number(self, "eps", eps)
        self.momentum = self.checked(momentum)
        self.weight = ph.param(num_features, init=1, dtype=dtype) if affine else None
        self.bias = ph.param(num_features, init=0, dtype=dtype) if affine else None
        self.track_running_stats = track_running_stats
        if track_running_stats:
            kept = "f32" if as_dtype(dtype) in HALF else dtype
            self.running_mean: Any = ph.state(num_features, init=0, dtype=kept)
            self.running_var: Any = ph.state(num_features, init=1, dtype=kept)
            self.num_batches_tracked: Any = ph.state((), init=0, dtype="i64")

    def checked(self, momentum: float | None) -> float | None:
        return None if momentum is None else number(self, "momentum", momentum)

    def around(self, x: Any) -> tuple[Indices, Indices]:
        """Indices of the axes before and after the channels; ShapeError for a wrong tensor."""
        raise NotImplementedError

    def averaged(self, b: Indices, p: Indices) -> tuple[Indices, Indices]:
        """Over which indices the statistics are, and which others but c they keep."""
        raise NotImplementedError

    def __call__(self, x: Any) -> Any:
        b, p = self.around(x)
        over, kept = self.averaged(b, p)
        at = (*b, c, *p)
        if self.training or not self.track_running_stats:
            n = self.count(x, at, over)
            mean, variance = moments(x, at, (*kept, c), over)
            if self.training and self.track_running_stats:
                self.track(mean, variance, n / (n - 1), kept)
            m, v = mean[*kept, c], variance[*kept, c]
        else:
            m, v = self.running_mean[c], self.running_var[c]
        y, z = Tensor("y"), normal(x[at], m, v, self.eps)
        y[at] = narrow(affine(z, self.weight, self.bias, (c,)), x)
        return y

    def count(self, x: Tensor, at: Indices, over: Indices) -> int:
        """How many elements a statistic is of; ShapeError for one."""
        names = {i.name for i in over}
        n = prod(size for i, size in zip(at, x.shape, strict=True) if i.name in names)
        if n == 1:
            raise ShapeError(
                f"{type(self).__name__} in training takes variances of more than one element, "
                f"but a tensor of shape {x.shape} has one for each"
            )
        return n

    def track(self, mean: Tensor, variance: Tensor, unbiased: float, kept: Indices) -> None:
        """Running statistics take some of the new ones, averaged over the examples."""
        m, v = ph.stop_gradient(mean[*kept, c]), unbiased * ph.stop_gradient(variance[*kept, c])
        if kept:
            m, v = ph.mean[kept](m), ph.mean[kept](v)
        share = self.share(mean)
        self.running_mean[c] += share * (m - self.running_mean[c])
        self.running_var[c] += share * (v - self.running_var[c])

    def share(self, mean: Tensor) -> Any:
        """How much of the new one a running number takes."""
        return self.momentum


# Over the minibatch -------------------------------------------------------------------------------


class BatchNorm(RunningNorm):
    """Each channel with mean 0 and variance 1 in the minibatch (Ioffe and Szegedy 2015).

    What BatchNorm1d to BatchNorm3d share. x (batch, num_features, *sizes) -> the same shape.
    momentum: None makes the running statistics those of all minibatches, each with one weight. The
    rest is as in `RunningNorm`.
    """

    def around(self, x: Any) -> tuple[Indices, Indices]:
        shape = expect_floats(x, self, *(2 + n for n in self.sizes))
        expect_size(self, "features", self.num_features, shape, 1)
        return (Index("b"),), places(len(shape) - 2)

    def averaged(self, b: Indices, p: Indices) -> tuple[Indices, Indices]:
        return (*b, *p), ()

    def share(self, mean: Tensor) -> Any:
        self.num_batches_tracked[()] += 1
        if self.momentum is not None:
            return self.momentum
        return 1 / ph.cast(self.num_batches_tracked[()], mean.dtype)


class BatchNorm1d(BatchNorm):
    """Batch normalisation of x (batch, num_features) or (batch, num_features, length)."""

    sizes = (0, 1)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of images, x (batch, num_features, height, width)."""

    sizes = (2, 2)


class BatchNorm3d(BatchNorm):
    """Batch normalisation of volumes, x (batch, num_features, depth, height, width)."""

    sizes = (3, 3)


# Over each example --------------------------------------------------------------------------------


class InstanceNorm(RunningNorm):
    """Each channel of each example with mean 0 and variance 1 (Ulyanov et al. 2016).

    What InstanceNorm1d to InstanceNorm3d share. x (batch, num_features, *sizes), or without a
    batch, -> the same shape. Running statistics are averages over the examples. The rest is as in
    `RunningNorm`.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: Any = "f32",
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype)

    def checked(self, momentum: float | None) -> float | None:
        return number(self, "momentum", momentum)

    def around(self, x: Any) -> tuple[Indices, Indices]:
        own = 1 + self.sizes[0]
        shape = expect_floats(x, self, least=own, most=own + 1)
        expect_size(self, "features", self.num_features, shape, -own)
        return (Index("b"),)[: len(shape) - own], places(own - 1)

    def averaged(self, b: Indices, p: Indices) -> tuple[Indices, Indices]:
        return p, b


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of x (batch, num_features, length), or without a batch."""

    sizes = (1, 1)


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of images, x (batch, num_features, height, width)."""

    sizes = (2, 2)


class InstanceNorm3d(InstanceNorm):
    """Instance normalisation of volumes, x (batch, num_features, depth, height, width)."""

    sizes = (3, 3)


def places(axes: int) -> Indices:
    """Indices of the axes after the channels."""
    return tuple(Index(name) for name in "pqr"[:axes])
