"""Tensors: named arrays that equations read and define, and the ways to make them.

A tensor's *definition* holds what is known of it: its sizes, its type, its equations. Defining a
tensor again (a notebook cell run twice) gives it a new definition; equations written before keep
the old one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from phistar.errors import (
    DefinitionError,
    DTypeError,
    ExpressionError,
    ShapeError,
    SubscriptError,
    UsageError,
)
from phistar.ir.dtypes import DEFAULT_FLOAT, AnyType, DType, Weak, as_dtype
from phistar.ir.program import Kind
from phistar.language import scope
from phistar.language.expression import Accumulate, Element, Expr, Operators, lift
from phistar.language.subscripts import normalize

if TYPE_CHECKING:
    from phistar.language.equations import Equation, Unit

_uids = itertools.count()


class Definition:
    """What is known of a tensor: sizes (None: not yet), type, halo, and its equations."""

    def __init__(
        self, owner: Tensor, sizes: list[int | None] | None, dtype: AnyType | None
    ) -> None:
        self.owner = owner
        self.uid = next(_uids)
        self.sizes = sizes
        self.dtype = dtype
        self.halo: list[tuple[int, int]] = [(0, 0)] * len(sizes or ())
        self.declared = sizes is not None
        self.equations: list[Equation] = []
        self.units: list[Unit] = []
        self.index_names: list[str | None] = [None] * len(sizes or ())
        self.cache: tuple[Any, np.ndarray[Any, Any]] | None = None
        self.grad: np.ndarray[Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy is another definition: values are remembered by the number."""
        return {name: value for name, value in vars(self).items() if name != "uid"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, uid=next(_uids))

    @property
    def rank(self) -> int | None:
        return None if self.sizes is None else len(self.sizes)

    def set_rank(self, rank: int) -> None:
        self.sizes = [None] * rank
        self.halo = [(0, 0)] * rank
        self.index_names = [None] * rank

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The sizes, if all are known."""
        if self.sizes is None or any(n is None for n in self.sizes):
            return None
        return tuple(n for n in self.sizes if n is not None)

    @property
    def storage(self) -> tuple[int, ...]:
        assert self.shape is not None
        return tuple(n + lo + hi for n, (lo, hi) in zip(self.shape, self.halo, strict=True))

    @property
    def strong_dtype(self) -> DType:
        if self.dtype is None:
            return DEFAULT_FLOAT
        return self.dtype.default if isinstance(self.dtype, Weak) else self.dtype


class Tensor(Operators):
    """A named array. `T[b, j] = ...` defines it, `T[b, j]` reads it.

    `value` and `grad` are NumPy arrays of its shape: computed when asked for, zero until a loss was
    sent backward.
    """

    def __init__(
        self,
        name: str,
        kind: Kind = Kind.VALUE,
        sizes: list[int | None] | None = None,
        dtype: AnyType | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.data: np.ndarray[Any, Any] | None = None
        self.version = 0
        self.definition = Definition(self, sizes, dtype)
        self.adjoint_of: Tensor | None = None
        self._adjoint: Tensor | None = None

    # What it looks like --------------------------------------------------------------------------

    @property
    def shown_name(self) -> str:
        return self.name or "tensor"

    @property
    def rank(self) -> int | None:
        return self.definition.rank

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape; DefinitionError while it is not known."""
        shape = self.definition.shape
        if shape is None:
            raise DefinitionError(
                f"the shape of {self.shown_name} is not known yet: define it first"
            )
        return shape

    @property
    def dtype(self) -> DType:
        return self.definition.strong_dtype

    def __repr__(self) -> str:
        shape = self.definition.shape
        return f"{self.shown_name}: {self.kind.value} {'?' if shape is None else shape}"

    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> Any:
        return self is other if isinstance(other, Tensor) else lift(self) == other

    def __ne__(self, other: Any) -> Any:
        return self is not other if isinstance(other, Tensor) else lift(self) != other

    def as_expression(self) -> Expr:
        """The tensor as a number in an expression: only one without axes can be that."""
        if self.rank == 0:
            return Element(self, ())
        if self.rank is None:
            raise DefinitionError(f"{self.shown_name} is used before it is defined")
        from phistar.language.equations import axes

        names = ", ".join(f"i{n}" for n in range(1, self.rank + 1))
        raise ExpressionError(
            f"{self.shown_name} has {axes(self.rank)} and is used without its subscripts: "
            f"write {self.shown_name}[{names}] with an index for each axis"
        )

    # Reading and defining ------------------------------------------------------------------------

    def __getitem__(self, subscripts: Any) -> Element:
        return Element(self, normalize(subscripts, self.shown_name))

    def __setitem__(self, subscripts: Any, value: Any) -> None:
        from phistar.language.equations import define

        parts = normalize(subscripts, self.shown_name)
        if isinstance(value, Accumulate):
            if value.element.target is not self:
                raise SubscriptError("+= stands between a tensor and what is added to it")
            define(self, parts, value.op, value.value)
        else:
            define(self, parts, "=", lift(value))

    # Values --------------------------------------------------------------------------------------

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """The tensor's value, a NumPy array of its shape, computed now if need be."""
        from phistar.language.evaluation import value_of

        return value_of(self)

    @value.setter
    def value(self, new: Any) -> None:
        if self.kind is Kind.VALUE:
            raise DefinitionError(f"{self.shown_name} is defined by equations: its value follows")
        array = as_array(new, self.definition.dtype)
        shape = self.definition.shape
        if shape is not None and array.shape != shape:
            raise ShapeError(
                f"{self.shown_name} has shape {shape}; a value of shape {array.shape} does not fit"
            )
        if shape is None:
            self.definition.set_rank(array.ndim)
            self.definition.sizes = list(array.shape)
        self.data = array
        self.version += 1

    @property
    def grad(self) -> Any:
        """The derivative of the last loss sent backward, an array of the tensor's shape.

        In a traced function (an optimizer's equations), the tensor that will hold it.
        """
        trace = scope.current_trace()
        if trace is not None:
            return trace.gradients.get(self, self.adjoint)
        from phistar.language.gradients import gradient_of

        return gradient_of(self)

    @property
    def adjoint(self) -> Tensor:
        """The tensor named `<name>.grad`, for equations that mention it."""
        if self._adjoint is None:
            made = Tensor(f"{self.name}.grad", Kind.INPUT)
            made.definition = Definition(
                made, list(self.definition.sizes or ()), self.definition.dtype
            )
            made.definition.index_names = list(self.definition.index_names)
            made.adjoint_of = self
            self._adjoint = made
        return self._adjoint

    def backward(self) -> None:
        """Set the grad of every tensor this one was computed from; its own is 1."""
        import sys

        from phistar.language.gradients import backward

        backward(self, sys._getframe(1))


class Changes:
    """How often any model changed in what it holds or trains: what was known may be old."""

    count = 0


class Parameter(Tensor):
    """A tensor that a model keeps and training changes, or, as a state, that equations update."""

    def __init__(
        self,
        kind: Kind,
        sizes: list[int | None] | None,
        dtype: DType,
        init: Any,
        trainable: bool = True,
    ) -> None:
        super().__init__("", kind, sizes, dtype)
        self.init = init
        self.trainable = trainable
        self.fan_in: int | None = None
        self.fan_out: int | None = None

    @property
    def trainable(self) -> bool:
        """Whether training changes it: if not, no gradient of it is computed."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        Changes.count += 1
        self._trainable = trainable

    @property
    def shown_name(self) -> str:
        return self.name or self.kind.value


def as_array(value: Any, dtype: AnyType | None = None) -> np.ndarray[Any, Any]:
    """value as an array of a type phistar has: Python floats are f32, Python integers i64."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise DTypeError(f"a tensor holds numbers or truth values, not {array.dtype}")
    if isinstance(dtype, DType):
        return np.array(array, dtype=dtype.numpy)
    if not isinstance(value, np.ndarray | np.generic) and array.dtype.kind == "f":
        array = array.astype(np.float32)
    return np.array(array, dtype=as_dtype(array.dtype).numpy)


def tensor(value: Any, name: str = "", dtype: str | DType | None = None) -> Tensor:
    """A tensor with a value: a number or an array (floats f32 unless NumPy says f64)."""
    array = as_array(value, None if dtype is None else as_dtype(dtype))
    made = Tensor(
        check_name(name) if name else "", Kind.INPUT, list(array.shape), as_dtype(array.dtype)
    )
    made.data = array
    return made


def tensors(names: str, **shapes: tuple[int, ...]) -> Tensor | tuple[Tensor, ...]:
    """Tensors to be defined by equations: `h, s, P = ph.tensors("h s P")`.

    A shape may be given, `ph.tensors("n", n=(10,))`; otherwise it follows from the equations.
    """
    words = names.replace(",", " ").split()
    if not words:
        raise UsageError('ph.tensors wants names: h, s = ph.tensors("h s")')
    if unknown := sorted(set(shapes) - set(words)):
        raise UsageError(f"ph.tensors got a shape for {', '.join(unknown)}, not among {names!r}")
    made = tuple(
        Tensor(check_name(word), Kind.VALUE, list(shapes[word]) if word in shapes else None)
        for word in words
    )
    return made[0] if len(made) == 1 else made


def check_name(name: str) -> str:
    parts = name.split(".")
    if not parts[0].isidentifier() or not all(p.isidentifier() or p.isdigit() for p in parts):
        raise UsageError(f"{name!r} cannot name a tensor: take a word such as h or hidden")
    return name


Initializer = Callable[..., Any]


def param(
    *shape: int | tuple[int, ...],
    init: Any = None,
    trainable: bool = True,
    dtype: str | DType = DEFAULT_FLOAT,
) -> Parameter:
    """A parameter: trained by `fit`, saved by `save`.

    shape may be left out: it comes from the first equation that uses the parameter, and so does the
    fan-in of the default initialiser (He et al. 2015: normal with variance 2 / fan-in). init: a
    number, an array, or a function `init(rng, shape, fan_in, fan_out)`.
    """
    return Parameter(Kind.PARAMETER, check_shape(shape), as_dtype(dtype), init, trainable)


def state(
    *shape: int | tuple[int, ...], init: Any = 0, dtype: str | DType = DEFAULT_FLOAT
) -> Parameter:
    """A state: kept and saved like a parameter, changed only by equations (a running mean)."""
    return Parameter(Kind.STATE, check_shape(shape), as_dtype(dtype), init, trainable=False)


def check_shape(shape: tuple[Any, ...]) -> list[int | None] | None:
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
        if not shape:
            return []
    for n in shape:
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise ShapeError(f"a shape is made of whole numbers, not {n!r}: {shape}")
    return list(shape) if shape else None
