"""Programs as text, in the notation their user writes, with every sum written out.

    h[b, j] = relu(Σ_i W0[j, i] * x[b, i] + b0[j])

The parser reads it back. Printers pass precedence down as an argument, one more for the right
operand; a Σ reaches over the product that follows it and so binds like a product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from phistar.ir.dtypes import DType
from phistar.ir.primitives import REDUCTION_OF, Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Assign,
    Atom,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Load,
    Own,
    Pad,
    Program,
    Quotient,
    Random,
    Reduce,
    Remainder,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.walk import all_indices, flat, nodes

COMPARE, OR, AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(1, 9)
# fmt: off
INFIX: dict[Primitive, tuple[str, int]] = {
    Primitive.LESS:      ("<", COMPARE),   Primitive.LESS_EQUAL:    ("<=", COMPARE),
    Primitive.GREATER:   (">", COMPARE),   Primitive.GREATER_EQUAL: (">=", COMPARE),
    Primitive.OR:        ("|", OR),        Primitive.AND:           ("&", AND),
    Primitive.ADD:       ("+", SUM),       Primitive.SUB:           ("-", SUM),
    Primitive.MUL:       ("*", PRODUCT),   Primitive.DIV:           ("/", PRODUCT),
    Primitive.FLOOR_DIV: ("//", PRODUCT),  Primitive.MOD:           ("%", PRODUCT),
}
# fmt: on
PREFIX = {Primitive.NEG: "-", Primitive.NOT: "~"}


# Expressions --------------------------------------------------------------------------------------


def print_expr(e: Expr, context: int = 0) -> str:
    """Text of e, in parentheses if it binds less tightly than its context asks."""
    match e:
        case Const():
            return print_const(e, context)
        case IndexValue():
            return e.index.name
        case Argument():
            return e.name
        case Load():
            return print_load(e)
        case Random():
            place = f"#{e.place}" if e.place else ""
            return f"{e.distribution.value}{place}[{comma(i.name for i in e.indices)}]"
        case Cast(implicit=True):
            return print_expr(e.argument, context)
        case Cast():
            return f'cast({print_expr(e.argument)}, "{e.dtype.value}")'
        case Reduce(reduction=Reduction.SUM):
            text = f"{print_sum(e.indices, e.condition)} {print_expr(e.body, PRODUCT)}"
            return parenthesize(text, PRODUCT, context)
        case Reduce():
            return print_reduction(e.reduction, e.indices, e.condition, e.body)
        case Apply():
            return print_apply(e, context)
    raise TypeError(f"not an expression: {e!r}")


def print_const(e: Const, context: int) -> str:
    text = repr(e.value)
    negative = not isinstance(e.value, bool) and text.startswith("-")
    return parenthesize(text, UNARY if negative else ATOM, context)


def print_apply(e: Apply, context: int) -> str:
    function, args = e.function, e.args
    if isinstance(function, Primitive) and function in INFIX:
        symbol, precedence = INFIX[function]
        # Infix operators group to the left, so the right operand must bind more tightly; a Σ on
        # the left would swallow what follows it, so it is put in parentheses inside a product.
        left = precedence + 1 if precedence == PRODUCT and starts_with_sum(args[0]) else precedence
        text = f"{print_expr(args[0], left)} {symbol} {print_expr(args[1], precedence + 1)}"
        return parenthesize(text, precedence, context)
    if function is Primitive.POW:
        text = f"{print_expr(args[0], ATOM)} ** {print_expr(args[1], UNARY)}"
        return parenthesize(text, POWER, context)
    if function is Primitive.NEG and isinstance(args[0], Const) and args[0].value >= 0:
        return parenthesize(f"-({print_expr(args[0])})", UNARY, context)  # -1 is a literal
    if isinstance(function, Primitive) and function in PREFIX:
        text = f"{PREFIX[function]}{print_expr(args[0], UNARY)}"
        return parenthesize(text, UNARY, context)
    return f"{function.spelling}({comma(print_expr(a) for a in args)})"


def starts_with_sum(e: Expr) -> bool:
    """Whether the text of e, without parentheses, starts with a Σ."""
    while True:
        match e:
            case Reduce(reduction=Reduction.SUM):
                return True
            case Cast(implicit=True):
                e = e.argument
            case Apply(function=Primitive() as f) if f in INFIX and INFIX[f][1] == PRODUCT:
                e = e.args[0]
            case _:
                return False


def parenthesize(text: str, precedence: int, context: int) -> str:
    return f"({text})" if precedence < context else text


def comma(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def print_domain(indices: tuple[Index, ...], condition: Expr | None) -> str:
    names = comma(i.name for i in indices)
    return names if condition is None else f"{names} : {print_expr(condition)}"


def print_sum(indices: tuple[Index, ...], condition: Expr | None) -> str:
    domain = print_domain(indices, condition)
    return f"Σ_{domain}" if len(indices) == 1 and condition is None else f"Σ_{{{domain}}}"


def print_reduction(
    reduction: Reduction, indices: tuple[Index, ...], condition: Expr | None, body: Expr
) -> str:
    return f"{reduction.spelling}[{print_domain(indices, condition)}]({print_expr(body)})"


# Loads and subscripts -----------------------------------------------------------------------------


def print_load(e: Load) -> str:
    if not e.subscripts:
        return e.tensor.name
    inside = comma(print_subscript(s, e.tensor, n) for n, s in enumerate(e.subscripts))
    return f"{e.tensor.name}[{inside}]"


def print_subscript(s: Subscript, tensor: Tensor, axis: int) -> str:
    match s:
        case Affine():
            return print_position(s, tensor, axis)
        case Pad():
            value = f", value={s.value!r}" if s.value != 0 else ""
            high = f", {s.high}" if s.high != s.low else ""
            return f"pad({print_affine(s.position)}, {s.low}{high}{value})"
    return print_expr(s)


def print_position(s: Affine, tensor: Tensor, axis: int) -> str:
    """An affine subscript; a constant in the halo is told from the nearer end."""
    if s.group:
        return f"({comma(atom.name for atom, _ in s.terms if isinstance(atom, Index))})"
    size = tensor.shape[axis]
    if not s.terms and s.offset < 0:
        return f"first - {-s.offset}"
    if not s.terms and s.offset >= size and tensor.halo:
        return f"last + {s.offset - size + 1}"
    return print_affine(s)


def print_affine(a: Affine) -> str:
    text = ""
    for atom, coefficient in a.terms:
        size = abs(coefficient)
        term = print_atom(atom, size != 1)
        term = term if size == 1 else f"{size}*{term}"
        text += joined(term, coefficient < 0, bool(text))
    if a.offset or not text:
        text += joined(str(abs(a.offset)), a.offset < 0, bool(text))
    return text


def joined(term: str, negative: bool, later: bool) -> str:
    if not later:
        return f"-{term}" if negative else term
    return f" - {term}" if negative else f" + {term}"


def print_atom(atom: Atom, factor: bool) -> str:
    match atom:
        case Index():
            return atom.name
        case Quotient():
            text = f"{print_inner(atom.affine)}//{atom.divisor}"
        case Remainder():
            text = f"{print_inner(atom.affine)}%{atom.divisor}"
    return f"({text})" if factor else text


def print_inner(a: Affine) -> str:
    return a.bare.name if a.bare is not None else f"({print_affine(a)})"


# Statements ---------------------------------------------------------------------------------------


def print_assign(a: Assign) -> str:
    """target op value, without ranges and notes."""
    return f"{print_load(a.target)} {a.op.value} {print_right(a)}"


def print_right(a: Assign) -> str:
    if a.op is Op.ADD and a.over:
        return f"{print_sum(a.over, a.condition)} {print_expr(a.value, PRODUCT)}"
    if a.op in REDUCTION_OF and a.over:
        return print_reduction(REDUCTION_OF[a.op], a.over, a.condition, a.value)
    condition = "" if a.condition is None else f" if {print_expr(a.condition)}"
    return f"{print_expr(a.value)}{condition}"


def print_statement(s: Statement, ranges: dict[str, int] | None = None, indent: str = "") -> str:
    """A statement; with `ranges`, indices whose sizes differ from it are told at the end."""
    if isinstance(s, Scan):
        way = " backwards" if s.backwards else ""
        head = f"{indent}scan {s.index.name}{way}{print_ranges([s.index], ranges)}:"
        body = [print_statement(inner, ranges, indent + "    ") for inner in s.body]
        return "\n".join([head, *body])
    note = f"  # {s.note}" if s.note else ""
    return f"{indent}{print_assign(s)}{print_ranges(indices_of(s), ranges)}{note}"


def print_ranges(indices: Iterable[Index], ranges: dict[str, int] | None) -> str:
    if ranges is None:
        return ""
    different = [i for i in dict.fromkeys(indices) if ranges.get(i.name) != i.size]
    return " for " + comma(f"{i.name} < {i.size}" for i in different) if different else ""


def indices_of(a: Assign) -> Iterator[Index]:
    """Every index an assignment mentions, bound ones too."""
    yield from all_indices(a)
    for e in (a.value, a.target, *([] if a.condition is None else [a.condition])):
        for node in nodes(e):
            yield from mentioned(node)


def mentioned(node: Expr) -> Iterator[Index]:
    from phistar.ir.walk import affine_indices

    match node:
        case IndexValue():
            yield node.index
        case Random() | Reduce():
            yield from node.indices
        case Load():
            for s in node.subscripts:
                if isinstance(s, Affine):
                    yield from affine_indices(s)
                elif isinstance(s, Pad):
                    yield from affine_indices(s.position)


def print_statements(what: Program | Iterable[Statement]) -> str:
    """The statements, one a line, without declarations."""
    statements = what.statements if isinstance(what, Program) else what
    return "\n".join(print_statement(s) for s in statements)


# Programs -----------------------------------------------------------------------------------------


def print_program(program: Program) -> str:
    """Declarations of everything, then the statements."""
    ranges = usual_ranges(program.statements)
    lines = [f"program {program.name}"]
    if ranges:
        lines.append("index " + comma(f"{n} < {size}" for n, size in ranges.items()))
    lines += [f"{t.kind.value} {declare(t)}" for t in program.inputs]
    inputs = set(program.inputs)
    lines += [f"{t.kind.value} {declare(t)}" for t in tensors_of(program) if t not in inputs]
    lines += [line for own in own_functions(program) for line in define(own)]
    if program.outputs:
        lines.append("output " + comma(t.name for t in program.outputs))
    lines.append("")
    lines += [print_statement(s, ranges) for s in program.statements]
    return "\n".join(lines)


def usual_ranges(statements: tuple[Statement, ...]) -> dict[str, int]:
    """The most frequent range of each index name."""
    found: dict[str, Counter[int]] = {}
    for index in every_index(statements):
        found.setdefault(index.name, Counter())[index.size] += 1
    return {name: counter.most_common(1)[0][0] for name, counter in found.items()}


def every_index(statements: Iterable[Statement]) -> Iterator[Index]:
    for s in statements:
        if isinstance(s, Scan):
            yield s.index
            yield from every_index(s.body)
        else:
            yield from dict.fromkeys(indices_of(s))


def tensors_of(program: Program) -> Iterator[Tensor]:
    """Every tensor of a program, each once."""
    seen: dict[Tensor, None] = {}
    for a in flat(program.statements):
        for e in (a.target, a.value, *([] if a.condition is None else [a.condition])):
            for node in nodes(e):
                if isinstance(node, Load):
                    seen[node.tensor] = None
    seen.update(dict.fromkeys(program.outputs))
    yield from seen


def declare(t: Tensor) -> str:
    shape = comma(map(str, t.shape))
    halo = comma(f"{low}:{high}" for low, high in t.halo)
    return f"{t.name}[{shape}] {t.dtype.value}" + (f" halo[{halo}]" if t.halo else "")


def own_functions(program: Program) -> Iterator[Own]:
    seen: dict[Own, None] = {}
    for a in flat(program.statements):
        for e in (a.value, *([] if a.condition is None else [a.condition])):
            for node in nodes(e):
                if isinstance(node, Apply) and isinstance(node.function, Own):
                    seen[node.function] = None
    yield from seen


def define(own: Own) -> Iterator[str]:
    """def f(x: f32) = body, and a line for each partial of the user's own."""
    types = argument_types(own)
    parameters = comma(f"{p}: {types.get(p, DType.F32).value}" for p in own.parameters)
    yield f"def {own.spelling}({parameters}) = {print_expr(own.body)}"
    for parameter, partial in zip(own.parameters, own.partials or (), strict=False):
        yield f"    d/d{parameter} = {print_expr(partial)}"


def argument_types(own: Own) -> dict[str, DType]:
    found: dict[str, DType] = {}
    for e in (own.body, *(own.partials or ())):
        for node in nodes(e):
            if isinstance(node, Argument) and isinstance(node.dtype, DType):
                found[node.name] = node.dtype
    return found
