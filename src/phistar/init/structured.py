"""Initial values that are matrices of a kind: orthogonal, the identity, almost empty."""

import math
from dataclasses import dataclass

import numpy as np

from phistar.errors import ShapeError
from phistar.init.numbers import Array, Rng, Shape, expect_axes, number, shown, whole


@dataclass(frozen=True, repr=False)
class orthogonal:
    """A random matrix with orthonormal rows, or columns if they are fewer, times gain (Saxe et al.
    2014).

    The first axis counts rows, all others columns. stacked: so many first axes count matrices,
    each orthogonal by itself: 1 for W[z, j, k], one matrix for each gate z.
    """

    gain: float = 1.0
    stacked: int = 0

    def __post_init__(self) -> None:
        number("gain of orthogonal", self.gain)
        whole("stacked of orthogonal", self.stacked)

    def __repr__(self) -> str:
        return shown(self)

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        expect_axes(shape, 2 + self.stacked, "orthogonal")
        rows, columns = shape[self.stacked], math.prod(shape[self.stacked + 1 :])
        drawn = rng.normal(size=(*shape[: self.stacked], max(rows, columns), min(rows, columns)))
        Q, R = np.linalg.qr(drawn)
        # With positive numbers on R's diagonal, Q is uniform over the orthogonal matrices.
        Q = Q * np.where(np.diagonal(R, axis1=-2, axis2=-1) < 0, -1, 1)[..., None, :]
        return np.asarray(self.gain * (Q if rows >= columns else Q.swapaxes(-1, -2))).reshape(shape)


@dataclass(frozen=True, repr=False)
class identity:
    """1 on the diagonal, times gain, 0 elsewhere (Le, Jaitly and Hinton 2015).

    stacked: so many first axes count matrices; after them come two axes.
    """

    gain: float = 1.0
    stacked: int = 0

    def __post_init__(self) -> None:
        number("gain of identity", self.gain)
        whole("stacked of identity", self.stacked)

    def __repr__(self) -> str:
        return shown(self)

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        expect_axes(shape, 2 + self.stacked, "identity", 2 + self.stacked)
        return np.asarray(self.gain * np.broadcast_to(np.eye(shape[-2], shape[-1]), shape))


@dataclass(frozen=True, repr=False)
class dirac:
    """A convolution that gives back its input (Zagoruyko and Komodakis 2017): K[k, c, i, ...] is 1
    in the middle of the window where k is c, else 0.

    groups: of filters, each of which sees channels of its own. Raises ShapeError if the filters
    are not a multiple of it.
    """

    groups: int = 1

    def __post_init__(self) -> None:
        whole("groups of dirac", self.groups, 1)

    def __repr__(self) -> str:
        return shown(self)

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        expect_axes(shape, 3, "dirac")
        if shape[0] % self.groups:
            raise ShapeError(f"dirac cannot share {shape[0]} filters among {self.groups} groups")
        K, filters = np.zeros(shape), shape[0] // self.groups
        middle = tuple(n // 2 for n in shape[2:])
        for group in range(self.groups):
            for c in range(min(filters, shape[1])):
                K[(group * filters + c, c, *middle)] = 1
        return K


@dataclass(frozen=True, repr=False)
class sparse:
    """Normal with standard deviation std, but of each input's weights the share `sparsity` is 0
    (Martens 2010): of each column of W[j, i], over j.
    """

    sparsity: float
    std: float = 0.01

    def __post_init__(self) -> None:
        number("sparsity of sparse", self.sparsity, 0, 1)
        number("std of sparse", self.std, 0)

    def __repr__(self) -> str:
        return shown(self)

    def __call__(self, rng: Rng, shape: Shape, fan_in: int, fan_out: int) -> Array:
        expect_axes(shape, 2, "sparse", 2)
        W, empty = rng.normal(0.0, self.std, shape), math.ceil(self.sparsity * shape[0])
        for column in range(shape[1]):
            W[rng.permutation(shape[0])[:empty], column] = 0
        return W
