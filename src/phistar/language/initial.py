"""Initial values of parameters, with fans read off the equations.

In the first equation that uses a parameter W, beside what is given from outside (x):

    fan-in:  how many products are summed in it, the sizes of W's indices that are summed with x
    fan-out: how many are summed backwards for one element of x, the sizes of W's other indices, and
             of those at which x is read with an offset (a convolution's window)

This is right for linear layers, convolutions, groups, attention and tables without a rule for each.
The default is He's (2015): normal, mean 0, variance 2 / fan-in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np

from phistar.errors import DefinitionError, ShapeError
from phistar.ir.primitives import Primitive, Reduction
from phistar.ir.program import Kind
from phistar.language.equations import Equation, elements
from phistar.language.expression import Call, CastTo, Element, Expr, Index, Reduced
from phistar.language.subscripts import Padded
from phistar.language.tensors import Parameter

Indices = frozenset[Index]
Beside = tuple[Expr, ...]  # the other factors of a product

# A sum goes through these: W is summed in Σ_i W[j, i] / 2 * x[i], but not in Σ_j relu(W[j, i]).
THROUGH = frozenset({Primitive.ADD, Primitive.SUB, Primitive.NEG, Primitive.DIV, Primitive.WHERE})


def note_fans(equation: Equation) -> None:
    """Remember the fans of parameters that are used here for the first time."""
    stack: list[tuple[Expr, Indices, Beside]] = [(equation.value, frozenset(), ())]
    while stack:
        node, summed, beside = stack.pop()
        if isinstance(node, Element) and isinstance(node.target, Parameter):
            set_fans(node.target, node, summed, beside, equation)
        stack.extend(parts(node, summed, beside))


def parts(node: Expr, summed: Indices, beside: Beside) -> Iterator[tuple[Expr, Indices, Beside]]:
    """The parts of an expression, each with the sums it stands in and what it is multiplied by."""
    match node:
        case Reduced(reduction=Reduction.SUM):
            yield node.body, summed | frozenset(node.indices), beside
        case Call(function=Primitive.MUL):
            for n, factor in enumerate(node.args):
                yield factor, summed, (*beside, *node.args[:n], *node.args[n + 1 :])
        case Call(function=Primitive() as f) if f in THROUGH:
            yield from ((child, summed, beside) for child in node.args)
        case CastTo():
            yield node.argument, summed, beside
        case _:
            yield from ((child, frozenset(), ()) for child in node.children)


def set_fans(
    parameter: Parameter, element: Element, summed: Indices, beside: Beside, equation: Equation
) -> None:
    shape = parameter.definition.shape
    if parameter.fan_in is not None or shape is None:
        return
    own = indices_in(element)
    outside = [
        e
        for factor in beside
        for e in elements(factor)
        if not (isinstance(e.target, Parameter) and e.target.kind is Kind.PARAMETER)
    ]
    met = frozenset(i for e in outside for i in indices_in(e))
    inputs = (own & summed & met) or (own & summed)
    fixed = frozenset(i for e in outside for i in standing_alone(e)) | (inputs - met)
    parameter.fan_in = math.prod(equation.sizes[i] for i in inputs)
    parameter.fan_out = math.prod(equation.sizes[i] for i in own - fixed)


def indices_in(element: Element) -> Indices:
    """The indices that run along an element's axes: not those inside a gather, E[word[b, t], d]."""
    along = [e for e in element.children if next(elements(e), None) is None]
    return frozenset(i for e in along for i in e.free.values())


def standing_alone(element: Element) -> Iterator[Index]:
    """The indices that an element's position tells: x[b, (g, c), 2 * p + r] tells b, g and c."""
    for s in element.subscripts:
        position = s.position if isinstance(s, Padded) else s
        if isinstance(position, Index):
            yield position
        elif isinstance(position, tuple):
            yield from position


def materialize(parameter: Parameter, seed: int) -> None:
    """Give a parameter its initial value: a pure function of the seed and its name."""
    shape = parameter.definition.shape
    if shape is None:
        raise DefinitionError(
            f"{parameter.shown_name} has no shape yet: "
            "it comes from the first equation that uses it"
        )
    rng = np.random.Generator(np.random.Philox(key=[seed, crc32(parameter.name.encode())]))
    array = np.asarray(initial_value(parameter, shape, rng), parameter.dtype.numpy)
    if array.shape != shape:
        raise ShapeError(
            f"the initial value of {parameter.shown_name} has shape {array.shape}, "
            f"but {parameter.shown_name} has shape {shape}"
        )
    parameter.data = array
    parameter.version += 1


def initial_value(parameter: Parameter, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    init = parameter.init() if isinstance(parameter.init, type) else parameter.init
    fan_in = parameter.fan_in
    if fan_in is None:  # no equation has used it: all axes but the first are summed in a layer
        fan_in = math.prod(shape[1:])
    if callable(init):
        return init(rng, shape, fan_in, parameter.fan_out or math.prod(shape[:1]))
    if isinstance(init, int | float):
        return np.full(shape, init)
    if init is not None:
        return np.array(init)
    if parameter.kind is Kind.STATE:
        return np.zeros(shape)
    return rng.normal(0.0, math.sqrt(2.0 / max(fan_in, 1)), shape)
