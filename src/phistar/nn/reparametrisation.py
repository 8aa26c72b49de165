"""Layers whose weight is made from other parameters and states.

    weight norm    W[j, i] = g[j] v[j, i] / √(Σ_i v[j, i]²)
    spectral norm  W[j, i] = V[j, i] / σ,  σ = u[j] V[j, i] v[i], after one step or more of
                   v[i] = V[j, i] u[j] / |...|,  u[j] = V[j, i] v[i] / |...|

j is one axis of the weight, i stands for all others.
"""

from abc import abstractmethod
from math import prod
from typing import Any

import numpy as np

import phistar as ph
from phistar.errors import UsageError
from phistar.ir.program import Kind
from phistar.language.expression import Index
from phistar.language.tensors import Parameter, Tensor
from phistar.nn.convolution import TransposedConvolution
from phistar.nn.moments import Indices, number
from phistar.nn.shapes import whole

Array = np.ndarray[Any, Any]


class Reparametrised(ph.Model):
    """A layer around another one, which sees as its weight what `made` gives.

    name: the weight's, a parameter of the layer; kept: what that parameter is called here. The
    layer's other parameters have the names they have in it. Raises UsageError for what is no layer
    with such a parameter, of a known shape.
    """

    def __init__(self, layer: Any, name: str, kept: str) -> None:
        weight = getattr(layer, name, None) if isinstance(layer, ph.Model) else None
        if not isinstance(weight, Parameter) or weight.kind is not Kind.PARAMETER:
            raise UsageError(
                f"{type(self).__name__} takes a layer with a parameter {name}, "
                f"not {type(layer).__name__}"
            )
        if weight.definition.shape is None:
            raise UsageError(
                f"{type(self).__name__} takes a layer whose {name} has a shape: "
                f"tell {type(layer).__name__} its sizes"
            )
        self.names = (name, kept)
        setattr(self, kept, weight)

    @property
    def original(self) -> Any:
        """The parameter that was the layer's weight."""
        return getattr(self, self.names[1])

    def adopt(self, layer: ph.Model) -> None:
        """Keep the layer, and its parameters and layers by their names."""
        for name, value in vars(layer).items():
            if isinstance(value, Parameter | ph.Model) and value is not self.original:
                setattr(self, name, value)
        self.layer = layer

    @abstractmethod
    def made(self) -> Tensor:
        """The weight, from the parameters."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer gives with that weight."""
        self.find_fans(*args, **kwargs)
        attributes, name = vars(self.layer), self.names[0]
        attributes[name] = self.made()
        try:
            return self.layer(*args, **kwargs)
        finally:
            attributes[name] = self.original

    def find_fans(self, *args: Any, **kwargs: Any) -> None:
        """The layer's own equations tell the fans of its weight, from which its first value comes.

        They are written once more for that, and nothing uses them.
        """
        new = self.original.data is None and self.original.fan_in is None
        if new and not self.layer.states:
            self.layer(*args, **kwargs)

    def axes(self, dim: int | None) -> tuple[Indices, Indices]:
        """Indices of all axes of the weight, and of all but one."""
        rank = len(self.original.shape)
        at = (Index("j"), Index("i")) if rank == 2 else tuple(Index(f"i{n}") for n in range(rank))
        return at, tuple(i for n, i in enumerate(at) if n != dim)

    def axis(self, dim: Any) -> int:
        """An axis of the weight, counted from the front; UsageError if there is none such."""
        shape = self.original.shape
        if isinstance(dim, bool) or not isinstance(dim, int) or not -len(shape) <= dim < len(shape):
            raise UsageError(
                f"{type(self).__name__} takes an axis of shape {shape}, not dim={dim!r}"
            )
        return dim % len(shape)


# Weight normalisation -----------------------------------------------------------------------------


class WeightNorm(Reparametrised):
    """A layer with the weight g v / |v|: what `weight_norm` makes."""

    def __init__(self, layer: Any, name: str, dim: int | None) -> None:
        super().__init__(layer, name, f"{name}_v")
        v = self.original
        self.dim = None if dim is None else self.axis(dim)
        others = tuple(n for n in range(len(v.shape)) if n != self.dim)
        sizes = tuple(1 if n in others else size for n, size in enumerate(v.shape))
        self.g = f"{name}_g"
        init = norms(v, others)
        setattr(self, self.g, ph.param(() if dim is None else sizes, init=init, dtype=v.dtype))
        self.adopt(layer)

    def made(self) -> Tensor:
        v, g = self.original, getattr(self, self.g)
        at, others = self.axes(self.dim)
        kept = () if self.dim is None else (at[self.dim],)
        place = tuple(i if n == self.dim else 0 for n, i in enumerate(at)) if kept else ()
        length, W = Tensor("length"), Tensor(self.names[0])
        length[kept] = ph.sqrt(ph.sum[others](v[at] ** 2))
        W[at] = g[place] * v[at] / length[kept]
        return W


def weight_norm(layer: Any, name: str = "weight", dim: int | None = 0) -> WeightNorm:
    """A layer with the weight g v / |v|, a norm for each j (Salimans and Kingma 2016).

    layer: one with a parameter `name`: Linear, Conv2d, ... dim: the axis j (negative: from the
    end), None for one norm of all. Its parameters are weight_v, as the weight was, and weight_g, of
    size 1 along the other axes, at the start the norms of weight_v. Raises UsageError for a layer
    or an axis that does not fit.
    """
    return WeightNorm(layer, name, dim)


def norms(v: Parameter, others: tuple[int, ...]) -> Any:
    """An initialiser: the norms of another parameter's value."""

    def init(rng: Any, shape: Any, fan_in: int, fan_out: int) -> Array:
        squares = np.square(v.value, dtype=np.float64)
        return np.asarray(np.sqrt(squares.sum(others))).reshape(shape)

    return init


# Spectral normalisation ---------------------------------------------------------------------------


class SpectralNorm(Reparametrised):
    """A layer with a weight whose largest singular value is near 1: `spectral_norm` makes it."""

    def __init__(
        self, layer: Any, name: str, n_power_iterations: int, eps: float, dim: int | None
    ) -> None:
        super().__init__(layer, name, f"{name}_orig")
        V = self.original
        if len(V.shape) < 2:
            raise UsageError(f"SpectralNorm takes a weight with two axes or more, not {V.shape}")
        self.n_power_iterations = whole(self, "n_power_iterations", n_power_iterations)
        self.eps = number(self, "eps", eps)
        self.dim = self.axis(int(isinstance(layer, TransposedConvolution)) if dim is None else dim)
        rows = V.shape[self.dim]
        columns = prod(V.shape) // rows
        self.u, self.v = f"{name}_u", f"{name}_v"
        u = ph.state(rows, init=left(V, self.dim), dtype=V.dtype)
        setattr(self, self.u, u)
        setattr(self, self.v, ph.state(columns, init=right(V, self.dim, u), dtype=V.dtype))
        self.adopt(layer)

    def made(self) -> Tensor:
        V, u, v = self.original, getattr(self, self.u), getattr(self, self.v)
        at, i = self.axes(self.dim)
        j = at[self.dim]
        if self.training:
            u, v = self.iterated(u, v, at, j, i)
        sigma, W = Tensor("sigma"), Tensor(self.names[0])
        sigma[()] = ph.sum[at](ph.stop_gradient(u[j]) * V[at] * ph.stop_gradient(v[(i,)]))
        W[at] = V[at] / sigma[()]
        return W

    def iterated(self, u: Any, v: Any, at: Indices, j: Index, i: Indices) -> Any:
        """Steps of the power method, which the states remember."""
        V, state = self.original, (u, v)
        for _ in range(self.n_power_iterations):
            v, product = Tensor("v"), Tensor("product")
            product[(i,)] = ph.sum[j](ph.stop_gradient(V[at]) * u[j])
            unit(v, product, self.eps)
            u, product = Tensor("u"), Tensor("product")
            product[j] = ph.sum[i](ph.stop_gradient(V[at]) * v[(i,)])
            unit(u, product, self.eps)
        for kept, new in zip(state, (u, v), strict=True):
            k = Index("k")
            kept[k] = ph.stop_gradient(new[k])
        return u, v


def spectral_norm(
    layer: Any,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> SpectralNorm:
    """A layer with its weight over that matrix's largest singular value (Miyato et al. 2018).

    layer: one with a parameter `name`: Linear, Conv2d, ... dim: the axis of the rows, all others
    are columns; None is 0, 1 for transposed convolutions. The singular value comes from
    n_power_iterations of the power method for each call in training; evaluation takes the vectors
    of the last. Its parameter is weight_orig, as the weight was, its states weight_u and weight_v,
    at the start after 15 iterations. Raises UsageError for arguments that do not fit.
    """
    return SpectralNorm(layer, name, n_power_iterations, eps, dim)


def unit(made: Tensor, x: Tensor, eps: float) -> None:
    """made = x / max(|x|, ε)."""
    k, length = Index("k"), Tensor("length")
    length[()] = ph.sqrt(ph.sum[k](x[k] ** 2))
    made[k] = x[k] / ph.maximum(length[()], eps)


def left(V: Parameter, dim: int) -> Any:
    """An initialiser: near the first left singular vector of another parameter's value."""

    def init(rng: Any, shape: Any, fan_in: int, fan_out: int) -> Array:
        M, u = matrix(V, dim), rng.normal(size=shape)
        for _ in range(15):
            u = M @ (M.T @ u)
            u /= max(np.linalg.norm(u), 1e-12)
        return np.asarray(u)

    return init


def right(V: Parameter, dim: int, u: Parameter) -> Any:
    """An initialiser: the right singular vector that belongs to a left one."""

    def init(rng: Any, shape: Any, fan_in: int, fan_out: int) -> Array:
        v = matrix(V, dim).T @ u.value.astype(np.float64)
        return np.asarray(v / max(np.linalg.norm(v), 1e-12))

    return init


def matrix(V: Parameter, dim: int) -> Array:
    """A parameter's value as a matrix, one axis by all others."""
    value = np.moveaxis(V.value.astype(np.float64), dim, 0)
    return value.reshape(len(value), -1)
