"""The reference backend: the definition of what programs mean, slow and obviously right.

Each assignment lists all settings of its indices, one row each, drops those whose condition is
false, evaluates its expressions on the rows that are left, and only then writes. `where` evaluates
each branch on its own rows, so what is not chosen can neither fail nor matter.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from phistar.backends import philox, special
from phistar.backends.contract import out_of_range
from phistar.ir.build import settled
from phistar.ir.dtypes import DType, Weak
from phistar.ir.primitives import Op, Reduction
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Assign,
    Atom,
    Cast,
    Const,
    Distribution,
    Expr,
    Index,
    IndexValue,
    Kind,
    Load,
    Own,
    Pad,
    Program,
    Quotient,
    Random,
    Reduce,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import flat, target_indices

Array = np.ndarray[Any, Any]
Rows = dict[Index, Array]  # the value of each index in each setting: arrays of one length

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x: Array) -> Array:
    return np.where(
        x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))
    )


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def relu6(x: Array) -> Array:
    return np.minimum(np.maximum(x, 0), 6)


def elu(x: Array, alpha: Any) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def gelu_tanh(x: Array) -> Any:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def power(x: Array, p: Array) -> Array:
    if x.dtype.kind in "iu":  # NumPy refuses negative powers of integers: they round to 0
        return np.where(p < 0, np.where(np.abs(x) == 1, x ** np.abs(p), 0), x ** np.maximum(p, 0))
    return np.power(x, p)


# fmt: off
FUNCTIONS: dict[P, Callable[..., Array]] = {
    P.ADD: np.add,                P.SUB: np.subtract,
    P.MUL: np.multiply,           P.DIV: np.divide,
    P.FLOOR_DIV: np.floor_divide, P.MOD: np.mod,
    P.POW: power,                 P.NEG: np.negative,
    P.ABS: np.abs,                P.EXP: np.exp,
    P.EXPM1: np.expm1,            P.LOG: np.log,
    P.LOG1P: np.log1p,            P.SQRT: np.sqrt,
    P.RSQRT: lambda x: 1 / np.sqrt(x),
    P.SQUARE: np.square,          P.RECIPROCAL: lambda x: 1 / x,
    P.SIN: np.sin,                P.COS: np.cos,
    P.TAN: np.tan,                P.TANH: np.tanh,
    P.ARCSIN: np.arcsin,          P.ARCCOS: np.arccos,
    P.ARCTAN: np.arctan,          P.SINH: np.sinh,
    P.COSH: np.cosh,              P.ERF: special.erf,
    P.ERFC: special.erfc,         P.SIGMOID: sigmoid,
    P.LOG_SIGMOID: lambda x: -softplus(-x),
    P.SOFTPLUS: softplus,         P.RELU: lambda x: np.maximum(x, 0),
    P.RELU6: relu6,
    P.LEAKY_RELU: lambda x, slope: np.where(x > 0, x, slope * x),
    P.ELU: elu,                   P.SELU: lambda x: SELU_SCALE * elu(x, SELU_ALPHA),
    P.CELU: lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    P.GELU: lambda x: 0.5 * x * special.erfc(-x * math.sqrt(0.5)),
    P.GELU_TANH: gelu_tanh,       P.SILU: lambda x: x * sigmoid(x),
    P.MISH: lambda x: x * np.tanh(softplus(x)),
    P.HARD_SIGMOID: lambda x: relu6(x + 3) / 6,
    P.HARD_SWISH: lambda x: x * relu6(x + 3) / 6,
    P.SOFTSIGN: lambda x: x / (1 + np.abs(x)),
    P.HARDTANH: lambda x: np.minimum(np.maximum(x, -1), 1),
    P.SIGN: np.sign,              P.FLOOR: np.floor,
    P.CEIL: np.ceil,              P.ROUND: np.rint,
    P.MAXIMUM: np.maximum,        P.MINIMUM: np.minimum,
    P.CLIP: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    P.WHERE: np.where,
    P.ISNAN: np.isnan,            P.ISINF: np.isinf,
    P.LESS: np.less,              P.LESS_EQUAL: np.less_equal,
    P.GREATER: np.greater,        P.GREATER_EQUAL: np.greater_equal,
    P.EQUAL: np.equal,            P.NOT_EQUAL: np.not_equal,
    P.AND: np.logical_and,        P.OR: np.logical_or,
    P.NOT: np.logical_not,        P.STOP_GRADIENT: lambda x: x,
}
REDUCTIONS: dict[Reduction, Callable[[Array], Any]] = {  # of the values, in order; not empty
    Reduction.SUM: np.sum,        Reduction.PROD: np.prod,
    Reduction.MAX: np.max,        Reduction.MIN: np.min,
    Reduction.MEAN: np.mean,      Reduction.ANY: np.any,
    Reduction.ALL: np.all,        Reduction.ARGMAX: np.argmax,
    Reduction.ARGMIN: np.argmin,  Reduction.LOGSUMEXP: lambda v: logsumexp(v),
    Reduction.SOFTMAX: lambda v: np.exp(v - logsumexp(v)),
    Reduction.LOG_SOFTMAX: lambda v: v - logsumexp(v),
    Reduction.CUMSUM: np.cumsum,
}
# fmt: on
ACCUMULATE = {Op.ADD: np.add, Op.MUL: np.multiply, Op.MAX: np.maximum, Op.MIN: np.minimum}


def logsumexp(v: Array) -> Any:
    top = np.max(v)
    top = np.where(np.isfinite(top), top, 0).astype(v.dtype)
    return top + np.log(np.sum(np.exp(v - top)))


def lowest(dtype: DType) -> Any:
    if dtype.is_bool:
        return False
    return -np.inf if dtype.is_float else np.iinfo(dtype.numpy).min


def highest(dtype: DType) -> Any:
    if dtype.is_bool:
        return True
    return np.inf if dtype.is_float else np.iinfo(dtype.numpy).max


def identity(reduction: Reduction, dtype: DType) -> Any:
    """What a reduction over nothing is."""
    match reduction:
        case Reduction.PROD | Reduction.ALL:
            return 1
        case Reduction.MAX:
            return lowest(dtype)
        case Reduction.MIN:
            return highest(dtype)
        case Reduction.LOGSUMEXP | Reduction.LOG_SOFTMAX:
            return -np.inf
    return 0


def initial(op: Op, dtype: DType) -> Any:
    """What a tensor holds before the first assignment, which has this op."""
    starts = {Op.MUL: 1, Op.MAX: lowest(dtype), Op.MIN: highest(dtype)}
    return starts.get(op, 0)


def compile(program: Program) -> Compiled:
    """The program, run by interpreting it."""
    return Compiled(program)


class Compiled:
    """A program and its interpreter."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __call__(
        self, values: Mapping[str, Array], seed: int = 0, step: int = 0
    ) -> dict[str, Array]:
        run = Run(self.program, values, seed, step)
        with np.errstate(all="ignore"):
            run.statements(self.program.statements, {})
        updated = {
            a.target.tensor
            for a in flat(self.program.statements)
            if a.target.tensor.kind is not Kind.VALUE
        }
        return {t.name: run.arrays[t] for t in (*self.program.outputs, *updated)}


class Run:
    """One run of a program: the arrays of its tensors."""

    def __init__(self, program: Program, values: Mapping[str, Array], seed: int, step: int) -> None:
        self.seed = seed
        self.step = step
        self.arrays: dict[Tensor, Array] = {
            t: np.array(values[t.name], t.dtype.numpy) for t in program.inputs
        }
        for a in flat(program.statements):
            t = a.target.tensor
            if t not in self.arrays:
                self.arrays[t] = np.full(t.storage, initial(a.op, t.dtype), t.dtype.numpy)
        for t in program.outputs:
            self.arrays.setdefault(t, np.zeros(t.storage, t.dtype.numpy))

    def statements(self, statements: tuple[Statement, ...], outer: dict[Index, int]) -> None:
        for s in statements:
            if isinstance(s, Scan):
                steps = range(s.index.size)
                for at in reversed(steps) if s.backwards else steps:
                    self.statements(s.body, {**outer, s.index: at})
            else:
                Execution(self, s, outer).run()


class Execution:
    """One assignment at one step of the scans around it."""

    def __init__(self, run: Run, a: Assign, outer: dict[Index, int]) -> None:
        self.arrays = run.arrays
        self.seed, self.step = run.seed, run.step
        self.a = a
        self.outer = outer

    def run(self) -> None:
        a = self.a
        indices = tuple(i for i in (*target_indices(a), *a.over) if i not in self.outer)
        rows = grid(indices, self.outer)
        if a.condition is not None:
            rows = select(rows, self.evaluate(a.condition, rows))
        value = self.evaluate(a.value, rows)
        places, kept = self.places(a.target, rows, store=True)
        rows, value = select(rows, kept), value[kept]
        self.store(tuple(p[kept] for p in places), value, rows)

    def store(self, places: tuple[Array, ...], value: Array, rows: Rows) -> None:
        target, op = self.arrays[self.a.target.tensor], self.a.op
        if not places:  # ufunc.at wants an axis
            target, places = target.reshape(1), (np.zeros(len(value), np.int64),)
        if op is Op.SET:
            target[places] = value
        elif op in ACCUMULATE:
            ACCUMULATE[op].at(target, places, value)
        else:
            self.store_winners(target, places, value, rows)

    def store_winners(
        self, target: Array, places: tuple[Array, ...], value: Array, rows: Rows
    ) -> None:
        """argmax= and argmin=: the row-major position of the first winner of each target."""
        best: dict[tuple[int, ...], Any] = {}
        better = operator.gt if self.a.op is Op.ARGMAX else operator.lt
        position = np.zeros(len(value), np.int64)
        for index in self.a.over:
            position = position * index.size + rows[index]
        for n, v in enumerate(value):
            at = tuple(int(p[n]) for p in places)
            new = at not in best or better(v, best[at])
            if new or (v != v and best[at] == best[at]):  # the first NaN wins, as in NumPy
                best[at] = v
                target[at] = position[n]

    # Expressions ---------------------------------------------------------------------------------

    def evaluate(self, e: Expr, rows: Rows, arguments: Mapping[str, Array] | None = None) -> Array:
        """The value of e in each row."""
        n = length(rows)
        dtype = e.dtype.default.numpy if isinstance(e.dtype, Weak) else e.dtype.numpy
        match e:
            case Const():
                return np.full(n, e.value, dtype)
            case IndexValue():
                return rows[e.index].astype(dtype)
            case Argument():
                assert arguments is not None
                return arguments[e.name]
            case Load():
                return self.load(e, rows)
            case Cast():
                return self.evaluate(e.argument, rows, arguments).astype(dtype)
            case Random():
                return self.random(e, rows)
            case Apply(function=P.WHERE):
                return self.where(e, rows, arguments)
            case Apply(function=Own() as own):
                args = [self.evaluate(a, rows, arguments) for a in e.args]
                inner = dict(zip(own.parameters, args, strict=True))
                return self.evaluate(own.body, rows, inner)
            case Apply(function=P() as primitive):
                args = [self.evaluate(settled(a), rows, arguments) for a in e.args]
                return np.asarray(FUNCTIONS[primitive](*args)).astype(dtype)
            case Reduce():
                return self.reduce(e, rows).astype(dtype)
        raise TypeError(f"not an expression: {e!r}")

    def where(self, e: Apply, rows: Rows, arguments: Mapping[str, Array] | None) -> Array:
        condition = self.evaluate(e.args[0], rows, arguments)
        dtype = e.dtype.default if isinstance(e.dtype, Weak) else e.dtype
        out = np.zeros(len(condition), dtype.numpy)
        for chosen, branch in ((condition, e.args[1]), (~condition, e.args[2])):
            inner = None if arguments is None else {k: v[chosen] for k, v in arguments.items()}
            out[chosen] = self.evaluate(branch, select(rows, chosen), inner)
        return out

    def load(self, e: Load, rows: Rows) -> Array:
        places, inside = self.places(e, rows, store=False)
        array = self.arrays[e.tensor]
        out = np.zeros(length(rows), array.dtype)
        out[inside] = array[tuple(p[inside] for p in places)]
        for s, p, n in zip(e.subscripts, places, array.shape, strict=True):
            if isinstance(s, Pad):
                out[(p < 0) | (p >= n)] = (
                    s.value
                )  # where several axes are outside, the last decides
        return out

    def places(self, e: Load, rows: Rows, store: bool) -> tuple[tuple[Array, ...], Array]:
        """The array index on each axis in each row, and which rows are not on a padded element."""
        inside = np.ones(length(rows), bool)
        places = []
        for axis, s in enumerate(e.subscripts):
            first, last = e.tensor.bounds(axis)
            at = self.position(s, rows)
            if isinstance(s, Pad):
                at = at - s.low
                inside &= (at >= first) & (at <= last)
            elif isinstance(s, Expr):
                self.check(e, axis, at, rows)
            places.append(at - first)
        return tuple(places), inside

    def check(self, e: Load, axis: int, at: Array, rows: Rows) -> None:
        first, last = e.tensor.bounds(axis)
        bad = np.flatnonzero((at < first) | (at > last))
        if len(bad):
            setting = {index: int(v[bad[0]]) for index, v in rows.items()}
            raise out_of_range(self.a, e, axis, setting, int(at[bad[0]]))

    def position(self, s: Subscript, rows: Rows) -> Array:
        match s:
            case Affine():
                total = np.full(length(rows), s.offset, np.int64)
                for atom, coefficient in s.terms:
                    total = total + coefficient * self.atom(atom, rows)
                return total
            case Pad():
                return self.position(s.position, rows)
        return self.evaluate(s, rows).astype(np.int64)

    def atom(self, atom: Atom, rows: Rows) -> Array:
        if isinstance(atom, Index):
            return rows[atom]
        inner = self.position(atom.affine, rows)
        return inner // atom.divisor if isinstance(atom, Quotient) else inner % atom.divisor

    def random(self, e: Random, rows: Rows) -> Array:
        linear = np.zeros(length(rows), np.uint64)
        for index in e.indices:
            linear = linear * np.uint64(index.size) + rows[index].astype(np.uint64)
        low = (linear & np.uint64(philox.MASK)).astype(np.uint32)
        high = (linear >> np.uint64(32)).astype(np.uint32)
        key = tuple(np.uint32(k) for k in philox.split_seed(self.seed))
        step = np.uint32(self.step & philox.MASK)
        words = philox.field_words(np, (key[0], key[1]), step, e.place, low, high)
        dtype = e.dtype.default if isinstance(e.dtype, Weak) else e.dtype
        if e.distribution is Distribution.UNIFORM:
            return np.asarray(philox.uniform(np, words, dtype))
        return np.asarray(philox.normal(np, words, dtype, np.float64))

    # Reductions ----------------------------------------------------------------------------------

    def reduce(self, e: Reduce, rows: Rows) -> Array:
        """The reduction in each row: all settings of its indices, one row at a time."""
        out = []
        dtype = e.dtype.default if isinstance(e.dtype, Weak) else e.dtype
        for n in range(length(rows)):
            here = {index: int(v[n]) for index, v in rows.items() if index not in e.indices}
            inner = grid(e.indices, here)
            mine = length(inner) * [True]
            if e.reduction.keeps_indices:
                mine = list(np.all([inner[i] == rows[i][n] for i in e.indices], axis=0))
            if e.condition is not None:
                chosen = self.evaluate(e.condition, inner)
                inner, mine = (
                    select(inner, chosen),
                    [m for m, c in zip(mine, chosen, strict=True) if c],
                )
            values = self.evaluate(e.body, inner)
            if len(values) == 0 or not any(mine):
                out.append(identity(e.reduction, dtype))
            elif e.reduction.keeps_indices:
                out.append(REDUCTIONS[e.reduction](values)[mine.index(True)])
            else:
                out.append(REDUCTIONS[e.reduction](values))
        return np.array(out, dtype.numpy).reshape(length(rows))


def grid(indices: tuple[Index, ...], outer: Mapping[Index, int]) -> Rows:
    """All settings of the indices, in row-major order, with the outer indices as they are."""
    shape = tuple(i.size for i in indices)
    n = math.prod(shape)
    axes = np.unravel_index(np.arange(n), shape) if shape else ()
    rows = {i: np.asarray(a, np.int64) for i, a in zip(indices, axes, strict=True)}
    rows |= {i: np.full(n, at, np.int64) for i, at in outer.items()}
    return rows or {Index("", 1): np.zeros(1, np.int64)}


def length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def select(rows: Rows, chosen: Array) -> Rows:
    return {index: values[chosen] for index, values in rows.items()}
