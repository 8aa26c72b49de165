"""Programs as LaTeX: one aligned line a statement, Σ as sums, fractions and roots as on paper."""

from __future__ import annotations

import re
from collections.abc import Iterable

from phistar.ir.primitives import REDUCTION_OF, Op, Primitive, Reduction
from phistar.ir.printer import print_affine
from phistar.ir.program import (
    Affine,
    Apply,
    Argument,
    Assign,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Load,
    Pad,
    Program,
    Random,
    Reduce,
    Scan,
    Statement,
    Subscript,
    Tensor,
)

P = Primitive
COMPARE, OR, AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(1, 9)
# fmt: off
INFIX: dict[Primitive, tuple[str, int]] = {
    P.LESS: ("<", COMPARE),           P.LESS_EQUAL: (r"\le", COMPARE),
    P.GREATER: (">", COMPARE),        P.GREATER_EQUAL: (r"\ge", COMPARE),
    P.EQUAL: ("=", COMPARE),          P.NOT_EQUAL: (r"\ne", COMPARE),
    P.OR: (r"\lor", OR),              P.AND: (r"\land", AND),
    P.ADD: ("+", SUM),                P.SUB: ("-", SUM),
    P.MUL: (r"\,", PRODUCT),          P.MOD: (r"\bmod", PRODUCT),
}
SIGNS = {
    Op.SET: "=", Op.ADD: r"\mathrel{+}=", Op.MUL: r"\mathrel{\cdot}=", Op.MAX: r"\mathrel{\max}=",
    Op.MIN: r"\mathrel{\min}=",
    Op.ARGMAX: r"\mathrel{\arg\max}=", Op.ARGMIN: r"\mathrel{\arg\min}=",
}
OPERATORS = {
    Reduction.SUM: r"\sum",  Reduction.PROD: r"\prod",  Reduction.MAX: r"\max",
    Reduction.MIN: r"\min",  Reduction.ARGMAX: r"\arg\max",  Reduction.ARGMIN: r"\arg\min",
}
# fmt: on
ESCAPES = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}  # fmt: skip
GREEK = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\epsilon",
    "η": r"\eta", "θ": r"\theta", "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi",
    "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\phi", "χ": r"\chi",
    "ψ": r"\psi", "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta",
    "Λ": r"\Lambda", "Σ": r"\Sigma", "Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega",
}  # fmt: skip


def latex_program(program: Program) -> str:
    """The statements as an align* environment."""
    rows = [row for s in program.statements for row in rows_of(s, 0)]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def latex_statement(s: Statement) -> str:
    """One statement as a formula (a scan: its rows, one below the other)."""
    rows = [row.replace("&", "", 1) for row in rows_of(s, 0)]
    if len(rows) == 1:
        return rows[0]
    return r"\begin{array}{l}" + r" \\ ".join(rows) + r"\end{array}"


def rows_of(s: Statement, depth: int) -> Iterable[str]:
    indent = r"\quad " * depth
    if isinstance(s, Scan):
        last = s.index.size - 1
        order = f"{last}, \\dots, 0" if s.backwards else f"0, \\dots, {last}"
        yield f"&{indent}\\text{{for }} {index_name(s.index)} = {order}:"
        for inner in s.body:
            yield from rows_of(inner, depth + 1)
    else:
        yield f"{indent}{latex_expr(s.target)} &{SIGNS[s.op]} {right(s)}"


def right(a: Assign) -> str:
    if a.over and a.op is not Op.SET:
        return big(REDUCTION_OF[a.op], a.over, a.condition, a.value)
    condition = "" if a.condition is None else rf" \quad \text{{if }} {latex_expr(a.condition)}"
    return f"{latex_expr(a.value)}{condition}"


def latex_expr(e: Expr, context: int = 0) -> str:
    """LaTeX of e, in parentheses if it binds less tightly than its context asks."""
    match e:
        case Const():
            return parenthesize(
                number(e.value), UNARY if str(e.value).startswith("-") else ATOM, context
            )
        case IndexValue():
            return index_name(e.index)
        case Argument():
            return name(e.name)
        case Load():
            return load(e)
        case Random():
            return rf"\mathrm{{{e.distribution.value}}}_{{{names(e.indices)}}}"
        case Cast():
            return latex_expr(e.argument, context)
        case Reduce():
            return parenthesize(big(e.reduction, e.indices, e.condition, e.body), PRODUCT, context)
        case Apply():
            return application(e, context)
    raise TypeError(f"not an expression: {e!r}")


def number(value: float | int | bool) -> str:
    if isinstance(value, bool):
        return rf"\text{{{str(value).lower()}}}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = text.replace("inf", r"\infty").replace("nan", r"\mathrm{NaN}")
    return re.sub(r"e([-+]?)0*(\d+)", lambda m: rf" \cdot 10^{{{m[1].strip('+')}{m[2]}}}", text)


def application(e: Apply, context: int) -> str:
    function, args = e.function, e.args
    match function:
        case P() if function in INFIX:
            sign, precedence = INFIX[function]
            text = f"{latex_expr(args[0], precedence)} {sign} {latex_expr(args[1], precedence + 1)}"
            return parenthesize(text, precedence, context)
        case P.DIV:
            return rf"\frac{{{latex_expr(args[0])}}}{{{latex_expr(args[1])}}}"
        case P.FLOOR_DIV:
            ratio = rf"\frac{{{latex_expr(args[0])}}}{{{latex_expr(args[1])}}}"
            return rf"\left\lfloor {ratio} \right\rfloor"
        case P.POW:
            text = f"{latex_expr(args[0], ATOM)}^{{{latex_expr(args[1])}}}"
            return parenthesize(text, POWER, context)
        case P.SQUARE:
            return parenthesize(f"{latex_expr(args[0], ATOM)}^{{2}}", POWER, context)
        case P.NEG | P.NOT:
            sign = "-" if function is P.NEG else r"\lnot "
            return parenthesize(f"{sign}{latex_expr(args[0], UNARY)}", UNARY, context)
        case P.SQRT:
            return rf"\sqrt{{{latex_expr(args[0])}}}"
        case P.EXP:
            return f"e^{{{latex_expr(args[0])}}}"
        case P.ABS:
            return rf"\left| {latex_expr(args[0])} \right|"
        case P.WHERE:
            condition, yes, no = (latex_expr(a) for a in args)
            return (
                rf"\begin{{cases}} {yes} & \text{{if }} {condition} \\ "
                rf"{no} & \text{{else}} \end{{cases}}"
            )
    inside = ", ".join(latex_expr(a) for a in args)
    return rf"\mathrm{{{escape(function.spelling)}}}\left({inside}\right)"


def big(
    reduction: Reduction, indices: tuple[Index, ...], condition: Expr | None, body: Expr
) -> str:
    domain = names(indices) if condition is None else f"{names(indices)} : {latex_expr(condition)}"
    if reduction is Reduction.SUM or reduction is Reduction.PROD:
        return f"{OPERATORS[reduction]}_{{{domain}}} {latex_expr(body, PRODUCT)}"
    sign = OPERATORS.get(reduction, rf"\mathrm{{{escape(reduction.spelling)}}}")
    return rf"{sign}_{{{domain}}}\left({latex_expr(body)}\right)"


def load(e: Load) -> str:
    inside = ",".join(subscript(s, e.tensor, n) for n, s in enumerate(e.subscripts))
    return f"{name(e.tensor.name)}_{{{inside}}}" if inside else name(e.tensor.name)


def subscript(s: Subscript, tensor: Tensor, axis: int) -> str:
    match s:
        case Affine():
            return affine(s)
        case Pad():
            return rf"\mathrm{{pad}}({affine(s.position)})"
    return latex_expr(s)


def affine(a: Affine) -> str:
    text = print_affine(a)
    text = re.sub(r"(\d)\*", r"\1", text).replace("%", r" \bmod ").replace("//", "/")
    return text.replace("'", "{}'")


def parenthesize(text: str, precedence: int, context: int) -> str:
    return rf"\left({text}\right)" if precedence < context else text


def names(indices: Iterable[Index]) -> str:
    return ", ".join(index_name(i) for i in indices)


def index_name(index: Index) -> str:
    return name(index.name)


def name(text: str) -> str:
    """A tensor's name: its adjoint suffixes upright and raised, long words in italics."""
    body, *suffixes = text.split(".")
    body, primes = body.rstrip("'"), len(body) - len(body.rstrip("'"))
    shown = GREEK.get(body) or (
        body
        if len(body) == 1 and body.isascii() and body.isalnum()
        else rf"\mathit{{{escape(body)}}}"
    )
    raised = r"\mathrm{" + escape(".".join(suffixes)) + "}" if suffixes else ""
    raised += r"\prime" * primes
    return f"{shown}^{{{raised}}}" if raised else shown


def escape(text: str) -> str:
    return "".join(ESCAPES.get(c, c) for c in text)
