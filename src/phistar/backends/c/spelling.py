"""What each primitive is in C: an operator, or a function of `runtime/mathematics.h`.

Every spelling is parenthesized whole. 16-bit floats are floats that are rounded after each step.
"""

import math

import numpy as np

from phistar.ir.dtypes import AnyType, DType, Weak
from phistar.ir.primitives import Primitive as P
from phistar.ir.primitives import Typing

# fmt: off
C_TYPES = {  # in memory
    DType.BOOL: "uint8_t",  DType.U8:   "uint8_t",   DType.I8:  "int8_t",  DType.I16: "int16_t",
    DType.I32:  "int32_t",  DType.I64:  "int64_t",   DType.F16: "uint16_t",
    DType.BF16: "uint16_t", DType.F32:  "float",     DType.F64: "double",
}
HALVES = {DType.F16: "half", DType.BF16: "bfloat"}
INFIX = {
    P.ADD: "+", P.SUB: "-", P.MUL: "*", P.LESS: "<", P.LESS_EQUAL: "<=", P.GREATER: ">",
    P.GREATER_EQUAL: ">=", P.EQUAL: "==", P.NOT_EQUAL: "!=", P.AND: "&&", P.OR: "||",
}
# fmt: on
FUNCTIONS = frozenset(P) - set(INFIX) - {P.DIV, P.NEG, P.NOT, P.WHERE, P.STOP_GRADIENT}


def strong(dtype: AnyType) -> DType:
    return dtype.default if isinstance(dtype, Weak) else dtype


def c_type(dtype: DType) -> str:
    """The type of a number in a register."""
    return "float" if dtype in HALVES else C_TYPES[dtype]


def rounded(text: str, dtype: DType) -> str:
    """The result of an operation as a number of its type: narrow types are cut or rounded."""
    if dtype in HALVES:
        half = HALVES[dtype]
        return f"{half}_to_float(float_to_{half}({text}))"
    if dtype.is_integer and dtype not in (DType.I32, DType.I64):
        return f"(({C_TYPES[dtype]}){text})"
    return text


def spell(function: P, args: tuple[str, ...], operands: DType, result: DType) -> str:
    """The function of its arguments, which have type `operands` (WHERE: its branches)."""
    if function in INFIX:
        text = f"({args[0]} {INFIX[function]} {args[1]})"
    elif function is P.DIV:
        text = f"({args[0]} / {args[1]})"
    elif function is P.NEG:
        text = f"(-{args[0]})"
    elif function is P.NOT:
        return f"(!{args[0]})"
    elif function is P.STOP_GRADIENT:
        return args[0]
    elif function is P.WHERE:
        return f"({args[0]} ? {args[1]} : {args[2]})"
    else:
        suffix = "f32" if operands in HALVES else operands.value
        text = f"{function.spelling}_{suffix}({', '.join(args)})"
    return text if function.typing in (Typing.COMPARE, Typing.LOGIC) else rounded(text, result)


def literal(value: float | int | bool, dtype: DType) -> str:
    """A number as C writes it."""
    if dtype.is_bool:
        return "1" if value else "0"
    if dtype.is_integer:
        wrapped = int(np.array(int(value)).astype(dtype.numpy))
        if dtype is DType.I64:
            return f"INT64_C({wrapped})" if wrapped > -(2**63) else "INT64_MIN"
        return f"(({C_TYPES[dtype]}){wrapped})" if wrapped < 0 else str(wrapped)
    number = float(np.array(value).astype(dtype.numpy))
    suffix = "" if dtype is DType.F64 else "f"
    if math.isnan(number):
        return "NAN" if suffix else "((double)NAN)"
    if math.isinf(number):
        return "INFINITY" if number > 0 else "(-INFINITY)"
    text = repr(number)
    return f"({text}{suffix})" if number < 0 or text.startswith("-") else f"{text}{suffix}"


def converted(text: str, source: DType, target: DType) -> str:
    """A number of one type as a number of another, as NumPy's astype converts."""
    if source is target:
        return text
    if target.is_bool:
        return f"({text} != 0)"
    if source.is_float and target in (DType.U8, DType.I8, DType.I16):
        return f"(({C_TYPES[target]})(int32_t){text})"
    if target in HALVES:
        return rounded(f"(float){text}", target)
    return f"(({c_type(target)}){text})"


def stored(text: str, dtype: DType) -> str:
    """A number as it is written to memory."""
    return f"float_to_{HALVES[dtype]}({text})" if dtype in HALVES else text


def fetched(text: str, dtype: DType) -> str:
    """A number that was read from memory."""
    return f"{HALVES[dtype]}_to_float({text})" if dtype in HALVES else text
