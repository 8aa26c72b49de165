"""Layers that are products, and the rows of a table.

linear      y[..., j] = W[j, i] x[..., i] + c[j]
bilinear    y[..., k] = Σ_ij W[k, i, j] x[..., i] z[..., j] + c[k]
embedding   y[..., d] = W[word[...], d]
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar.errors import DTypeError, ShapeError, UsageError
from phistar.ir.dtypes import DType
from phistar.language.tensors import Tensor
from phistar.nn.shapes import expect, expect_size, whole

i, j, k, d = ph.indices("i j k d")


class Linear(ph.Model):
    """y[..., j] = W[j, i] x[..., i] + c[j]: x (..., in_features) -> (..., out_features).

    in_features: None leaves it to the first tensor that comes. init, bias_init: as `ph.param` takes
    them; by default He's by fan-in, and 0. Raises UsageError for sizes that are none, ShapeError
    for a tensor whose last axis has another size.
    """

    def __init__(
        self,
        in_features: int | None,
        out_features: int,
        bias: bool = True,
        init: Any = None,
        bias_init: Any = 0,
        dtype: Any = "f32",
    ) -> None:
        self.out_features = whole(self, "out_features", out_features)
        self.in_features = in_features
        shape: tuple[int, ...] = ()
        if in_features is not None:
            shape = (out_features, whole(self, "in_features", in_features))
        self.weight = ph.param(*shape, init=init, dtype=dtype)
        self.bias = ph.param(out_features, init=bias_init, dtype=dtype) if bias else None

    def __call__(self, x: Any) -> Any:
        shape = expect(x, self, least=1)
        if self.weight.rank is not None:
            expect_size(self, "input features", self.weight.shape[1], shape, -1)
        j, y = ph.index("j", self.out_features), Tensor("y")
        if self.bias is None:
            y[..., j] = self.weight[j, i] * x[..., i]
        else:
            y[..., j] = self.weight[j, i] * x[..., i] + self.bias[j]
        return y


class Bilinear(ph.Model):
    """y[..., k] = Σ_ij W[k, i, j] x[..., i] z[..., j] + c[k].

    x (..., in1_features), z (..., in2_features) -> (..., out_features); the leading axes are the
    same. Raises UsageError for sizes that are none, ShapeError for tensors that do not fit.
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        init: Any = None,
        bias_init: Any = 0,
        dtype: Any = "f32",
    ) -> None:
        self.in1_features = whole(self, "in1_features", in1_features)
        self.in2_features = whole(self, "in2_features", in2_features)
        self.out_features = whole(self, "out_features", out_features)
        shape = (out_features, in1_features, in2_features)
        self.weight = ph.param(*shape, init=init, dtype=dtype)
        self.bias = ph.param(out_features, init=bias_init, dtype=dtype) if bias else None

    def __call__(self, x: Any, z: Any) -> Any:
        first, second = expect(x, self, least=1), expect(z, self, least=1)
        expect_size(self, "features of the first input", self.in1_features, first, -1)
        expect_size(self, "features of the second input", self.in2_features, second, -1)
        if first[:-1] != second[:-1]:
            raise ShapeError(
                f"Bilinear takes two tensors with the same leading axes, not {first} and {second}"
            )
        y = Tensor("y")
        if self.bias is None:
            y[..., k] = self.weight[k, i, j] * x[..., i] * z[..., j]
        else:
            y[..., k] = self.weight[k, i, j] * x[..., i] * z[..., j] + self.bias[k]
        return y


class Embedding(ph.Model):
    """y[..., d] = W[word[...], d]: whole numbers (...) -> (..., dim).

    init: as `ph.param` takes it; by default normal, mean 0, variance 1. padding_idx: a row that
    starts at zero and is not trained (negative: from the end). Raises UsageError for sizes that are
    none, DTypeError for a tensor of other than whole numbers; a word outside the table is an
    IndexRangeError when it is read.
    """

    def __init__(
        self,
        num: int,
        dim: int,
        padding_idx: int | None = None,
        init: Any = None,
        dtype: Any = "f32",
    ) -> None:
        self.num, self.dim = whole(self, "num", num), whole(self, "dim", dim)
        self.padding_idx = row_of(padding_idx, num)
        if init is None:
            init = standard_normal(self.padding_idx)
        self.weight = ph.param(num, dim, init=init, dtype=dtype)

    def __call__(self, word: Any) -> Any:
        expect(word, self)
        if word.dtype.is_float or word.dtype is DType.BOOL:
            raise DTypeError(f"Embedding takes whole numbers, not {word.dtype.value}")
        y = Tensor("y")
        row: Any = self.weight[word[...], d]
        if self.padding_idx is not None:
            row = ph.where(ph.equal(word[...], self.padding_idx), ph.stop_gradient(row), row)
        y[..., d] = row
        return y


def row_of(padding_idx: int | None, num: int) -> int | None:
    """A row of the table, counted from the front; UsageError if there is none such."""
    if padding_idx is None:
        return None
    if isinstance(padding_idx, bool) or not isinstance(padding_idx, int):
        raise UsageError(f"padding_idx of Embedding must be a whole number, not {padding_idx!r}")
    if not -num <= padding_idx < num:
        raise UsageError(f"padding_idx of Embedding is {padding_idx}, but it has {num} rows")
    return padding_idx % num


def standard_normal(zero_row: int | None) -> Any:
    """An initialiser: N(0, 1), but one row is zero."""

    def init(rng: Any, shape: Any, fan_in: int, fan_out: int) -> Any:
        values = np.asarray(rng.normal(size=shape))
        if zero_row is not None:
            values[zero_row] = 0
        return values

    return init
