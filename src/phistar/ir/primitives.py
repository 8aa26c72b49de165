"""The closed lists that every table of rules in phistar is keyed by: primitives and reductions."""

from enum import Enum


class Typing(Enum):
    """How the type of a primitive's result follows from its arguments'."""

    NUMBER = "number"  # the arguments' common type, truth values excluded
    FLOAT = "float"  # the arguments' common float type; integers become f32
    COMPARE = "compare"  # the arguments share a type; the result is a truth value
    LOGIC = "logic"  # truth values in, truth value out
    TEST = "test"  # a float in, a truth value out
    CHOICE = "choice"  # a truth value and two of one type, which is the result's
    SAME = "same"  # whatever the argument is


class Primitive(Enum):
    """A scalar function of `arity` numbers; what it means is in the rule tables."""

    ADD = ("add", 2, Typing.NUMBER)
    SUB = ("sub", 2, Typing.NUMBER)
    MUL = ("mul", 2, Typing.NUMBER)
    DIV = ("div", 2, Typing.FLOAT)
    FLOOR_DIV = ("floor_div", 2, Typing.NUMBER)
    MOD = ("mod", 2, Typing.NUMBER)
    POW = ("pow", 2, Typing.NUMBER)
    NEG = ("neg", 1, Typing.NUMBER)
    ABS = ("abs", 1, Typing.NUMBER)
    EXP = ("exp", 1, Typing.FLOAT)
    EXPM1 = ("expm1", 1, Typing.FLOAT)
    LOG = ("log", 1, Typing.FLOAT)
    LOG1P = ("log1p", 1, Typing.FLOAT)
    SQRT = ("sqrt", 1, Typing.FLOAT)
    RSQRT = ("rsqrt", 1, Typing.FLOAT)
    SQUARE = ("square", 1, Typing.NUMBER)
    RECIPROCAL = ("reciprocal", 1, Typing.FLOAT)
    SIN = ("sin", 1, Typing.FLOAT)
    COS = ("cos", 1, Typing.FLOAT)
    TAN = ("tan", 1, Typing.FLOAT)
    TANH = ("tanh", 1, Typing.FLOAT)
    ARCSIN = ("arcsin", 1, Typing.FLOAT)
    ARCCOS = ("arccos", 1, Typing.FLOAT)
    ARCTAN = ("arctan", 1, Typing.FLOAT)
    SINH = ("sinh", 1, Typing.FLOAT)
    COSH = ("cosh", 1, Typing.FLOAT)
    ERF = ("erf", 1, Typing.FLOAT)
    ERFC = ("erfc", 1, Typing.FLOAT)
    SIGMOID = ("sigmoid", 1, Typing.FLOAT)
    LOG_SIGMOID = ("log_sigmoid", 1, Typing.FLOAT)
    SOFTPLUS = ("softplus", 1, Typing.FLOAT)
    RELU = ("relu", 1, Typing.NUMBER)
    RELU6 = ("relu6", 1, Typing.NUMBER)
    LEAKY_RELU = ("leaky_relu", 2, Typing.FLOAT)  # x, slope
    ELU = ("elu", 2, Typing.FLOAT)  # x, alpha
    SELU = ("selu", 1, Typing.FLOAT)
    CELU = ("celu", 2, Typing.FLOAT)  # x, alpha
    GELU = ("gelu", 1, Typing.FLOAT)  # x Φ(x), by erf
    GELU_TANH = ("gelu_tanh", 1, Typing.FLOAT)
    SILU = ("silu", 1, Typing.FLOAT)
    MISH = ("mish", 1, Typing.FLOAT)
    HARD_SIGMOID = ("hard_sigmoid", 1, Typing.FLOAT)  # relu6(x + 3) / 6
    HARD_SWISH = ("hard_swish", 1, Typing.FLOAT)  # x relu6(x + 3) / 6
    SOFTSIGN = ("softsign", 1, Typing.FLOAT)
    HARDTANH = ("hardtanh", 1, Typing.NUMBER)
    SIGN = ("sign", 1, Typing.NUMBER)
    FLOOR = ("floor", 1, Typing.NUMBER)
    CEIL = ("ceil", 1, Typing.NUMBER)
    ROUND = ("round", 1, Typing.NUMBER)
    MAXIMUM = ("maximum", 2, Typing.NUMBER)
    MINIMUM = ("minimum", 2, Typing.NUMBER)
    CLIP = ("clip", 3, Typing.NUMBER)  # x, low, high
    WHERE = ("where", 3, Typing.CHOICE)
    ISNAN = ("isnan", 1, Typing.TEST)
    ISINF = ("isinf", 1, Typing.TEST)
    LESS = ("less", 2, Typing.COMPARE)
    LESS_EQUAL = ("less_equal", 2, Typing.COMPARE)
    GREATER = ("greater", 2, Typing.COMPARE)
    GREATER_EQUAL = ("greater_equal", 2, Typing.COMPARE)
    EQUAL = ("equal", 2, Typing.COMPARE)
    NOT_EQUAL = ("not_equal", 2, Typing.COMPARE)
    AND = ("and", 2, Typing.LOGIC)
    OR = ("or", 2, Typing.LOGIC)
    NOT = ("not", 1, Typing.LOGIC)
    STOP_GRADIENT = ("stop_gradient", 1, Typing.SAME)

    def __init__(self, spelling: str, arity: int, typing: Typing) -> None:
        self.spelling = spelling
        self.arity = arity
        self.typing = typing

    def __repr__(self) -> str:
        return self.spelling


class Reduction(Enum):
    """A function of all values an expression takes while its indices run."""

    SUM = ("sum", False)
    PROD = ("prod", False)
    MAX = ("max", False)
    MIN = ("min", False)
    MEAN = ("mean", False)
    ANY = ("any", False)
    ALL = ("all", False)
    ARGMAX = ("argmax", False)  # the row-major position of the first winner among the indices
    ARGMIN = ("argmin", False)
    LOGSUMEXP = ("logsumexp", False)
    SOFTMAX = ("softmax", True)
    LOG_SOFTMAX = ("log_softmax", True)
    CUMSUM = ("cumsum", True)

    def __init__(self, spelling: str, keeps_indices: bool) -> None:
        self.spelling = spelling
        self.keeps_indices = keeps_indices

    def __repr__(self) -> str:
        return self.spelling


class Op(Enum):
    """How an assignment meets the value its target holds."""

    SET = "="
    ADD = "+="
    MUL = "*="
    MAX = "max="
    MIN = "min="
    ARGMAX = "argmax="
    ARGMIN = "argmin="

    def __repr__(self) -> str:
        return self.value


# The reduction that an accumulating assignment performs over the indices that are not on its left.
REDUCTION_OF: dict[Op, Reduction] = {
    Op.ADD: Reduction.SUM,
    Op.MUL: Reduction.PROD,
    Op.MAX: Reduction.MAX,
    Op.MIN: Reduction.MIN,
    Op.ARGMAX: Reduction.ARGMAX,
    Op.ARGMIN: Reduction.ARGMIN,
}
OP_OF: dict[Reduction, Op] = {reduction: op for op, reduction in REDUCTION_OF.items()}
