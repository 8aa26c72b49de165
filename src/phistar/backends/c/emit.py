"""Loop nests as C text: each under the equations it computes, everything parenthesized.

node ::= for (...) { node* } | lvalue = value;
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from phistar.backends.c.ahead import rows
from phistar.backends.c.fills import Stretch, stretch
from phistar.backends.c.idioms import gelu_slope
from phistar.backends.c.names import Names, identifier, numbered
from phistar.backends.c.nests import Local, products_in, stride, vectorises
from phistar.backends.c.spelling import (
    C_TYPES,
    HALVES,
    c_type,
    converted,
    fetched,
    literal,
    spell,
    stored,
    strong,
)
from phistar.backends.c.tree import Leaf, Loop, Node, Product, Var, Window, initial, leaves
from phistar.ir.build import settled
from phistar.ir.dtypes import DType
from phistar.ir.primitives import Op
from phistar.ir.primitives import Primitive as P
from phistar.ir.program import (
    Affine,
    Apply,
    Assign,
    Atom,
    Cast,
    Const,
    Expr,
    Index,
    IndexValue,
    Load,
    Pad,
    Quotient,
    Random,
    Tensor,
)
from phistar.ir.walk import affine_bounds, children, free_indices, loads, nodes
from phistar.transform.names import covers

SIMD = {Op.ADD: "+", Op.MUL: "*", Op.MAX: "LARGEST", Op.MIN: "SMALLEST"}
WINNER = {Op.ARGMAX: Op.MAX, Op.ARGMIN: Op.MIN}
COMPARE = {Op.MAX: ">", Op.MIN: "<", Op.ARGMAX: ">", Op.ARGMIN: "<"}


@dataclass(frozen=True)
class Site:
    """A subscript that is checked when the program runs."""

    assign: Assign
    load: Load
    axis: int
    indices: tuple[Index, ...]


@dataclass
class Accumulator:
    """A register in which a leaf sums."""

    name: str
    leaf: Leaf
    nan: str = ""  # a register that says whether there was a NaN, for max and min


@dataclass
class Function:
    """The body of one C function in the making."""

    names: Names  # of the tensors
    locals: Mapping[Tensor, Local]
    sites: list[Site]
    shared: Var | None = None
    chunk: Var | None = None
    chunk_size: int = 1
    used: dict[Tensor, None] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    depth: int = 1
    scope: dict[Var, str] = field(default_factory=dict)
    accumulators: dict[Leaf, Accumulator] = field(default_factory=dict)
    gathers: dict[tuple[Leaf, int, int], str] = field(default_factory=dict)  # leaf, load, axis
    kept: dict[tuple[Leaf, Load], str] = field(default_factory=dict)
    counter: int = 0
    tables: list[str] = field(default_factory=list)  # of places, made where the function begins

    def add(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.add(f"{head} {{")
        self.depth += 1
        yield
        self.depth -= 1
        self.add("}")

    # Loops ----------------------------------------------------------------------------------------

    def nodes(self, nodes: Iterable[Node], path: tuple[Loop, ...] = ()) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                self.loop(node, path)
            elif isinstance(node, Product):
                self.product(node)
            elif isinstance(node, Window):
                self.window(node)
            else:
                kept = dict(self.kept)
                if path and path[-1].innermost:
                    self.read_first(node, path[-1].var)
                self.leaf(node)
                self.kept = kept

    def loop(self, loop: Loop, path: tuple[Loop, ...]) -> None:
        partial = [leaf for leaf in leaves([loop]) if leaf.chunk is not None]
        products = {node.leaf for node in products_in([loop])}
        if loop.var is self.shared and partial:
            assert self.chunk is not None
            size, var = self.chunk_size, self.variable(self.chunk)
            head = f"for (long {var} = lo / {size}; {var} * {size} < hi; {var}++)"
            with self.block(head):
                for leaf in partial:
                    registers = leaf not in products and self.first_loop(leaf, loop)
                    if not registers or not covers(leaf.assign.target):
                        self.clear(leaf)
                ends = f"{var} * {size}", f"least(hi, ({var} + 1) * {size})"
                self.sums(loop, path, *ends)
            del self.scope[self.chunk]
        elif loop.var is self.shared:
            self.sums(loop, path, "lo", "hi")
        elif (filled := stretch(loop, self.shared, self.locals)) is not None:
            self.fill(filled)
        else:
            self.sums(loop, path, "0", str(loop.var.size))

    def fill(self, made: Stretch) -> None:
        """A stretch of memory in one loop."""
        leaf, t = made.leaf, made.leaf.target
        for loop in made.loops:
            self.scope[loop.var] = "0"
        place = self.element(leaf.assign.target, leaf)
        text = self.value(leaf.assign.value, leaf)
        for loop in made.loops:
            del self.scope[loop.var]
        everywhere = Var("i", made.length)
        i = self.variable(everywhere)
        self.add(f"for (long {i} = 0; {i} < {made.length}; {i}++)")
        self.add(f"    (&{place})[{i}] = {stored(text, t.dtype)};")
        del self.scope[everywhere]

    def clear(self, leaf: Leaf) -> None:
        """A partial sum that no register holds begins with zeros."""
        t = leaf.target
        n = 1
        for size in t.storage[1:]:
            n *= size
        assert self.chunk is not None
        at, name = self.scope[self.chunk], self.tensor(t)
        self.add(f"for (long i = 0; i < {n}; i++) {name}[{at} * {n} + i] = 0;")

    def first_loop(self, leaf: Leaf, loop: Loop) -> bool:
        """The loop is the outermost of those in which a register holds the leaf's sum."""
        over = set(leaf.over)
        found: list[Loop] = []
        if not over or not find(leaf, loop, found):
            return False
        return all(inner.var in over for inner in found)

    def sums(self, loop: Loop, path: tuple[Loop, ...], begin: str, end: str) -> None:
        """The loop, with registers around it for what is summed over it and all inside it."""
        mine = [
            leaf
            for leaf in plain_leaves(loop)
            if leaf not in self.accumulators and self.first_loop(leaf, loop)
        ]
        for leaf in mine:
            self.open(leaf)
        self.simple(loop, path, begin, end)
        for leaf in mine:
            self.close(leaf)

    def simple(self, loop: Loop, path: tuple[Loop, ...], begin: str, end: str) -> None:
        if loop.unrolled:
            for turn in range(loop.var.size):
                self.scope[loop.var] = str(turn)
                self.nodes(loop.body, (*path, loop))
            del self.scope[loop.var]
            return
        self.hoist(loop)
        kept = dict(self.kept)
        if loop.innermost:
            self.keep(loop)
        var = self.variable(loop.var)
        if loop.innermost:
            self.pragma(loop)
        head = f"for (long {var} = {begin}; {var} < {end}; {var}++)"
        if loop.backwards:
            head = f"for (long {var} = {end} - 1; {var} >= {begin}; {var}--)"
        with self.block(head):
            self.declare(loop)
            nearer = [] if loop.scan else self.next_rows(loop)
            parts, part = sum(isinstance(node, Loop) for node in loop.body), 0
            for node in loop.body:
                if isinstance(node, Loop):
                    for row in nearer:
                        self.add(f"{row}, {part}, {parts});")
                    part += 1
                self.nodes([node], (*path, loop))
        del self.scope[loop.var]
        self.kept = kept

    def next_rows(self, loop: Loop) -> list[str]:
        """Calls that bring the rows of the loop's next turn nearer, a part before each node."""
        found = []
        for t, write in rows(loop, self.locals).items():
            size = math.prod(t.storage[1:])
            at = f"least({self.scope[loop.var]} + 1, {t.storage[0] - 1}) * {size}"
            bytes_ = size * t.dtype.numpy.itemsize
            found.append(f"ahead_row(&{self.tensor(t)}[{at}], {bytes_}, {int(write)}")
        return found

    def hoist(self, loop: Loop) -> None:
        """Gathers that move with none of the loops from here on are made, and checked, once."""
        written = {leaf.target for leaf in leaves([loop])}
        for leaf in leaves([loop]):
            for e in always(leaf.assign):
                for axis, s in enumerate(e.subscripts):
                    key = (leaf, id(e), axis)
                    if not isinstance(s, Expr) or key in self.gathers or empty(leaf, loop):
                        continue
                    here = all(leaf.bind[i] in self.scope for i in free_indices(s))
                    if here and not any(load.tensor in written for load in loads(s)):
                        self.counter += 1
                        self.add(f"const long at{self.counter} = {self.gather(e, axis, s, leaf)};")
                        self.gathers[key] = f"at{self.counter}"

    def keep(self, loop: Loop) -> None:
        """What a condition in a loop guards, and the loop does not move, is read before it: a
        compiler may not read it in advance, and makes no good vectors of it.
        """
        written = {leaf.target for leaf in leaves([loop])}
        for leaf in leaves([loop]):
            for e in chosen(leaf.assign):
                around = [leaf.bind[i] for i in free_indices(e)]
                fixed = all(v is not loop.var and v in self.scope for v in around)
                if e.tensor in written or (leaf, e) in self.kept or not fixed or not inside(e):
                    continue
                self.keep_load(e, leaf)

    def read_first(self, leaf: Leaf, var: Var) -> None:
        """What a condition guards, and is read with large steps, is read whatever the condition
        says: vectors of it are gathered.
        """
        moving = [i for i, v in leaf.bind.items() if v is var]
        for e in chosen(leaf.assign):
            here = all(leaf.bind[i] in self.scope for i in free_indices(e))
            steps = [stride(e, i) for i in moving]
            if (leaf, e) not in self.kept and here and inside(e) and None not in steps:
                self.keep_load(e, leaf)

    def keep_load(self, e: Load, leaf: Leaf) -> None:
        self.counter += 1
        text = self.load(e, leaf)
        self.add(f"const {c_type(e.tensor.dtype)} kept{self.counter} = {text};")
        self.kept[leaf, e] = f"kept{self.counter}"

    def declare(self, loop: Loop) -> None:
        """The tensors that live inside this loop."""
        for t, local in self.locals.items():
            if local.loop is loop:
                name = self.names(t, t.name)
                kind = C_TYPES[t.dtype]
                if not local.axes:
                    self.add(f"{c_type(t.dtype)} {name};")
                else:
                    self.add(f"{kind} {name}[{max(local.size, 1)}] __attribute__((aligned(64)));")

    def pragma(self, loop: Loop) -> None:
        if loop.scan or not vectorises(loop):
            return
        reductions: dict[str, list[str]] = {}
        for leaf in leaves(loop.body):
            acc = self.accumulators.get(leaf)
            if acc is not None:
                reductions.setdefault(SIMD[leaf.assign.op], []).append(acc.name)
                if acc.nan:
                    reductions.setdefault("|", []).append(acc.nan)
        clauses = "".join(f" reduction({op}:{','.join(n)})" for op, n in reductions.items())
        self.add(f"#pragma omp simd{clauses}")

    def variable(self, var: Var) -> str:
        """The loop variable's name, unlike any that is in use here."""
        taken = {*self.scope.values(), *self.names.taken}
        for candidate in numbered(identifier(var.name)):
            if candidate not in taken:
                break
        self.scope[var] = candidate
        return candidate

    # Products -------------------------------------------------------------------------------------

    def product(self, product: Product) -> None:
        """A call of the run time's product, for the thread's range of rows or columns."""
        leaf = product.leaf
        sides = product.sides
        counts = []
        for side in sides:
            for index in side.all:
                self.scope[leaf.bind[index]] = "0"
            if leaf.bind[side.index] is self.shared:  # the outermost: it moves past all inside it
                self.scope[leaf.bind[side.index]] = "lo"
                inside = side.size // side.index.size
                counts.append("hi - lo" if inside == 1 else f"(hi - lo) * {inside}")
            else:
                counts.append(str(side.size))
        m, n, k = counts[:3]
        a, b, c = (self.element(e, leaf) for e in (product.a, product.b, leaf.assign.target))
        for side in sides:
            for index in side.all:
                del self.scope[leaf.bind[index]]
        rows, columns, depth = product.rows, product.columns, product.sum
        name = f"product_{product.kind}_{leaf.assign.target.dtype.value}"
        fresh = "1" if leaf.define else "0"
        if product.kind == "turned":
            name = f"product_turned_{leaf.assign.target.dtype.value}"
            if columns.c != 1:
                rows, columns, m, n, a, b = columns, rows, n, m, b, a
                steps = f"&{a}, {rows.b}, &{b}, {columns.a}, &{c}, {rows.c}"
            else:
                steps = f"&{a}, {rows.a}, &{b}, {columns.b}, &{c}, {rows.c}"
        elif product.kind == "picture":
            d, da, db = ("1", 0, 0)
            if product.outer is not None:
                d, da, db = counts[3], product.outer.a, product.outer.b
            n = f"{n}, {d}"
            steps = f"&{a}, {rows.a}, {da}, {depth.a}, &{b}, {db}, {depth.b}, &{c}, {rows.c}"
        elif product.kind == "outer":
            steps = f"&{a}, {rows.a}, {depth.a}, &{b}, {depth.b}, &{c}, {rows.c}"
        else:
            steps = f"&{a}, {rows.a}, &{b}, {columns.b}, &{c}, {rows.c}, {columns.c}"
        self.add(f"{name}({m}, {n}, {k}, {steps}, {fresh});")

    def window(self, window: Window) -> None:
        """A call of the run time's window, for the thread's range of rows."""
        leaf, rows, width, height = window.leaf, window.rows, window.width, window.height
        dtype = leaf.assign.target.dtype.value
        begin, count = "0", str(rows.size)
        if leaf.bind[rows.index] is self.shared:
            begin, count = "lo", "hi - lo"
        inside = [width, *window.sums, *window.columns, *([height] if height else [])]
        for side in inside:
            self.scope[leaf.bind[side.index]] = "0"
        self.scope[leaf.bind[rows.index]] = begin
        a, b, c = (self.element(e, leaf) for e in (window.a, window.b, leaf.assign.target))
        for side in (*inside, rows):
            del self.scope[leaf.bind[side.index]]
        at, k = self.table([(s.size, s.a) for s in window.sums])
        bt, _ = self.table([(s.size, s.b) for s in window.sums])
        fresh = "1" if leaf.define else "0"
        if window.kind == "window":
            tall, by, cy = (height.size, height.b, height.c) if height else (1, 0, 0)
            self.add(
                f"window_{dtype}({count}, {tall}, {width.size}, {k}, &{a}, {rows.a}, {at}, "
                f"&{b}, {by}, {bt}, &{c}, {rows.c}, {cy}, {fresh});"
            )
        else:
            bq, n = self.table([(s.size, s.b) for s in window.columns])
            cq, _ = self.table([(s.size, s.c) for s in window.columns])
            self.add(
                f"window_dot_{dtype}({count}, {n}, {k}, {width.size}, &{a}, {rows.a}, {at}, "
                f"&{b}, {bq}, {bt}, &{c}, {rows.c}, {cq}, {fresh});"
            )

    def table(self, sides: list[tuple[int, int]]) -> tuple[str, int]:
        """A table of the places that the indices give together, made where the function begins."""
        size = math.prod(n for n, _ in sides)
        self.counter += 1
        name = f"place{self.counter}"
        made = [f"    long {name}[{size}];"]
        loops = "".join(
            f"for (long i{n} = 0; i{n} < {count}; i{n}++) " for n, (count, _) in enumerate(sides)
        )
        offset = " + ".join(f"i{n} * {step}" for n, (_, step) in enumerate(sides)) or "0"
        position = "0"
        for n, (count, _) in enumerate(sides):
            position = f"({position}) * {count} + i{n}" if n else f"i{n}"
        made.append(f"    {loops}{name}[{position}] = {offset};")
        self.tables += made
        return name, size

    # Sums in registers ----------------------------------------------------------------------------

    def open(self, leaf: Leaf) -> None:
        a = leaf.assign
        dtype = strong(a.value.dtype) if a.op in WINNER else a.target.dtype
        self.counter += 1
        name = f"acc{self.counter}"
        acc = Accumulator(name, leaf)
        if a.op in WINNER:
            first, place = literal(initial(WINNER[a.op], dtype), dtype), C_TYPES[a.target.dtype]
            self.add(f"{c_type(dtype)} {name} = {first};")
            self.add(f"{place} {name}_place = {0 if sure(a) else -1};")
            if dtype.is_float and sure(a):
                acc.nan = f"{name}_nan"
                self.add(f"{place} {acc.nan} = {none_yet(a.target.dtype)};")
        else:
            first = literal(initial(a.op, dtype), dtype)
            self.add(f"{c_type(dtype)} {name} = {first};")
            if a.op in (Op.MAX, Op.MIN) and dtype.is_float:
                acc.nan = f"{name}_nan"
                wide = "int64_t" if dtype is DType.F64 else "int32_t"
                self.add(f"{wide} {acc.nan} = 0;")
        self.accumulators[leaf] = acc

    def close(self, leaf: Leaf) -> None:
        a, acc = leaf.assign, self.accumulators.pop(leaf)
        place, guard = self.place(a, leaf)
        dtype = a.target.dtype
        if a.op in WINNER:
            made = f"{acc.name}_place"
            if acc.nan:
                made = f"{acc.nan} < {none_yet(dtype)} ? {acc.nan} : {made}"
            guard = guard if sure(a) else [*guard, f"{acc.name}_place >= 0"]
            self.guarded(guard, f"{place} = {made};")
            return
        if acc.nan:
            self.add(f"if ({acc.nan}) {acc.name} = NAN;")
        if leaf.define:
            self.guarded(guard, f"{place} = {stored(acc.name, dtype)};")
        else:
            self.guarded(guard, update(a.op, place, acc.name, dtype))

    def guarded(self, guard: list[str], text: str) -> None:
        self.add(f"if ({' && '.join(guard)}) {text}" if guard else text)

    # Assignments ----------------------------------------------------------------------------------

    def leaf(self, leaf: Leaf) -> None:
        a = leaf.assign
        if a.condition is None:
            self.assignment(leaf, self.value(settled(a.value), leaf))
            return
        condition, value = self.value(a.condition, leaf), self.value(settled(a.value), leaf)
        if leaf in self.accumulators and a.op in SIMD:  # a choice of values makes a vector
            none = literal(initial(a.op, a.target.dtype), strong(a.target.dtype))
            self.assignment(leaf, f"({condition} ? {value} : {none})")
            return
        with self.block(f"if ({condition})"):
            self.assignment(leaf, value)

    def assignment(self, leaf: Leaf, value: str) -> None:
        a = leaf.assign
        dtype = a.target.dtype
        acc = self.accumulators.get(leaf)
        if acc is None:
            place, guard = self.place(a, leaf)
            if a.op in WINNER:  # nothing to choose from
                self.guarded(guard, f"{place} = 0;")
                return
            if a.op is Op.SET or (leaf.define and not a.over):
                self.guarded(guard, f"{place} = {stored(value, dtype)};")
            else:
                self.guarded(guard, update(a.op, place, value, dtype))
        elif a.op in WINNER:
            self.winner(leaf, acc, value)
        elif a.op in COMPARE:
            with self.block(""):
                self.add(f"{c_type(dtype)} candidate = {value};")
                sign = COMPARE[a.op]
                self.add(f"{acc.name} = candidate {sign} {acc.name} ? candidate : {acc.name};")
                if acc.nan:
                    self.add(f"{acc.nan} |= candidate != candidate;")
        else:
            sign = "+" if a.op is Op.ADD else "*"
            self.add(f"{acc.name} {sign}= {value};")

    def winner(self, leaf: Leaf, acc: Accumulator, value: str) -> None:
        a, name = leaf.assign, acc.name
        position = "0"
        for index in a.over:
            position = row_major(position, index.size, self.scope[leaf.bind[index]])
        with self.block(""):
            kind = c_type(strong(a.value.dtype))
            self.add(f"{kind} candidate = {value};")
            better = f"candidate {COMPARE[a.op]} {name}"
            if sure(a):  # choices make a vector, where branches do not
                self.add(f"{name}_place = {better} ? {position} : {name}_place;")
                self.add(f"{name} = {better} ? candidate : {name};")
                if acc.nan:
                    place, none = C_TYPES[a.target.dtype], none_yet(a.target.dtype)
                    self.add(f"{place} at = candidate != candidate ? {position} : {none};")
                    self.add(f"{acc.nan} = at < {acc.nan} ? at : {acc.nan};")
                return
            nan = f"(candidate != candidate && {name} == {name})"
            with self.block(f"if ({name}_place < 0 || {better} || {nan})"):
                self.add(f"{name} = candidate;")
                self.add(f"{name}_place = {position};")

    # Expressions ----------------------------------------------------------------------------------

    def value(self, e: Expr, leaf: Leaf) -> str:
        """The expression as C."""
        match e:
            case Const():
                return literal(e.value, strong(e.dtype))
            case IndexValue():
                return converted(self.scope[leaf.bind[e.index]], DType.I64, strong(e.dtype))
            case Load():
                return self.load(e, leaf)
            case Cast():
                inner = settled(e.argument)
                return converted(self.value(inner, leaf), strong(inner.dtype), e.dtype)
            case Random():
                return self.random(e, leaf)
            case Apply(function=P() as function):
                x = gelu_slope(e) if strong(e.dtype) in (DType.F32, DType.F64) else None
                if x is not None:
                    return f"gelu_slope_{strong(e.dtype).value}({self.value(x, leaf)})"
                args = [settled(x) for x in e.args]
                operands = strong(args[-1].dtype)
                result = strong(e.dtype)
                texts = tuple(self.value(x, leaf) for x in args)
                text = spell(function, texts, operands, result)
                produced = operands if function is P.WHERE else result
                return converted(text, produced, result)
        raise TypeError(f"not an expression of a flat program: {e!r}")

    def random(self, e: Random, leaf: Leaf) -> str:
        position = "0"
        for index in e.indices:
            position = row_major(position, index.size, self.scope[leaf.bind[index]])
        dtype = strong(e.dtype)
        suffix = "f64" if dtype is DType.F64 else "f32"
        name = f"{e.distribution.value}_{suffix}"
        text = (
            f"{name}(run->seed_low, run->seed_high, run->step, {e.place}u, (uint64_t)({position}))"
        )
        return converted(text, DType.F64 if suffix == "f64" else DType.F32, dtype)

    def load(self, e: Load, leaf: Leaf) -> str:
        if (leaf, e) in self.kept:
            return self.kept[leaf, e]
        text = fetched(self.element(e, leaf), e.tensor.dtype)
        for axis, s in enumerate(e.subscripts):
            if isinstance(s, Pad):
                outside = f"!({self.inside(e, axis, s, leaf)})"
                text = f"({outside} ? {literal(s.value, e.tensor.dtype)} : {text})"
        return text

    def place(self, a: Assign, leaf: Leaf) -> tuple[str, list[str]]:
        """The element that is assigned, and what must hold for it to be."""
        guard = [
            self.inside(a.target, axis, s, leaf)
            for axis, s in enumerate(a.target.subscripts)
            if isinstance(s, Pad)
        ]
        return self.element(a.target, leaf), guard

    def inside(self, e: Load, axis: int, s: Pad, leaf: Leaf) -> str:
        """The position is not one of the extra elements."""
        first, last = e.tensor.bounds(axis)
        low, high = affine_bounds(s.position)
        at = self.affine(s.position, leaf)
        tests = []
        if low - s.low < first:
            tests.append(f"({at}) >= {first + s.low}")
        if high - s.low > last:
            tests.append(f"({at}) <= {last + s.low}")
        return " && ".join(tests) or "1"

    def element(self, e: Load, leaf: Leaf) -> str:
        """name[offset], or the name alone of a tensor with one element."""
        t = e.tensor
        name = self.tensor(t)
        local = self.locals.get(t)
        axes = range(len(t.storage)) if local is None else local.axes
        if local is not None and not axes:
            return name
        step, terms = 1, list[str]()
        for axis in reversed(axes):
            terms.append(self.term(e, axis, step, leaf))
            step *= t.storage[axis]
        return f"{name}[{' + '.join(x for x in reversed(terms) if x != '0') or '0'}]"

    def tensor(self, t: Tensor) -> str:
        if t not in self.locals:
            self.used[t] = None
        return self.names(t, t.name)

    def term(self, e: Load, axis: int, step: int, leaf: Leaf) -> str:
        """What one subscript adds to the offset."""
        s = e.subscripts[axis]
        first = e.tensor.bounds(axis)[0]
        if isinstance(s, Expr):
            made = self.gathers.get((leaf, id(e), axis))
            return times(made or self.gather(e, axis, s, leaf), step)
        affine, shift = (s, 0) if isinstance(s, Affine) else (s.position, s.low)
        return self.affine(affine, leaf, step, shift + first)

    def gather(self, e: Load, axis: int, s: Expr, leaf: Leaf) -> str:
        """A subscript that is checked here; its position from 0 on."""
        first, last = e.tensor.bounds(axis)
        s = settled(s)
        indices = tuple(i for i in leaf.bind if leaf.bind[i] in self.scope and i != leaf.chunk)
        self.sites.append(Site(leaf.assign, e, axis, indices))
        site = len(self.sites)
        setting = ", ".join(self.scope[leaf.bind[i]] for i in indices) or "0"
        value = self.value(s, leaf)
        at = f"at - {first}" if first else "at"
        return (
            f"({{ long at = (long){value}; "
            f"at >= {first} && at <= {last} ? {at} : out_of_range(run->failure, run->number, "
            f"{site}, at, {len(indices)}, (const long[]){{{setting}}}); }})"
        )

    def affine(self, a: Affine, leaf: Leaf, step: int = 1, shift: int = 0) -> str:
        """step * (a - shift), without parentheses around the sum."""
        terms = [times(self.atom(atom, leaf), coefficient * step) for atom, coefficient in a.terms]
        offset = (a.offset - shift) * step
        if offset or not terms:
            terms.append(str(offset))
        return " + ".join(terms).replace("+ -", "- ")

    def atom(self, atom: Atom, leaf: Leaf) -> str:
        if isinstance(atom, Index):
            return self.scope[leaf.bind[atom]]
        inner = self.affine(atom.affine, leaf)
        positive = affine_bounds(atom.affine)[0] >= 0
        if isinstance(atom, Quotient):
            return (
                f"(({inner}) / {atom.divisor})"
                if positive
                else f"quotient({inner}, {atom.divisor})"
            )
        if positive:
            return f"(({inner}) % {atom.divisor})"
        return f"remainder_of({inner}, {atom.divisor})"


def plain_leaves(loop: Loop) -> Iterator[Leaf]:
    """The leaves in a loop that are no products."""
    for node in loop.body:
        if isinstance(node, Leaf):
            yield node
        elif isinstance(node, Loop):
            yield from plain_leaves(node)


def always(a: Assign) -> Iterator[Load]:
    """Loads, and the store, that happen in every setting of the assignment."""
    if a.condition is None:
        yield a.target
        stack = [settled(a.value)]
        while stack:
            e = stack.pop()
            if isinstance(e, Load):
                yield e
            elif isinstance(e, Apply) and e.function is P.WHERE:
                stack.append(e.args[0])
            else:
                stack.extend(children(e))


def chosen(a: Assign) -> Iterator[Load]:
    """Loads that happen in some settings only, as a condition has it."""
    if a.condition is not None or any(
        isinstance(e, Apply) and e.function is P.WHERE for e in nodes(a.value)
    ):
        yield from loads(a.value)


def inside(e: Load) -> bool:
    """The element exists whatever the condition says."""
    for axis, s in enumerate(e.subscripts):
        if not isinstance(s, Affine):
            return False
        (low, high), (first, last) = affine_bounds(s), e.tensor.bounds(axis)
        if low < first or high > last:
            return False
    return True


def empty(leaf: Leaf, loop: Loop) -> bool:
    """The leaf is never reached."""
    path: list[Loop] = []
    find(leaf, loop, path)
    return any(inner.var.size == 0 for inner in path)


def find(leaf: Leaf, loop: Loop, path: list[Loop]) -> bool:
    """The loops from this one down to the leaf."""
    path.append(loop)
    for node in loop.body:
        inner = node.leaf if isinstance(node, Product | Window) else node
        if inner is leaf or (isinstance(node, Loop) and find(leaf, node, path)):
            return True
    path.pop()
    return False


def times(text: str, factor: int) -> str:
    return text if factor == 1 else f"{text} * {factor}"


def sure(a: Assign) -> bool:
    """There is something to choose from."""
    return a.condition is None and all(i.size for i in a.over)


def none_yet(dtype: DType) -> str:
    """The place of the first NaN before there is one."""
    return "INT64_MAX" if dtype is DType.I64 else "INT32_MAX"


def row_major(position: str, size: int, at: str) -> str:
    """The position among those of one more index, of so many values."""
    if position.isdigit() and at.isdigit():
        return str(int(position) * size + int(at))
    return at if position == "0" else f"({position}) * {size} + {at}"


def update(op: Op, place: str, value: str, dtype: DType) -> str:
    """place op= value, as a statement."""
    if op in (Op.ADD, Op.MUL) and dtype not in HALVES and not dtype.is_bool:
        return f"{place} {'+' if op is Op.ADD else '*'}= {value};"
    return f"{place} = {stored(combined(op, fetched(place, dtype), value, dtype), dtype)};"


def combined(op: Op, old: str, new: str, dtype: DType) -> str:
    """old op new, as one number."""
    function = {Op.ADD: P.ADD, Op.MUL: P.MUL, Op.MAX: P.MAXIMUM, Op.MIN: P.MINIMUM}[op]
    if dtype.is_bool:
        either = op in (Op.ADD, Op.MAX)
        return f"({old} {'||' if either else '&&'} {new})"
    return spell(function, (old, new), dtype, dtype)
