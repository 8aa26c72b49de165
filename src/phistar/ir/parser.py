"""Text in phistar's notation to programs: the printer's inverse.

    text      ::= "program" name, declarations, statements
    declares  ::= "index" name < size, ... | kind tensor[shape] type [halo[low:high, ...]]
                | "def" f(x: type, ...) = expr, "d/dx =" expr | "output" name, ...
    statement ::= target op expr ["if" expr] ["for" name < size, ...] ["  # note"]
                | "scan" name ["backwards"] ["for" name < size] ":" statements, indented

Precedence, from loose to tight: comparison, |, &, + and -, products and Σ, unary - and ~, **.
"""

from __future__ import annotations

import math
import re

from phistar.errors import DTypeError
from phistar.ir.affine import to_affine
from phistar.ir.build import apply, cast, const, convert, index_value, reduce, settled
from phistar.ir.dtypes import DType, Weak, as_dtype
from phistar.ir.primitives import REDUCTION_OF, Op, Primitive, Reduction
from phistar.ir.program import (
    Affine,
    Argument,
    Assign,
    Const,
    Distribution,
    Expr,
    Index,
    Kind,
    Load,
    Own,
    Pad,
    Program,
    Random,
    Reduce,
    Scan,
    Statement,
    Subscript,
    Tensor,
)
from phistar.ir.tokens import Line
from phistar.ir.walk import nodes

P = Primitive
COMPARISONS = {"<": P.LESS, "<=": P.LESS_EQUAL, ">": P.GREATER, ">=": P.GREATER_EQUAL}
SUMS = {"+": P.ADD, "-": P.SUB}
PRODUCTS = {"*": P.MUL, "/": P.DIV, "//": P.FLOOR_DIV, "%": P.MOD}
FUNCTIONS = {p.spelling: p for p in Primitive}
REDUCTIONS = {r.spelling: r for r in Reduction}
DISTRIBUTIONS = {d.value: d for d in Distribution}
KINDS = {k.value: k for k in Kind}
OPS = {op.value: op for op in Op}
LITERALS = {"inf": math.inf, "nan": math.nan, "True": True, "False": False}
COMMENT = re.compile(r"(^|\s\s)#.*$")


def parse(text: str) -> Program:
    """The program a text describes; ParseError with line, column and what was expected."""
    return Parser(text).program()


class Parser:
    """Everything declared so far, and the lines that are left."""

    def __init__(self, text: str) -> None:
        numbered = enumerate(text.splitlines(), 1)
        stripped = [(n, COMMENT.sub("", line).rstrip()) for n, line in numbered]
        self.lines = [(n, line) for n, line in stripped if line.strip()]
        self.at = 0
        self.name = "program"
        self.ranges: dict[str, int] = {}
        self.tensors: dict[str, Tensor] = {}
        self.functions: dict[str, list[Own]] = {}
        self.arguments: dict[str, DType] = {}
        self.local: dict[str, int] = {}
        self.outputs: list[str] = []

    def program(self) -> Program:
        while self.at < len(self.lines) and self.declaration():
            self.at += 1
        statements = self.block(0, {})
        if self.at < len(self.lines):
            self.line().fail("this line is indented more than the one before")
        inputs = tuple(t for t in self.tensors.values() if t.kind is not Kind.VALUE)
        outputs = tuple(self.tensors[name] for name in self.outputs)
        return Program(statements, inputs, outputs, self.name)

    def line(self) -> Line:
        number, text = self.lines[self.at]
        return Line(text, number)

    # Declarations ---------------------------------------------------------------------------------

    def declaration(self) -> bool:
        """Take in the line if it declares something."""
        line = self.line()
        word, follows = line.here.text, line.ahead()
        if line.here.kind != "name" or follows.kind != "name":
            return False
        line.take()
        if word == "program":
            self.name = line.text.strip().partition(" ")[2]
        elif word == "index":
            self.ranges |= self.range_list(line)
        elif word in KINDS:
            self.declare(line, KINDS[word])
        elif word == "def":
            self.function(line)
        elif word == "output":
            self.output(line)
        else:
            return False
        return True

    def range_list(self, line: Line) -> dict[str, int]:
        """name < size, name < size, ..."""
        found: dict[str, int] = {}
        while True:
            name = line.name("an index")
            line.expect("<")
            found[name] = line.whole("the size of the index")
            if not line.accept(","):
                return found

    def declare(self, line: Line, kind: Kind) -> None:
        name = line.name("the name of a tensor")
        if name in self.tensors:
            line.fail(f"{name} is declared twice")
        shape = tuple(self.sizes(line))
        dtype = self.dtype(line)
        halo: tuple[tuple[int, int], ...] = ()
        if line.accept("halo"):
            halo = tuple(self.halos(line))
            if len(halo) != len(shape):
                line.fail(f"the halo of {name} has {len(halo)} axes, its shape {len(shape)}")
        line.end()
        self.tensors[name] = Tensor(name, shape, dtype, kind, halo)

    def sizes(self, line: Line) -> list[int]:
        line.expect("[")
        found: list[int] = []
        while not line.accept("]"):
            found.append(line.whole("the size of an axis"))
            if line.here.text != "]":
                line.expect(",")
        return found

    def halos(self, line: Line) -> list[tuple[int, int]]:
        line.expect("[")
        found: list[tuple[int, int]] = []
        while not line.accept("]"):
            low = line.whole("the halo before an axis")
            line.expect(":")
            found.append((low, line.whole("the halo after an axis")))
            if line.here.text != "]":
                line.expect(",")
        return found

    def dtype(self, line: Line) -> DType:
        if line.here.kind != "name" or line.here.text not in {d.value for d in DType}:
            line.fail("expected a type: " + ", ".join(d.value for d in DType))
        return as_dtype(line.take().text)

    def output(self, line: Line) -> None:
        while True:
            name = line.name("the name of a tensor")
            if name not in self.tensors:
                line.fail(f"the output {name} is not declared")
            self.outputs.append(name)
            if not line.accept(","):
                return line.end()

    def function(self, line: Line) -> None:
        """def f(x: f32) = body, then a line `d/dx = partial` for each derivative given."""
        spelling = line.name("the name of a function")
        line.expect("(")
        parameters: dict[str, DType] = {}
        while not line.accept(")"):
            parameter = line.name("a parameter")
            line.expect(":")
            parameters[parameter] = self.dtype(line)
            if line.here.text != ")":
                line.expect(",")
        line.expect("=")
        self.arguments = dict(parameters)
        body = self.whole_expression(line)
        if isinstance(body.dtype, DType):
            self.arguments["result"] = body.dtype
        partials = self.partials(parameters)
        self.arguments = {}
        own = Own(spelling, tuple(parameters), body, partials)
        self.functions.setdefault(spelling, []).append(own)

    def partials(self, parameters: dict[str, DType]) -> tuple[Expr, ...] | None:
        found: list[Expr] = []
        while self.at + 1 < len(self.lines) and self.lines[self.at + 1][1].lstrip().startswith(
            "d/d"
        ):
            self.at += 1
            line = self.line()
            for expected in ("d", "/"):
                line.expect(expected)
            line.name("d and a parameter")
            line.expect("=")
            found.append(self.whole_expression(line))
        return tuple(found) if found else None

    def whole_expression(self, line: Line) -> Expr:
        try:
            e = self.expression(line)
        except DTypeError as error:
            line.fail(str(error))
        line.end()
        return e

    # Statements -----------------------------------------------------------------------------------

    def block(self, indent: int, scans: dict[str, int]) -> tuple[Statement, ...]:
        """The statements that are indented by `indent`."""
        found: list[Statement] = []
        while self.at < len(self.lines) and self.indentation() == indent:
            line = self.line()
            if line.here.text == "scan" and line.ahead().kind == "name":
                found.append(self.scan(line, indent, scans))
            else:
                self.at += 1
                found.append(self.assignment(line, scans))
        return tuple(found)

    def indentation(self) -> int:
        text = self.lines[self.at][1]
        return len(text) - len(text.lstrip())

    def scan(self, line: Line, indent: int, scans: dict[str, int]) -> Scan:
        line.expect("scan")
        name = line.name("the index of the scan")
        backwards = line.accept("backwards")
        size = self.range_list(line).get(name) if line.accept("for") else self.ranges.get(name)
        line.expect(":")
        line.end()
        if size is None:
            line.fail(f"how far does {name} run? declare it: index {name} < 10")
        self.at += 1
        if self.at >= len(self.lines) or self.indentation() <= indent:
            line.fail("the statements of a scan follow, indented")
        body = self.block(self.indentation(), {**scans, name: size})
        return Scan(Index(name, size), body, backwards)

    def assignment(self, line: Line, scans: dict[str, int]) -> Assign:
        self.local = {**self.ranges, **scans, **self.own_ranges(line)}
        try:
            target = self.atom(line)
            if not isinstance(target, Load):
                line.fail("a statement starts with the tensor it assigns to")
            if line.here.text not in OPS:
                line.fail("expected " + ", ".join(OPS))
            op = OPS[line.take().text]
            value = self.expression(line)
            condition = self.expression(line) if line.accept("if") else None
            value = convert(value, target.dtype if op not in ARGS else value_type(value))
        except DTypeError as error:
            line.fail(str(error))
        if not line.accept("for"):
            line.end()
        return canonical(target, op, value, condition)

    def own_ranges(self, line: Line) -> dict[str, int]:
        """The ranges at the end of a statement, looked up before the rest is read."""
        for n, token in enumerate(line.tokens):
            if token.kind == "name" and token.text == "for":
                start, line.at = line.at, n + 1
                found = self.range_list(line)
                line.end()
                line.at = start
                return found
        return {}

    def index(self, line: Line, name: str) -> Index:
        if name not in self.local:
            line.fail(f"{name} is neither an index nor a tensor that is declared")
        return Index(name, self.local[name])

    # Expressions, from loose to tight -------------------------------------------------------------

    def expression(self, line: Line) -> Expr:
        left = self.disjunction(line)
        if line.here.text in COMPARISONS:
            function = COMPARISONS[line.take().text]
            return apply(function, left, self.disjunction(line))
        return left

    def disjunction(self, line: Line) -> Expr:
        left = self.conjunction(line)
        while line.accept("|"):
            left = apply(P.OR, left, self.conjunction(line))
        return left

    def conjunction(self, line: Line) -> Expr:
        left = self.sum(line)
        while line.accept("&"):
            left = apply(P.AND, left, self.sum(line))
        return left

    def sum(self, line: Line) -> Expr:
        left = self.product(line)
        while line.here.text in SUMS and line.here.kind == "op":
            left = apply(SUMS[line.take().text], left, self.product(line))
        return left

    def product(self, line: Line) -> Expr:
        if line.here.kind == "sum":
            return self.sigma(line)
        left = self.unary(line)
        while line.here.text in PRODUCTS and line.here.kind == "op":
            left = apply(PRODUCTS[line.take().text], left, self.unary(line))
        return left

    def sigma(self, line: Line) -> Expr:
        """Σ_i product, or Σ_{i, j : condition} product."""
        line.take()
        if line.accept("{"):
            indices, condition = self.domain(line, "}")
        else:
            indices, condition = (self.index(line, line.name("an index")),), None
        return reduce(Reduction.SUM, indices, self.product(line), condition)

    def domain(self, line: Line, closing: str) -> tuple[tuple[Index, ...], Expr | None]:
        indices = [self.index(line, line.name("an index"))]
        while line.accept(","):
            indices.append(self.index(line, line.name("an index")))
        condition = self.expression(line) if line.accept(":") else None
        line.expect(closing)
        return tuple(indices), condition

    def unary(self, line: Line) -> Expr:
        if line.accept("-"):
            if line.here.kind == "number" and line.ahead().text != "**":
                literal = self.atom(line)
                assert isinstance(literal, Const)
                return const(-literal.value)
            if line.here.text == "inf":
                line.take()
                return const(-math.inf)
            return apply(P.NEG, self.unary(line))
        if line.accept("~"):
            return apply(P.NOT, self.unary(line))
        return self.power(line)

    def power(self, line: Line) -> Expr:
        base = self.atom(line)
        if line.accept("**"):
            return apply(P.POW, base, self.unary(line))
        return base

    def atom(self, line: Line) -> Expr:
        token = line.here
        if token.kind == "number":
            line.take()
            return const(int(token.text) if token.text.isdigit() else float(token.text))
        if line.accept("("):
            e = self.expression(line)
            line.expect(")")
            return e
        name = line.name("an expression")
        if name in self.arguments:  # inside a function of the user's own they come first
            return Argument(name, self.arguments[name])
        if name in self.tensors and not self.another(line, name):
            return self.load(line, self.tensors[name])
        if name in LITERALS:
            return const(LITERALS[name])
        if name in DISTRIBUTIONS and line.here.text in ("[", "#"):
            return self.random(line, DISTRIBUTIONS[name])
        if name in REDUCTIONS and line.here.text == "[":
            return self.reduction(line, REDUCTIONS[name])
        if line.here.text == "(":
            return self.call(line, name)
        return index_value(self.index(line, name))

    def another(self, line: Line, name: str) -> bool:
        """Whether the name of a tensor is here that of a function, mean[b](...), or an index."""
        if line.here.text == "(":
            return True
        if name in self.local and self.tensors[name].shape and line.here.text != "[":
            return True
        if name not in REDUCTIONS or line.here.text != "[":
            return False
        return line.ahead(line.closing() + 1).text == "("

    def random(self, line: Line, distribution: Distribution) -> Expr:
        place = line.whole("the number of a random field") if line.accept("#") else 0
        line.expect("[")
        indices, condition = self.domain(line, "]")
        if condition is not None:
            line.fail("a random field takes indices only")
        return Random(distribution, place, indices, Weak.FLOAT)

    def reduction(self, line: Line, reduction: Reduction) -> Expr:
        line.expect("[")
        indices, condition = self.domain(line, "]")
        line.expect("(")
        body = self.expression(line)
        line.expect(")")
        if body.dtype is DType.BOOL and reduction in (Reduction.MAX, Reduction.MIN):
            return Reduce(reduction, indices, body, DType.BOOL, condition)  # what any, all become
        return reduce(reduction, indices, body, condition)

    def call(self, line: Line, name: str) -> Expr:
        start = line.here.column
        line.expect("(")
        args: list[Expr] = []
        while not line.accept(")"):
            if line.here.kind == "string":
                return self.cast(line, args)
            args.append(self.expression(line))
            if line.here.text != ")":
                line.expect(",")
        if name in self.functions:
            own = self.overload(name, args)
            types = (argument_type(own, p) for p in own.parameters)
            return apply(own, *(typed(a, t) for a, t in zip(args, types, strict=False)))
        if name not in FUNCTIONS:
            line.fail(f"there is no function {name}", start - len(name))
        function = FUNCTIONS[name]
        if len(args) != function.arity:
            line.fail(f"{name} takes {function.arity} arguments, not {len(args)}", start)
        return apply(function, *args)

    def cast(self, line: Line, args: list[Expr]) -> Expr:
        """cast(e, "type"), from the type on."""
        text = line.take().text.strip('"')
        line.expect(")")
        if len(args) != 1:
            line.fail('a cast is written cast(e, "f32")')
        return cast(args[0], as_dtype(text))

    def overload(self, name: str, args: list[Expr]) -> Own:
        """The function of that name whose parameters have the arguments' types."""
        types = [a.dtype for a in args]
        for own in self.functions[name]:
            if [argument_type(own, p) for p in own.parameters] == types:
                return own
        return self.functions[name][0]

    # Loads ----------------------------------------------------------------------------------------

    def load(self, line: Line, tensor: Tensor) -> Load:
        subscripts: list[Subscript] = []
        if tensor.shape or line.here.text == "[":
            line.expect("[")
            while not line.accept("]"):
                subscripts.append(self.subscript(line, tensor, len(subscripts)))
                if line.here.text != "]":
                    line.expect(",")
        if len(subscripts) != len(tensor.shape):
            line.fail(
                f"{tensor.name} has {len(tensor.shape)} axes, but {len(subscripts)} subscripts"
            )
        return Load(tensor, tuple(subscripts))

    def subscript(self, line: Line, tensor: Tensor, axis: int) -> Subscript:
        if axis >= len(tensor.shape):
            line.fail(f"{tensor.name} has {len(tensor.shape)} axes")
        if line.here.text == "pad" and line.ahead().text == "(":
            return self.padded(line)
        if line.here.text == "(" and line.ahead(2).text == ",":
            return self.group(line)
        if line.here.text in ("first", "last") and line.here.text not in self.local:
            edge = 0 if line.take().text == "first" else tensor.shape[axis] - 1
            return self.from_edge(line, edge)
        e = self.expression(line)
        affine = to_affine(e)
        return settled(e) if affine is None else affine

    def from_edge(self, line: Line, edge: int) -> Affine:
        if line.accept("-"):
            return Affine((), edge - line.whole("a number of positions"))
        if line.accept("+"):
            return Affine((), edge + line.whole("a number of positions"))
        return Affine((), edge)

    def group(self, line: Line) -> Affine:
        """(h, d): row-major."""
        line.expect("(")
        indices = [self.index(line, line.name("an index"))]
        while line.accept(","):
            indices.append(self.index(line, line.name("an index")))
        line.expect(")")
        terms, step = [], 1
        for index in reversed(indices):
            terms.append((index, step))
            step *= index.size
        return Affine(tuple(reversed(terms)), 0, group=True)

    def padded(self, line: Line) -> Pad:
        line.expect("pad")
        line.expect("(")
        position = to_affine(self.expression(line))
        if position is None:
            line.fail("pad takes a position made of indices and whole numbers")
        line.expect(",")
        low = line.whole("how many elements to add")
        high, value = low, 0.0
        while line.accept(","):
            if line.accept("value"):
                line.expect("=")
                literal = self.unary(line)
                if not isinstance(literal, Const):
                    line.fail("the value of padding is a number")
                value = literal.value
            else:
                high = line.whole("how many elements to add at the end")
        line.expect(")")
        return Pad(position, low, high, value)


ARGS = frozenset({Op.ARGMAX, Op.ARGMIN})


def value_type(value: Expr) -> DType:
    """The type of what argmax= looks at, which need not be its target's."""
    if isinstance(value, Reduce) and value.reduction in (Reduction.ARGMAX, Reduction.ARGMIN):
        return DType.I64
    return value.dtype if isinstance(value.dtype, DType) else value.dtype.default


def canonical(target: Load, op: Op, value: Expr, condition: Expr | None) -> Assign:
    """The assignment, with a reduction by its own op written as its `over`."""
    own = REDUCTION_OF.get(op)
    if isinstance(value, Reduce) and value.reduction is own and condition is None:
        return Assign(target, op, value.body, value.indices, value.condition)
    return Assign(target, op, value, (), condition)


def typed(argument: Expr, dtype: DType | None) -> Expr:
    """An argument of an own function; a weak one takes the type of its parameter."""
    return convert(argument, dtype) if isinstance(argument.dtype, Weak) and dtype else argument


def argument_type(own: Own, parameter: str) -> DType | None:
    for e in (own.body, *(own.partials or ())):
        for node in nodes(e):
            if (
                isinstance(node, Argument)
                and node.name == parameter
                and isinstance(node.dtype, DType)
            ):
                return node.dtype
    return None
