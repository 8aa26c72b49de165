"""Initial values of parameters, with fans read off the equations.

A parameter's fan-in is the product of the sizes of its summed indices in the first equation that
uses it: right for linear layers, convolutions and attention without a rule for each. The default is
He's (2015): normal, mean 0, variance 2 / fan-in.
"""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

import numpy as np

from phistar.errors import DefinitionError, ShapeError
from phistar.ir.primitives import Reduction
from phistar.ir.program import Kind
from phistar.language.equations import Equation
from phistar.language.expression import Element, Expr, Index, Reduced
from phistar.language.tensors import Parameter


def note_fans(equation: Equation) -> None:
    """Remember the fans of parameters that are used here for the first time."""
    stack: list[tuple[Expr, frozenset[Index]]] = [(equation.value, frozenset())]
    while stack:
        node, summed = stack.pop()
        if isinstance(node, Reduced) and node.reduction is Reduction.SUM:
            summed = summed | frozenset(node.indices)
        if isinstance(node, Element) and isinstance(node.target, Parameter):
            set_fans(node.target, node, summed, equation)
        stack.extend((child, summed) for child in node.children)


def set_fans(
    parameter: Parameter, element: Element, summed: frozenset[Index], equation: Equation
) -> None:
    shape = parameter.definition.shape
    if parameter.fan_in is not None or shape is None:
        return
    own = frozenset(element.free.values())
    parameter.fan_in = math.prod(equation.sizes[i] for i in own & summed)
    parameter.fan_out = math.prod(equation.sizes[i] for i in own - summed)


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
    init = parameter.init
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
